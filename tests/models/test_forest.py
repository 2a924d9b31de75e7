"""The forest: its export says what River says, equal examples give equal trees, no number breaks it."""

import math
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import forest as river_forest

import training
from needstream.models import forest, linear, trees
from needstream.models.forest import ForestContestant
from needstream.models.trees import Planter

EXAMPLES = training.examples(1500)
PROBES = [values for values, _ in training.examples(1000, seed=11)]


def learned(count: int) -> ForestContestant:
    model = ForestContestant("loan", training.FEATURES)
    for values, label in EXAMPLES[:count]:
        model.learn(values, label)
    return model


def logarithms(values: list[float]) -> dict[int, float]:
    return dict(enumerate(math.copysign(math.log1p(abs(value)), value) for value in values))


def rivers(count: int) -> river_forest.ARFClassifier:
    model = river_forest.ARFClassifier(n_models=forest.TREES, leaf_prediction="mc", seed=forest.SEED)
    for values, label in EXAMPLES[:count]:
        model.learn_one(logarithms(values), label)
    return model


@pytest.mark.parametrize("count", [1, 2, 3, 30, 400, 1500])
def test_the_export_says_what_river_says(count: int) -> None:
    ours, river = learned(count), rivers(count)
    exported = trees.decode(trees.encode(ours.export()))
    expected = [river.predict_proba_one(logarithms(probe)).get(True, 0.0) for probe in PROBES]

    assert pytest.approx(expected, abs=1e-9) == [linear.sigmoid(exported.logit(probe)) for probe in PROBES]
    assert pytest.approx(expected, abs=1e-9) == [linear.sigmoid(ours.logit(probe)) for probe in PROBES]


def test_trees_that_were_never_right_and_leaves_that_saw_nothing_are_exported_as_river_counts_them() -> None:
    chance = random.Random(3)
    ours = ForestContestant("loan", ("one", "two"))
    for place in range(3000):
        values = [chance.choice([0.0, 1.0, 1e12]), float(place % 7)]
        ours.learn(values, label=(place // 500) % 2 == 0)
        if place % 250 == 0:
            exported = ours.export()
            probes = [[chance.choice([0.0, 0.5, 1e11]), chance.uniform(-1, 8)] for _ in range(50)]
            assert pytest.approx([ours.logit(probe) for probe in probes], abs=1e-9) == [
                exported.logit(probe) for probe in probes
            ]


def test_a_tree_grows_no_further_than_its_leaves_and_goes_on_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    free = learned(1000).export()
    monkeypatch.setattr(forest, "MAX_LEAVES", 5)
    model = learned(1000)
    bounded = model.export()
    for values, label in EXAMPLES[1000:]:
        model.learn(values, label)
    later = model.export()

    assert len(bounded.feature) <= forest.TREES * 9 < len(free.feature)
    assert len(later.feature) <= forest.TREES * 9
    assert bounded.value != later.value


thresholds = st.floats(-27.7, 27.7) | st.sampled_from([0.0, -0.0, math.log1p(1.0), math.log1p(1e12), 100.0, -100.0])


@given(thresholds, st.floats(-1e12, 1e12))
def test_a_raw_value_is_on_the_side_of_its_logarithm(threshold: float, value: float) -> None:
    raw = forest.raw_threshold(threshold)
    around = [math.nextafter(raw, -math.inf), raw, math.nextafter(raw, math.inf), value]
    held = [max(-1e12, min(1e12, each)) for each in around]

    assert [linear.squash(each) <= threshold for each in held if abs(raw) < 1e12] == [
        each <= raw for each in held if abs(raw) < 1e12
    ]


def test_it_learns_splits() -> None:
    model = learned(1500)
    positives = [linear.sigmoid(model.logit(values)) for values, label in training.examples(500, seed=3) if label]
    negatives = [linear.sigmoid(model.logit(values)) for values, label in training.examples(500, seed=3) if not label]

    assert sum(positives) / len(positives) > 1.5 * sum(negatives) / len(negatives)


def test_an_unlearned_forest_says_the_expected_rate_and_asking_changes_nothing() -> None:
    asked = learned(0)
    asked.logit(PROBES[0])
    for values, label in EXAMPLES[:300]:
        asked.logit(values)
        asked.learn(values, label)

    assert pytest.approx(forest.EXPECTED_RATE) == linear.sigmoid(learned(0).logit(PROBES[0]))
    assert pytest.approx(forest.EXPECTED_RATE) == learned(0).export().score(PROBES[0])
    assert learned(300).export() == asked.export()


def test_recalling_is_learning_again() -> None:
    rebuilt = ForestContestant("loan", training.FEATURES)
    for values, label in EXAMPLES[:400]:
        rebuilt.recall(values, label)

    assert learned(400).export() == rebuilt.export()


def test_equal_examples_give_equal_trees_in_another_process() -> None:
    program = (
        "import training; from needstream.models import forest, trees\n"
        "model = forest.ForestContestant('loan', training.FEATURES)\n"
        "for values, label in training.examples(400): model.learn(values, label)\n"
        "print(trees.encode(model.export()).decode(), end='')"
    )
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {training.__file__.rpartition('/')[0]!r})\n{program}",
    ]
    said = subprocess.run(command, env={"PYTHONHASHSEED": "12345"}, capture_output=True, check=True)

    assert trees.encode(learned(400).export()) == said.stdout


