"""One interface for every kind: what begins, what resumes, and what an export has to be."""

from typing import Any

import msgspec
import pytest
from msgspec import Struct

import training
from needstream.models import batch, contestants
from needstream.models.calibration import Calibration
from needstream.models.contestants import Exported

KINDS = ["pair", "replayed", "linear", "forest", "batch"]
EXAMPLES = training.examples(260)
LINE = Calibration(labels=1000, positives=100, slope=0.5, offset=0.25, gain=1000.0)


class Holder(Struct):
    """Something that has an export for a field."""

    model: Exported


def needs(kind: str) -> None:
    if not contestants.is_available(kind):
        pytest.skip("LightGBM is not installed: pip install 'needstream[batch]'")


def learned(kind: str, count: int = 260) -> contestants.Contestant:
    needs(kind)
    model = contestants.begin(kind, "loan", features=training.FEATURES)
    for values, label in EXAMPLES[:count]:
        model.learn(values, label)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_its_export_says(kind: str) -> None:
    model = learned(kind)
    exported = model.export(calibrated=LINE)
    said = [(model.logit(values), exported.logit(values)) for values, _ in training.examples(50, seed=3)]

    assert [pytest.approx(expected, abs=1e-9) for expected, _ in said] == [found for _, found in said]
    assert (kind, "loan", 260) == (model.kind, model.name, model.examples)
    assert (260, model.positives) == (exported.version, exported.positives)
    assert ("loan", training.FEATURES, LINE) == (
        exported.name,
        exported.features,
        exported.calibration,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_export_stands_as_a_field_and_comes_back_as_it_was(kind: str) -> None:
    exported = learned(kind).export(calibrated=LINE)
    back = msgspec.json.decode(msgspec.json.encode(Holder(exported)), type=Holder).model
    contestants.check(back)

    assert exported == back
    assert type(exported) is type(back)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop", [0, 1, 100, 230])
def test_every_kind_goes_on_as_if_nothing_had_stopped(kind: str, stop: int) -> None:
    """From its export, and shown the past examples again."""
    stopped = contestants.resume(kind, learned(kind, stop).export())
    for values, label in EXAMPLES[:stop]:
        stopped.recall(values, label)
    for values, label in EXAMPLES[stop:]:
        stopped.learn(values, label)

    assert msgspec.json.encode(learned(kind).export()) == msgspec.json.encode(stopped.export())


@pytest.mark.parametrize("kind", KINDS)
def test_asking_teaches_nothing(kind: str) -> None:
    model = learned(kind, 100)
    for values, label in EXAMPLES[100:]:
        model.logit(values)
        model.export()
        model.learn(values, label)

    assert learned(kind).export() == model.export()


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_of_one_changes_nothing_and_an_absurd_one_is_refused(kind: str) -> None:
    model = learned(kind, 0)
    for values, label in EXAMPLES:
        model.learn(values, label, weight=1.0)
        with pytest.raises(ValueError, match="weight"):
            model.learn(values, label, weight=101.0)

    assert learned(kind).export() == model.export()


@pytest.mark.parametrize(
    ("kind", "expected"), [("pair", False), ("replayed", False), ("linear", False), ("forest", True), ("batch", True)]
)
def test_trees_are_rebuilt_from_every_example(kind: str, expected: bool) -> None:
    assert expected is contestants.is_rebuilt(kind)


def test_boosted_trees_are_available_where_their_library_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with_library = [kind for kind in KINDS if contestants.is_available(kind)]
    monkeypatch.setattr(batch, "is_available", lambda: False)

    assert ["pair", "replayed", "linear", "forest"] == [kind for kind in with_library if kind != "batch"]
    assert ["pair", "replayed", "linear", "forest"] == [kind for kind in KINDS if contestants.is_available(kind)]
    with pytest.raises(ValueError, match="'batch' can learn here, only forest, linear, pair, replayed"):
        contestants.begin("batch", "loan", features=("balance",))


@pytest.mark.parametrize("kind", ["blend", "", "oracle"])
def test_an_unknown_kind_is_refused(kind: str) -> None:
    assert not contestants.is_available(kind)
    with pytest.raises(ValueError, match="model loan: no contestant of kind"):
        contestants.begin(kind, "loan", features=training.FEATURES)
    with pytest.raises(ValueError, match="cannot go on from a model of kind 'pair'"):
        contestants.resume(kind, learned("pair").export())


@pytest.mark.parametrize(
    ("kind", "exported"), [("pair", "linear"), ("linear", "pair"), ("replayed", "forest"), ("forest", "pair")]
)
def test_a_contestant_goes_on_from_its_own_kind_only(kind: str, exported: str) -> None:
    with pytest.raises(ValueError, match=f"kind '{kind}' cannot go on from a model of kind"):
        contestants.resume(kind, learned(exported).export())


@pytest.mark.parametrize(
    ("kind", "changes", "why"),
    [
        ("pair", {"means": ()}, "unequal length"),
        ("linear", {"means": ()}, "unequal length"),
        ("forest", {"left": ()}, "unequal length"),
        ("pair", {"positives": 10_000}, "more positives"),
        ("linear", {"positives": 10_000}, "more positives"),
        ("forest", {"positives": 10_000}, "more positives"),
    ],
)
def test_what_no_model_of_its_kind_can_be_is_refused(kind: str, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        contestants.check(msgspec.structs.replace(learned(kind).export(), **changes))


@pytest.mark.parametrize(
    "body", [b'{"model":{}}', b'{"model":{"kind":"forest"}}', b'{"model":null}', b'{"model":{"kind":1}}']
)
def test_a_field_that_says_no_kind_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"missing required field|Invalid value|Expected"):
        msgspec.json.decode(body, type=Holder)
