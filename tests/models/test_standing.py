"""A standing travels as numbers, comes back as it was, and cannot be one that breaks who serves it."""

import msgspec
import pytest

import training
from needstream.models import standing as standings
from needstream.models.rules import Rules

STANDING = training.standing_of(80, rules=Rules(champion="pair", challengers=("linear", "blend"), watches=True))
BODY = standings.encode(STANDING)


def test_it_comes_back_as_it_was() -> None:
    assert STANDING == standings.decode(BODY)
    assert BODY == standings.encode(standings.decode(BODY))


def _changed(**fields: object) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(BODY) | fields)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (_changed(champion="forest"), "none of its contestants"),
        (_changed(contestants={}), "no contestant"),
        (_changed(features=["other"]), "other features"),
        (_changed(positives=81), "more positives than labels"),
        (_changed(labels=81), "more labels than examples"),
        (_changed(learned_through=-2), ">= -1"),
        (_changed(enter_score=1.5), "<= 1"),
        (b"[]", "Expected `object`"),
        (b"{}", "missing required field"),
        (BODY[:-1], "truncated"),
    ],
)
def test_what_cannot_have_been_learned_is_refused(body: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        standings.decode(body)


def test_a_contestant_of_another_kind_than_it_says_is_refused() -> None:
    told = msgspec.json.decode(BODY)
    told["contestants"]["pair"] = told["contestants"]["linear"]

    with pytest.raises(ValueError, match="contestant pair cannot be a model of kind linear"):
        standings.decode(msgspec.json.encode(told))


def test_what_is_usual_has_to_be_of_the_models_features() -> None:
    told = msgspec.json.decode(BODY)
    told["anomaly"]["features"][0] = "another"

    with pytest.raises(ValueError, match="other features than the model's"):
        standings.decode(msgspec.json.encode(told))
