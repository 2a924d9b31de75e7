"""Boosted trees: their export says what LightGBM says, and what is fitted follows from the examples alone."""

import math
from typing import Any

import numpy as np
import pytest

import training
from needstream.models import batch, linear, trees
from needstream.models.batch import BatchContestant

lightgbm = pytest.importorskip("lightgbm", reason="LightGBM is not installed: pip install 'needstream[batch]'")

EXAMPLES = training.examples(700)
PROBES = [values for values, _ in training.examples(1000, seed=11)]


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every booster that is trained, in order, with how many rows it saw."""
    trained: list[Any] = []
    train = lightgbm.train

    def watched(parameters: dict[str, Any], seen: Any, **options: Any) -> Any:
        trained.append((train(parameters, seen, **options), seen.num_data()))
        return trained[-1][0]

    monkeypatch.setattr(lightgbm, "train", watched)
    return trained


def learned(count: int) -> BatchContestant:
    model = BatchContestant("loan", training.FEATURES)
    for values, label in EXAMPLES[:count]:
        model.learn(values, label)
    return model


@pytest.mark.parametrize("count", [200, 700])
def test_the_export_says_what_lightgbm_says(count: int, fits: list[Any]) -> None:
    model = learned(count)
    exported = trees.decode(trees.encode(model.export()))
    extreme = [[value, 0.0, 1e-40, -value, 1.0, -0.0] for value in (1e12, 1e-300, -1.0, 5e-324, 3.5)]
    expected = fits[-1][0].predict(np.array(PROBES + extreme), raw_score=True).tolist()

    assert pytest.approx(expected, abs=1e-9) == [exported.logit(values) for values in PROBES + extreme]
    assert pytest.approx(expected, abs=1e-9) == [model.logit(values) for values in PROBES + extreme]


def test_it_learns() -> None:
    model = learned(700)
    later = [(linear.sigmoid(model.logit(values)), label) for values, label in training.examples(1000, seed=3)]
    positives = [score for score, label in later if label]
    negatives = [score for score, label in later if not label]

    assert sum(positives) / len(positives) > 1.5 * sum(negatives) / len(negatives)


def test_a_fit_is_due_when_the_examples_have_grown(fits: list[Any]) -> None:
    model = learned(0)
    for values, label in EXAMPLES:
        model.learn(values, label)
        model.logit(values)

    assert list(range(200, 701, 50)) == [rows for _, rows in fits]


def test_between_two_fits_only_the_counts_change(fits: list[Any]) -> None:
    model = learned(200)
    before = model.export()
    for values, label in EXAMPLES[200:249]:
        model.learn(values, label)
    after = model.export()

    assert (200, 249) == (before.version, after.version)
    assert (before.starts, before.threshold, before.value) == (after.starts, after.threshold, after.value)
    assert 1 == len(fits)


@pytest.mark.parametrize("stop", [0, 150, 200, 230, 250, 251, 699, 700])
def test_a_history_that_was_brought_back_gives_the_same_trees_with_one_fit(stop: int, fits: list[Any]) -> None:
    rebuilt = BatchContestant("loan", training.FEATURES)
    for values, label in EXAMPLES[:stop]:
        rebuilt.recall(values, label)
    at_once = trees.encode(rebuilt.export())
    fitted = len(fits)
    for values, label in EXAMPLES[stop:]:
        rebuilt.learn(values, label)

    assert (1 if stop >= 200 else 0) == fitted
    assert trees.encode(learned(stop).export()) == at_once
    assert trees.encode(learned(700).export()) == trees.encode(rebuilt.export())


def test_a_fit_sees_the_newest_examples_only(monkeypatch: pytest.MonkeyPatch, fits: list[Any]) -> None:
    monkeypatch.setattr(batch, "MEMORY", 300)
    asked, recalled = learned(0), learned(0)
    for values, label in EXAMPLES[:640]:
        asked.learn(values, label)
        asked.logit(values)
        recalled.recall(values, label)

    assert [200, 250, 300, 300, 300, 300, 300, 300, 300] == [rows for _, rows in fits]
    assert asked.export() == recalled.export()


def test_before_there_are_enough_of_both_classes_it_says_the_expected_rate(fits: list[Any]) -> None:
    model = BatchContestant("loan", training.FEATURES)
    negatives = [values for values, label in training.examples(700, seed=5) if not label]
    positives = [values for values, label in training.examples(700, seed=5) if label]
    for values in (*negatives[:300], *positives[:9]):
        model.learn(values, values in positives)
    before = model.export().score(PROBES[0])
    model.learn(positives[9], label=True)
    model.export()

    assert pytest.approx(batch.EXPECTED_RATE) == before
    assert [310] == [rows for _, rows in fits]


def test_examples_in_which_nothing_varies_give_the_share_of_positives() -> None:
    model = BatchContestant("loan", training.FEATURES)
    for place in range(400):
        model.learn([1.0] * 6, label=place % 4 == 0)

    assert pytest.approx(0.25, abs=1e-3) == model.export().score([1.0] * 6)


def test_an_example_weighs_as_many_as_its_weight_says() -> None:
    model = BatchContestant("loan", training.FEATURES)
    for place in range(400):
        model.learn([1.0] * 6, label=place % 4 == 0, weight=3.0 if place % 4 == 0 else 1.0)

    assert pytest.approx(0.5, abs=1e-3) == model.export().score([1.0] * 6)


def test_values_that_are_not_finite_are_learned_as_zero_and_large_ones_as_the_largest() -> None:
    poisoned, clean = learned(0), learned(0)
    for place, (values, label) in enumerate(EXAMPLES[:300]):
        poison, instead = [(math.nan, 0.0), (math.inf, 0.0), (1e300, 1e12), (-1e300, -1e12)][place % 4]
        poisoned.learn([poison, *values[1:]], label)
        clean.learn([instead, *values[1:]], label)

    assert clean.export() == poisoned.export()


@pytest.mark.parametrize("values", [[1.0], [1.0] * 7, []])
def test_a_vector_of_another_length_is_refused(values: list[float]) -> None:
    model = learned(250)
    for verb in (lambda: model.learn(values, label=True), lambda: model.logit(values)):
        with pytest.raises(ValueError, match="values for the 6 features of model 'loan'"):
            verb()

    assert learned(250).export() == model.export()


def test_a_hundred_rounds_of_a_wide_pack_stay_far_below_a_message() -> None:
    model = BatchContestant("loan", tuple(f"feature{place}" for place in range(36)))
    for values, label in training.examples(1500):
        model.learn([value * (1 + place) for place in range(6) for value in values], label)

    assert len(trees.encode(model.export())) < 150_000
