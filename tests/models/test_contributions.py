"""Contributions sum to what was said, and what is usual says next to nothing."""

import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import training
from needstream.models.calibration import Calibration
from needstream.models.contributions import Explainable, Explainer, Explanation, explain, mixed
from needstream.models.forest import ForestContestant
from needstream.models.logistic import sigmoid
from needstream.models.pair import PairClassifier
from needstream.models.pair_scorer import PairScorer
from needstream.models.trees import Planter, TreesModel

PAIR = PairClassifier("loan", training.FEATURES)
for example, truth in training.examples(600):
    PAIR.learn(example, truth)
EXPLAINER = Explainer(PAIR.export())

numbers = st.floats() | st.sampled_from([math.inf, math.nan, 1e300, -1e300, 5e-324, 0.0, 365.0])
vectors = st.lists(numbers, min_size=6, max_size=6)


@given(vectors)
def test_the_parts_sum_with_the_intercept_to_the_raw_logit(values: list[float]) -> None:
    explained = EXPLAINER.explain(values)

    assert pytest.approx(PAIR.logit(values), abs=1e-9) == explained.intercept + sum(
        part.logit for part in explained.parts
    )
    assert training.FEATURES == tuple(part.feature for part in explained.parts)


@given(vectors, st.integers(0, 7))
def test_the_strongest_come_first_for_and_against(values: list[float], count: int) -> None:
    explained = EXPLAINER.explain(values)
    speaking = [part.logit for part in explained.parts]

    assert sorted((logit for logit in speaking if logit > 0), reverse=True)[:count] == [
        part.logit for part in explained.strongest_for(count)
    ]
    assert sorted(logit for logit in speaking if logit < 0)[:count] == [
        part.logit for part in explained.strongest_against(count)
    ]


def test_what_the_bucketed_learner_adds_is_zero_on_average_over_what_was_learned() -> None:
    """With the buckets the examples fell in when they were learned."""
    model = PAIR.export()
    explained = Explainer(model)
    intercept = (
        model.intercept()
        + sum(
            weight * count / model.version
            for weight, count in zip(model.bucket_weights, model.bucket_counts, strict=True)
        )
        / 2
    )

    assert pytest.approx(intercept) == explained.explain([0.0] * 6).intercept


def test_a_feature_that_never_varied_says_nothing() -> None:
    constant = training.FEATURES.index("credit_score")

    assert 0.0 == EXPLAINER.explain([1.0] * 5 + [900.0]).parts[constant].logit


def test_what_tells_of_the_label_speaks_for_it() -> None:
    explained = EXPLAINER.explain([9.0, 100.0, 1.0, 3.5, 0.0, 0.0])

    assert {"count_7d.interest.loan", "balance"} == {part.feature for part in explained.strongest_for(2)}


def test_an_unlearned_pair_has_no_reasons() -> None:
    explained = Explainer(PairClassifier("loan", training.FEATURES).export()).explain([1.0] * 6)

    assert [] == explained.strongest_for(6) + explained.strongest_against(6)


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        EXPLAINER.explain([1.0])


LINE = Calibration(labels=400, positives=100, slope=0.7, offset=-0.4, gain=1000.0, curvature=(9.0, 0.0, 9.0))
LINEAR = training.trained(300).export()
slopes, offsets = st.floats(0.2, 3.0), st.floats(-6.0, 6.0)


def _warm(slope: float, offset: float) -> Calibration:
    return msgspec.structs.replace(LINE, slope=slope, offset=offset)


def _forest(combine: str, depth: int, seed: int, *, silent: bool = False) -> TreesModel:
    """Full trees with random questions; of ``silent`` ones a quarter of the leaves says nothing."""
    chance = random.Random(seed)
    planter = Planter()

    def plant(left: int) -> int:
        if not left:
            return planter.answer(None if silent and chance.random() < 0.25 else chance.random())
        place = planter.ask(chance.randrange(6), chance.uniform(-3, 9))
        planter.join(place, left=plant(left - 1), right=plant(left - 1))
        return place

    for _ in range(5):
        planter.begin_tree(chance.uniform(0.1, 2))
        plant(depth)
    bare = TreesModel(
        name="loan", version=9, positives=3, features=training.FEATURES, combine=combine, base=-1.0, calibration=LINE
    )
    return planter.into(bare)


@given(vectors, slopes, offsets)
def test_the_parts_of_a_calibrated_pair_sum_to_the_logit_of_the_served_score(
    values: list[float], slope: float, offset: float
) -> None:
    served = PAIR.export(calibrated=_warm(slope, offset))

    assert pytest.approx(PairScorer([served]).scores(values)[0], abs=1e-9) == sigmoid(explain(served, values).logit())