def test_an_example_counts_as_often_as_its_weights_add_up_to_for_its_label() -> None:
    halved, once = ForestContestant("loan", training.FEATURES), ForestContestant("loan", training.FEATURES)
    for values, label in EXAMPLES[:200]:
        halved.learn(values, label, weight=0.5)
        halved.learn(values, label, weight=0.5)
        once.learn(values, label)

    assert 400 == halved.export().version
    assert once.export().value == halved.export().value


def test_full_trees_with_every_number_at_its_longest_stay_below_half_a_message() -> None:
    chance, planter = random.Random(7), Planter()

    def grow(depth: int) -> int:
        if 2**depth == forest.MAX_LEAVES:
            return planter.answer(chance.random() * 1e-5)
        place = planter.ask(34, -chance.random() * 1e-5)
        left = grow(depth + 1)
        planter.join(place, left=left, right=grow(depth + 1))
        return place

    for _ in range(forest.TREES):
        planter.begin_tree(chance.random())
        grow(0)
    features = tuple(f"count_30d.interest.insurance.{place}" for place in range(35))
    unplanted = ForestContestant("remittance", features).export()

    assert len(trees.encode(planter.into(unplanted))) < 200_000


extremes = st.sampled_from([math.nan, math.inf, -math.inf, 1e300, -1e300, 1.7e308, 5e-324, 0.0, 1.0])
rows = st.lists(extremes | st.floats(), min_size=6, max_size=6)


@settings(max_examples=25)
@given(st.lists(st.tuples(rows, st.booleans()), min_size=1, max_size=15))
def test_no_value_breaks_a_forest(poison: list[tuple[list[float], bool]]) -> None:
    model = ForestContestant("loan", training.FEATURES)
    for values, label in [*poison * 10, *EXAMPLES[:20]]:
        model.learn(values, label)
    exported = model.export()

    assert exported == trees.decode(trees.encode(exported))
    assert all(math.isfinite(exported.logit(values)) for values, _ in poison)


@pytest.mark.parametrize("values", [[1.0], [1.0] * 7, []])
def test_a_vector_of_another_length_is_refused(values: list[float]) -> None:
    model = learned(10)
    for verb in (lambda: model.learn(values, label=True), lambda: model.logit(values)):
        with pytest.raises(ValueError, match="values for the 6 features of model 'loan'"):
            verb()

    assert learned(10).export() == model.export()


@pytest.mark.parametrize("weight", [-0.1, 100.5, math.nan, math.inf])
def test_a_weight_that_no_example_has_is_refused(weight: float) -> None:
    model = learned(10)
    with pytest.raises(ValueError, match="weight"):
        model.learn(PROBES[0], label=True, weight=weight)

    assert learned(10).export() == model.export()
