"""Online learning: what River says, no number that poisons, a restart that nobody notices."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import compose, linear_model, optim, preprocessing

import training
from needstream.models import linear, online_model
from needstream.models.calibration import Calibration
from needstream.models.online_model import OnlineModel

EXAMPLES = training.examples(400)
PROBES = [values for values, _ in training.examples(40, seed=11)]


class Squashed(preprocessing.StandardScaler):
    """The recipe written with River alone: the oracle of what our model must say."""

    def transform_one(self, x: dict[str, float]) -> dict[str, float]:
        return {name: max(-5.0, min(5.0, z)) for name, z in super().transform_one(x).items()}


def named(values: list[float]) -> dict[str, float]:
    logarithms = [math.copysign(math.log1p(abs(value)), value) for value in values]
    return dict(zip(training.FEATURES, logarithms, strict=True))


def river_pipeline() -> compose.Pipeline:
    rate = online_model.EXPECTED_RATE
    return Squashed() | linear_model.LogisticRegression(
        optim.AdaGrad(online_model.LEARNING_RATE), intercept_init=math.log(rate / (1 - rate))
    )


def test_scores_are_those_of_a_river_pipeline_all_along_the_stream() -> None:
    ours, rivers = OnlineModel("loan", training.FEATURES), river_pipeline()
    said, expected, exported = [], [], []
    for values, label in EXAMPLES:
        said.append(ours.score(values))
        exported.append(ours.export().score(values))
        expected.append(rivers.predict_proba_one(named(values))[True])
        rivers.learn_one(named(values), label)
        ours.learn(values, label)

    assert pytest.approx(expected, abs=1e-12) == said
    assert pytest.approx(expected, abs=1e-9) == exported
    assert 0.4 < max(said) - min(said)


def test_an_unlearned_model_says_the_expected_rate() -> None:
    model = OnlineModel("loan", training.FEATURES)

    assert pytest.approx(online_model.EXPECTED_RATE) == model.score(PROBES[0])
    assert pytest.approx(online_model.EXPECTED_RATE) == model.export().score(PROBES[0])


def test_it_learns() -> None:
    model = training.trained(2000)
    later = [(model.score(values), label) for values, label in training.examples(1000, seed=3)]
    positives = [score for score, label in later if label]
    negatives = [score for score, label in later if not label]

    assert sum(positives) / len(positives) > 1.5 * sum(negatives) / len(negatives)


@pytest.mark.parametrize("stop", [0, 1, 2, 3, 50, 199, 399, 400])
def test_going_on_from_an_export_is_as_if_nothing_had_stopped(stop: int) -> None:
    """Bit for bit, through text, in numbers and in scores."""
    uninterrupted, stopped = OnlineModel("loan", training.FEATURES), OnlineModel("loan", training.FEATURES)
    for place, (values, label) in enumerate(EXAMPLES):
        if place == stop:
            stopped = OnlineModel.restore(linear.decode(linear.encode(stopped.export())))
        uninterrupted.learn(values, label)
        stopped.learn(values, label)

    assert linear.encode(uninterrupted.export()) == linear.encode(stopped.export())
    assert [uninterrupted.score(probe) for probe in PROBES] == [stopped.score(probe) for probe in PROBES]


def test_a_restart_after_every_example_changes_nothing() -> None:
    model = OnlineModel("loan", training.FEATURES)
    for values, label in EXAMPLES[:100]:
        model = OnlineModel.restore(linear.decode(linear.encode(model.export())))
        model.learn(values, label)

    assert training.trained(100).export() == model.export()


def test_scoring_changes_nothing() -> None:
    model, untouched = training.trained(100), training.trained(100)
    before = model.export()
    for probe in PROBES:
        model.score(probe)
    after = model.export()
    for values, label in EXAMPLES[100:150]:
        model.learn(values, label)
        untouched.learn(values, label)

    assert before == after
    assert untouched.export() == model.export()


def test_scoring_an_unlearned_model_changes_nothing() -> None:
    model = OnlineModel("loan", training.FEATURES)
    model.score(PROBES[0])
    model.learn(*EXAMPLES[0])

    assert training.trained(1).export() == model.export()


extremes = st.sampled_from([math.nan, math.inf, -math.inf, 1e300, -1e300, 1.7e308, 5e-324, 0.0, 1.0])
rows = st.lists(extremes | st.floats(), min_size=6, max_size=6)


@given(st.lists(st.tuples(rows, st.booleans()), min_size=1, max_size=15))
def test_no_value_poisons_a_model(poison: list[tuple[list[float], bool]]) -> None:
    model = training.trained(20)
    for values, label in poison:
        model.learn(values, label)
    for values, label in EXAMPLES[:20]:
        model.learn(values, label)
    exported = model.export()
    learned = (*exported.means, *exported.variances, *exported.weights, *exported.squares, exported.intercept)

    assert all(math.isfinite(number) for number in learned)
    assert all(0.0 <= model.score(probe) <= 1.0 for probe in PROBES)
    assert exported == linear.decode(linear.encode(exported))


@given(rows)
def test_a_value_that_is_not_finite_is_learned_as_zero(values: list[float]) -> None:
    poisoned, clean = training.trained(20), training.trained(20)
    poisoned.learn(values, label=True)
    clean.learn([value if math.isfinite(value) else 0.0 for value in values], label=True)

    assert clean.export() == poisoned.export()


def test_the_raw_logit_is_that_of_the_score_and_of_the_export() -> None:
    model = training.trained(300)
    exported = model.export()

    assert pytest.approx([model.score(probe) for probe in PROBES], abs=1e-12) == [
        linear.sigmoid(model.logit(probe)) for probe in PROBES
    ]
    assert pytest.approx([exported.logit(probe) for probe in PROBES], abs=1e-9) == [
        model.logit(probe) for probe in PROBES
    ]


@pytest.mark.parametrize("weight", [0.25, 3.0])
def test_a_weight_is_what_river_makes_of_it(weight: float) -> None:
    ours, rivers = OnlineModel("loan", training.FEATURES), river_pipeline()
    scaler, regression = rivers.steps.values()
    for values, label in EXAMPLES:
        scaler.learn_one(named(values))
        regression.learn_one(scaler.transform_one(named(values)), label, w=weight)
        ours.learn(values, label, weight=weight)

    assert pytest.approx([rivers.predict_proba_one(named(probe))[True] for probe in PROBES], abs=1e-12) == [
        ours.score(probe) for probe in PROBES
    ]
    assert training.trained(400).export().means == ours.export().means
    assert training.trained(400).export().weights != ours.export().weights


@pytest.mark.parametrize("weight", [-0.1, 100.5, math.nan, math.inf])
def test_a_weight_that_no_example_has_is_refused(weight: float) -> None:
    model = training.trained(10)
    with pytest.raises(ValueError, match="weight"):
        model.learn(PROBES[0], label=True, weight=weight)

    assert training.trained(10).export() == model.export()


def test_recalling_changes_nothing() -> None:
    model = training.trained(50)
    model.recall(*EXAMPLES[0])

    assert training.trained(50).export() == model.export()


def test_the_calibration_goes_with_the_numbers() -> None:
    line = Calibration(labels=1000, positives=100, slope=0.5, offset=0.25, gain=1000.0)
    exported = training.trained(50).export(calibrated=line)

    assert line == linear.decode(linear.encode(exported)).calibration
    assert training.trained(50).score(PROBES[0]) == pytest.approx(exported.score(PROBES[0]))


def test_the_numbers_count_what_was_learned() -> None:
    exported = training.trained(400).export()

    assert (400, sum(label for _, label in EXAMPLES)) == (exported.version, exported.positives)


def test_a_vector_of_another_length_is_refused() -> None:
    model = training.trained(10)

    with pytest.raises(ValueError, match="shorter"):
        model.learn([1.0], label=True)
    assert training.trained(10).export() == model.export()