@given(vectors, slopes, offsets)
def test_the_parts_of_a_calibrated_linear_model_sum_to_its_calibrated_logit(
    values: list[float], slope: float, offset: float
) -> None:
    served = msgspec.structs.replace(LINEAR, calibration=_warm(slope, offset))

    assert pytest.approx(served.calibration.logit(served.logit(values)), abs=1e-9) == explain(served, values).logit()


@given(vectors, st.sampled_from(["mean", "sum"]), st.integers(0, 5), st.integers(0, 50), st.booleans())
def test_the_parts_of_trees_sum_to_their_calibrated_logit(
    values: list[float], combine: str, depth: int, seed: int, silent: bool
) -> None:
    served = _forest(combine, depth, seed, silent=silent)

    assert pytest.approx(LINE.logit(served.logit(values)), abs=1e-9) == explain(served, values).logit()


@given(vectors, st.integers(0, 50))
def test_a_feature_that_no_tree_asks_for_adds_nothing(values: list[float], seed: int) -> None:
    served = _forest("mean", 2, seed)
    unasked = {name for place, name in enumerate(training.FEATURES) if place not in served.feature}

    assert {0.0} >= {part.logit for part in explain(served, values).parts if part.feature in unasked}


@pytest.mark.parametrize(("balance", "sign"), [(10.0, 1.0), (1000.0, -1.0)])
def test_the_side_of_a_question_speaks_for_the_feature_that_was_asked(balance: float, sign: float) -> None:
    planter = Planter()
    planter.begin_tree(1.0)
    place = planter.ask(1, 100.0)
    planter.join(place, left=planter.answer(0.9), right=planter.answer(0.1))
    bare = TreesModel(name="loan", version=9, positives=3, features=training.FEATURES, combine="mean", base=0.0)

    explained = explain(planter.into(bare), [0.0, balance, 0.0, 0.0, 0.0, 0.0])

    assert [0.0, math.log(9) * sign, 0.0, 0.0, 0.0, 0.0] == pytest.approx([part.logit for part in explained.parts])
    assert pytest.approx(0.0) == explained.intercept


@given(vectors)
def test_trees_take_from_a_pair_how_far_a_value_is_from_its_mean(values: list[float]) -> None:
    trees, pair = _forest("mean", 2, 1), PAIR.export()

    assert [part.z for part in explain(pair, values).parts] == [
        part.z for part in explain(trees, values, usual=pair).parts
    ]
    assert {None} == {part.z for part in explain(trees, values).parts}


@given(vectors)
def test_a_mixture_of_models_is_explained_by_the_mixture_of_their_parts(values: list[float]) -> None:
    members = [explain(_forest("mean", 2, 1), values), explain(PAIR.export(calibrated=LINE), values)]
    mean = members[0].logit() * 0.3 + members[1].logit() * 0.7

    explained = mixed([(0.3, members[0]), (0.7, members[1])], _warm(1.5, 0.25))

    assert pytest.approx(1.5 * mean + 0.25, abs=1e-9) == explained.logit()
    assert [part.z for part in members[1].parts] == [part.z for part in explained.parts]


def test_raw_logits_are_explained_without_the_calibration() -> None:
    raw = explain(PAIR.export(calibrated=_warm(1.5, 0.25)), [1.0] * 6, calibrated=False)

    assert explain(PAIR.export(), [1.0] * 6) == raw


def test_there_is_no_mixture_of_nothing_or_of_different_features() -> None:
    explained = EXPLAINER.explain([0.0] * 6)
    other = Explanation(0.0, explained.parts[:5])

    for members in ([], [(0.5, explained), (0.5, other)]):
        with pytest.raises(ValueError, match="a mixture is of at least one explanation"):
            mixed(members, LINE)


@pytest.mark.parametrize("served", [PAIR.export(), LINEAR, _forest("mean", 1, 1)], ids=["pair", "linear", "trees"])
def test_a_vector_of_another_length_is_refused_by_every_kind(served: Explainable) -> None:
    with pytest.raises(ValueError, match=r"shorter|longer|values for"):
        explain(served, [1.0])


def test_a_forest_that_has_learned_is_explained_exactly() -> None:
    learner = ForestContestant("loan", training.FEATURES)
    for values, label in training.examples(200):
        learner.learn(values, label)
    served = learner.export(calibrated=LINE)

    for values, _ in training.examples(50, seed=8):
        assert pytest.approx(LINE.logit(learner.logit(values)), abs=1e-9) == explain(served, values).logit()
