"""The pair: what two River pipelines say, River's own laws, no number that poisons, a restart that nobody notices."""

import math
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import base, checks, compose, linear_model, optim, preprocessing

import training
from needstream.models import pair, pair_model
from needstream.models.pair import PairClassifier

EXAMPLES = training.examples(400)
PROBES = [values for values, _ in training.examples(40, seed=11)]


class Clipped(preprocessing.StandardScaler):
    """River's scaler with a clip."""

    def transform_one(self, x: dict[str, float]) -> dict[str, float]:
        return {name: max(-5.0, min(5.0, z)) for name, z in super().transform_one(x).items()}


class Buckets(base.Transformer):
    """One-hot buckets of half a deviation; a value a rounding error below a border counts as on it."""

    def transform_one(self, x: dict[str, float]) -> dict[tuple[str, int], float]:
        return {(name, math.floor((z + 5e-10) / 0.5)): 1.0 for name, z in x.items()}


def pipelines() -> tuple[compose.Pipeline, compose.Pipeline]:
    start = math.log(pair.EXPECTED_RATE / (1 - pair.EXPECTED_RATE))
    both = {"intercept_init": start, "intercept_lr": Intercept()}
    scaled = Clipped() | linear_model.LogisticRegression(optim.AdaGrad(pair.ADAGRAD_RATE), **both)
    bucketed = Clipped() | Buckets() | linear_model.LogisticRegression(optim.SGD(Falling()), **both)
    return scaled, bucketed


class Falling(optim.base.Scheduler):
    """The rate of the buckets while ``EXAMPLES`` are learned; River counts steps from 0."""

    def get(self, t: int) -> float:
        positives = sum(label for _, label in EXAMPLES[: t + 1])
        rarer = min(positives, t + 1 - positives)
        return pair.BUCKET_RATE * (1 + pair.EARLY_BUCKETS / (1 + rarer / pair.EARLY_EXAMPLES))


class Intercept(optim.base.Scheduler):
    """The rate of the intercepts; River counts steps from 0."""

    def get(self, t: int) -> float:
        return max(pair.INTERCEPT_RATE, pair.EARLY_INTERCEPT / (t + 21))


def logarithms(values: list[float]) -> dict[str, float]:
    squashed = [math.copysign(math.log1p(abs(value)), value) for value in values]
    return dict(zip(training.FEATURES, squashed, strict=True))


def named(values: list[float]) -> dict[str, float]:
    return dict(zip(training.FEATURES, values, strict=True))


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def learned(count: int) -> PairClassifier:
    model = PairClassifier("loan", training.FEATURES)
    for values, label in EXAMPLES[:count]:
        model.learn(values, label)
    return model


def through_text(model: PairClassifier) -> PairClassifier:
    return PairClassifier.restore(pair_model.decode(pair_model.encode(model.export())))


def test_scores_are_the_mean_of_two_river_pipelines_all_along_the_stream() -> None:
    ours, (scaled, bucketed) = PairClassifier("loan", training.FEATURES), pipelines()
    said, expected = [], []
    for values, label in EXAMPLES:
        river = [logit(each.predict_proba_one(logarithms(values))[True]) for each in (scaled, bucketed)]
        said.append((*ours.logits(values), ours.logit(values)))
        expected.append((*river, sum(river) / 2))
        for each in (scaled, bucketed):
            each.learn_one(logarithms(values), label)
        ours.learn(values, label)

    assert pytest.approx(np.array(expected), abs=1e-9) == np.array(said)
    assert 0.4 < max(said)[2] - min(said)[2]


