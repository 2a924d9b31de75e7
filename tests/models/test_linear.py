"""A model as plain numbers: its score, its reasons, its text."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import training
from needstream.models import linear

MODEL = training.trained(300).export()

numbers = st.floats() | st.sampled_from([math.inf, -math.inf, math.nan, 1e300, -1e300, 5e-324, 0.0])
vectors = st.lists(numbers, min_size=len(training.FEATURES), max_size=len(training.FEATURES))


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


@given(vectors)
def test_the_contributions_sum_to_the_logit_less_the_intercept(values: list[float]) -> None:
    parts = MODEL.contributions(values)

    assert pytest.approx(logit(MODEL.score(values)) - MODEL.intercept, abs=1e-9) == sum(part.logit for part in parts)


@given(vectors)
def test_the_score_is_the_sigmoid_of_the_logit(values: list[float]) -> None:
    assert linear.sigmoid(MODEL.logit(values)) == MODEL.score(values)


@given(vectors)
def test_the_strongest_contribution_comes_first_and_none_is_missing(values: list[float]) -> None:
    parts = MODEL.contributions(values)

    assert sorted(training.FEATURES) == sorted(part.feature for part in parts)
    assert sorted((abs(part.logit) for part in parts), reverse=True) == [abs(part.logit) for part in parts]


@given(numbers)
def test_no_number_squashes_to_anything_but_a_small_one(value: float) -> None:
    squashed = linear.squash(value)

    assert abs(squashed) < 28
    assert squashed == 0 or math.copysign(1, squashed) == math.copysign(1, value)


@given(vectors)
def test_squashing_many_is_squashing_each(values: list[float]) -> None:
    assert [linear.squash(value) for value in values] == linear.squashed(values)


def test_squashing_is_the_signed_logarithm() -> None:
    assert [0.0, math.log(2), -math.log(2), math.log1p(1e12), 0.0, 0.0] == pytest.approx(
        linear.squashed([0, 1, -1, 1e300, math.nan, math.inf])
    )


@given(st.floats(-800, 800))
def test_a_sigmoid_is_a_probability_without_overflow(exponent: float) -> None:
    assert 0.0 <= linear.sigmoid(exponent) <= 1.0
    assert pytest.approx(1.0) == linear.sigmoid(exponent) + linear.sigmoid(-exponent)


def test_what_never_varied_says_nothing() -> None:
    constant = training.FEATURES.index("credit_score")

    assert 0.0 == MODEL.variances[constant]
    assert MODEL.score([1.0] * 6) == MODEL.score([*[1.0] * 5, 900.0])


def test_a_value_far_outside_counts_no_more_than_the_clip() -> None:
    assert (linear.CLIP, -linear.CLIP) == (
        linear.standardise(1e9, mean=0.0, variance=1.0),
        linear.standardise(-1e9, mean=0.0, variance=1.0),
    )


def test_equal_models_have_equal_bytes_and_bytes_are_the_model() -> None:
    body = linear.encode(MODEL)

    assert MODEL == linear.decode(body)
    assert body == linear.encode(linear.decode(body))


@pytest.mark.parametrize(
    "changes",
    [
        {"means": []},
        {"weights": [0.0] * 7},
        {"weights": ["0.5"] * 6},
        {"variances": [-1.0] * 6},
        {"squares": [-1e-300] * 6},
        {"version": -1},
        {"version": 10, "positives": 11},
        {"intercept": None},
        {"intercept": 1e9},
        {"weights": [1e300] * 6},
        {"means": [-1e7] * 6},
        {"kind": "pair"},
        {"features": ["balance"] * 6},
        {"calibration": {"labels": 1, "positives": 2}},
        {"calibration": {"curvature": [1.0, 5.0, 1.0]}},
        {"features": "loan"},
    ],
)
def test_numbers_no_model_can_have_are_refused(changes: dict[str, object]) -> None:
    body = msgspec.json.encode(msgspec.to_builtins(MODEL) | changes)

    with pytest.raises(
        ValueError, match=r"Expected|unequal|positives|Invalid value 'pair'|names a feature twice|curvature"
    ):
        linear.decode(body)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"null"])
@pytest.mark.parametrize("field", ["intercept", "weights", "means", "variances", "squares"])
def test_numbers_that_are_not_finite_are_refused(field: str, number: bytes) -> None:
    said = msgspec.to_builtins(MODEL)
    said[field] = msgspec.Raw(number) if field == "intercept" else [msgspec.Raw(number), *said[field][1:]]

    with pytest.raises(ValueError, match=r"malformed|out of range|Expected `float`"):
        linear.decode(msgspec.json.encode(said))


@given(st.binary(max_size=200))
def test_no_bytes_are_a_model_by_accident(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        linear.decode(body)