@pytest.fixture(scope="module", autouse=True)
def no_scikit_learn() -> Iterator[None]:
    """River's checks import scikit-learn for regressions only, which are not checked here."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "sklearn", types.ModuleType("sklearn"))
        patched.setattr(sys.modules["sklearn"], "datasets", None, raising=False)
        yield


@pytest.mark.parametrize("model", [PairClassifier(), PairClassifier("phishing", ("ssl_final_state", "popup_window"))])
def test_it_keeps_every_law_that_river_checks(model: PairClassifier) -> None:
    kept = []
    for check in checks.yield_checks(model):
        check(model.clone())
        kept.append(check.__name__)

    assert {"check_shuffle_features_no_impact", "check_clone_is_independent", "check_bounded_memory_growth"} <= set(
        kept
    )


def test_the_face_of_river_learns_what_the_lists_learn() -> None:
    by_list, by_name = PairClassifier("loan", training.FEATURES), PairClassifier("loan", training.FEATURES)
    for values, label in EXAMPLES:
        by_list.learn(values, label)
        by_name.learn_one(dict(reversed(named(values).items())) | {"unknown": 1.0}, label)

    assert by_list.export() == by_name.export()
    assert [by_list.score(probe) for probe in PROBES] == [
        by_name.predict_proba_one(named(probe))[True] for probe in PROBES
    ]


def test_a_name_that_appears_late_was_always_zero() -> None:
    late, always = PairClassifier(), PairClassifier()
    for place, (values, label) in enumerate(EXAMPLES[:60]):
        balance = {"balance": values[1] if place >= 20 else 0.0}
        interest = {"interest": values[0]}
        always.learn_one(interest | balance, label)
        late.learn_one(interest | (balance if place >= 20 else {}), label)
    buckets = pair_model.BUCKETS

    assert always.export().means == pytest.approx(late.export().means)
    assert always.export().variances == pytest.approx(late.export().variances)
    assert always.export().bucket_counts[buckets:] == late.export().bucket_counts[buckets:]


def test_an_unlearned_pair_says_the_expected_rate() -> None:
    assert pytest.approx(pair.EXPECTED_RATE) == PairClassifier("loan", training.FEATURES).score(PROBES[0])
    assert pytest.approx(pair.EXPECTED_RATE) == PairClassifier().predict_proba_one({"unseen": 1.0})[True]


def test_it_learns() -> None:
    model = PairClassifier("loan", training.FEATURES)
    for values, label in training.examples(2000):
        model.learn(values, label)
    later = [(model.score(values), label) for values, label in training.examples(1000, seed=3)]
    positives = [score for score, label in later if label]
    negatives = [score for score, label in later if not label]

    assert sum(positives) / len(positives) > 1.5 * sum(negatives) / len(negatives)


@pytest.mark.parametrize("stop", [0, 1, 2, 3, 50, 199, 399, 400])
def test_going_on_from_an_export_is_as_if_nothing_had_stopped(stop: int) -> None:
    """Bit for bit, through text, in numbers and in scores."""
    uninterrupted, stopped = learned(0), learned(0)
    for place, (values, label) in enumerate(EXAMPLES):
        if place == stop:
            stopped = through_text(stopped)
        uninterrupted.learn(values, label)
        stopped.learn(values, label)

    assert pair_model.encode(uninterrupted.export()) == pair_model.encode(stopped.export())
    assert [uninterrupted.score(probe) for probe in PROBES] == [stopped.score(probe) for probe in PROBES]


def test_a_restart_after_every_example_changes_nothing() -> None:
    model = learned(0)
    for values, label in EXAMPLES[:100]:
        model = through_text(model)
        model.learn(values, label)

    assert learned(100).export() == model.export()


def test_scoring_changes_nothing() -> None:
    model = learned(100)
    before = model.export()
    for probe in PROBES:
        model.score(probe)
        model.predict_proba_one(named(probe) | {"unknown": 1.0})

    assert before == model.export()


extremes = st.sampled_from([math.nan, math.inf, -math.inf, 1e300, -1e300, 1.7e308, 5e-324, 0.0, 1.0])
rows = st.lists(extremes | st.floats(), min_size=6, max_size=6)


@given(st.lists(st.tuples(rows, st.booleans()), min_size=1, max_size=15))
def test_no_value_poisons_a_pair(poison: list[tuple[list[float], bool]]) -> None:
    model = learned(20)
    for values, label in [*poison, *EXAMPLES[:20]]:
        model.learn(values, label)

    assert model.export() == pair_model.decode(pair_model.encode(model.export()))
    assert all(0.0 < model.score(probe) < 1.0 for probe in PROBES)


@pytest.mark.parametrize("weight", [0.25, 1.0, 3.0])
def test_a_weight_scales_the_gradients_and_nothing_else(weight: float) -> None:
    """As the same River pipelines say it, with the weight given to their regressions."""
    ours, (scaled, bucketed) = PairClassifier("loan", training.FEATURES), pipelines()
    said, expected = [], []
    for place, (values, label) in enumerate(EXAMPLES):
        said.append(ours.logits(values))
        expected.append(tuple(logit(each.predict_proba_one(logarithms(values))[True]) for each in (scaled, bucketed)))
        counts = weight if place % 2 else 1.0
        for each in (scaled, bucketed):
            *transformers, regression = each.steps.values()
            row = logarithms(values)
            for transformer in transformers:
                if isinstance(transformer, Clipped):
                    transformer.learn_one(row)
                row = transformer.transform_one(row)
            regression.learn_one(row, label, w=counts)
        ours.learn(values, label, weight=counts)
    unweighted = learned(400).export()

    assert pytest.approx(np.array(expected), abs=1e-9) == np.array(said)
    assert unweighted.means == ours.export().means
    assert unweighted.bucket_counts == ours.export().bucket_counts
    assert (unweighted == ours.export()) is (weight == 1.0)


@pytest.mark.parametrize("weight", [-0.1, 100.5, math.nan, math.inf])
def test_a_weight_that_no_example_has_is_refused(weight: float) -> None:
    model = learned(10)
    with pytest.raises(ValueError, match="weight"):
        model.learn(PROBES[0], label=True, weight=weight)

    assert learned(10).export() == model.export()


def test_an_example_that_weighs_nothing_turns_nothing() -> None:
    model = learned(50)
    before = model.export()
    model.learn(*EXAMPLES[50], weight=0.0)
    after = model.export()

    assert (before.weights, before.bucket_weights) == (after.weights, after.bucket_weights)
    assert (50, 51) == (before.version, after.version)


def test_recalling_changes_nothing() -> None:
    model = learned(50)
    model.recall(*EXAMPLES[0])

    assert learned(50).export() == model.export()


@given(rows)
def test_a_value_that_is_not_finite_is_learned_as_zero(values: list[float]) -> None:
    poisoned, clean = learned(20), learned(20)
    poisoned.learn(values, label=True)
    clean.learn([value if math.isfinite(value) else 0.0 for value in values], label=True)

    assert clean.export() == poisoned.export()


def test_two_even_groups_stand_on_the_right_side_of_their_borders() -> None:
    """Exactly one deviation from the mean: a rounding error must not choose the bucket."""
    model = PairClassifier("loan", ("even",))
    for place in range(200):
        model.learn([3.3 * (place % 2)], label=bool(place % 2))
    counts = model.export().bucket_counts

    assert [0.0, pytest.approx(1.0)] == [
        model.export().means[0] * 0,
        math.log1p(3.3) / 2 / model.export().deviations()[0],
    ]
    assert 200 == sum(counts)
    assert 90 < counts[pair_model.BUCKETS // 2 + 2]


@pytest.mark.parametrize("values", [[1.0], [1.0] * 7, []])
def test_a_vector_of_another_length_is_refused(values: list[float]) -> None:
    model = learned(10)
    for verb in (lambda: model.learn(values, label=True), lambda: model.score(values)):
        with pytest.raises(ValueError, match="values for the 6 features of model 'loan'"):
            verb()

    assert learned(10).export() == model.export()


def test_labels_of_any_kind_of_boolean_are_the_same() -> None:
    def taught(kind: Any) -> PairClassifier:
        model = PairClassifier("loan", training.FEATURES)
        for values, label in EXAMPLES[:50]:
            model.learn_one(named(values), kind(label))
        return model

    assert taught(bool).export() == taught(np.bool_).export() == taught(int).export()
