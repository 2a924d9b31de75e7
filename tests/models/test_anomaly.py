"""How unusual: River's score from plain numbers, a rank that keeps its meaning, and bodies nobody can have learned."""

import math
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needstream.models import anomaly, anomaly_model
from needstream.models.anomaly import WINDOW, AnomalyLearner
from needstream.models.anomaly_model import AnomalyModel
from needstream.models.anomaly_scorer import AnomalyScorer

FEATURES = (*(f"f{place}" for place in range(12)), "unusual")
SEVERAL_WINDOWS = 3 * WINDOW + 70

Values = tuple[float, ...]


def ordinary(number: int, *, seed: int = 1, shift: float = 0.0) -> list[Values]:
    chance = random.Random(seed)
    return [tuple(abs(chance.gauss(shift, 2.0)) for _ in FEATURES) for _ in range(number)]


ODD: Values = tuple(90_000.0 if place % 2 else 0.0 for place in range(len(FEATURES)))


def learned(number: int) -> AnomalyLearner:
    learner = AnomalyLearner(FEATURES)
    for values in ordinary(number):
        learner.learn(values)
    return learner


@cache
def model() -> AnomalyModel:
    return learned(SEVERAL_WINDOWS).export()


SCORER = AnomalyScorer(model())


def changed_forest(**fields: Any) -> AnomalyModel:
    return msgspec.structs.replace(model(), forest=msgspec.structs.replace(model().forest, **fields))


def test_the_score_is_rivers() -> None:
    learner = learned(SEVERAL_WINDOWS)
    exported = learner.export()

    for values in [*ordinary(200, seed=2), ODD]:
        mapped = learner._mapped(anomaly.linear.squashed(values))
        assert learner._trees.score_one(mapped) == pytest.approx(exported.score(values), abs=1e-9)


def test_the_score_survives_its_way_as_text() -> None:
    body = msgspec.json.encode(model())
    arrived = msgspec.json.decode(body, type=AnomalyModel)

    assert arrived == model()
    assert body == msgspec.json.encode(arrived)
    assert [model().score(values) for values in ordinary(50)] == [arrived.score(values) for values in ordinary(50)]


def test_a_body_says_what_it_is_and_is_small() -> None:
    body = msgspec.json.encode(model())

    assert "anomaly" == msgspec.json.decode(body)["kind"]
    assert len(body) < 200_000


@pytest.mark.parametrize("before", [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW + 123])
def test_a_restored_learner_goes_on_bit_for_bit(before: int) -> None:
    through = learned(before)
    body = msgspec.json.encode(through.export())
    restored = AnomalyLearner.restore(msgspec.json.decode(body, type=AnomalyModel))

    for values in ordinary(WINDOW + 40, seed=3):
        through.learn(values)
        restored.learn(values)

    assert through.export() == restored.export()
    assert through.export().unusual(ODD) == restored.export().unusual(ODD)


def test_learners_of_the_same_vectors_are_equal() -> None:
    assert learned(WINDOW + 9).export() == learned(WINDOW + 9).export()


@pytest.mark.parametrize("field", ["splits", "thresholds", "window"])
def test_over_the_trees_of_another_program_a_learner_begins_anew(field: str) -> None:
    others: dict[str, Any] = {"splits": model().forest.splits[::-1], "thresholds": model().forest.thresholds[::-1]}

    begun = AnomalyLearner.restore(changed_forest(**{field: others.get(field, 2 * WINDOW)}))

    assert AnomalyLearner(FEATURES).export() == begun.export()


numbers = st.floats() | st.sampled_from([math.inf, math.nan, 1e300, -1e300, -0.0, 0.0, 1.0, 365.0])


@given(
    st.lists(numbers, min_size=len(FEATURES), max_size=len(FEATURES)) | st.sampled_from([*ordinary(50, seed=9), ODD])
)
def test_a_scorer_says_what_the_model_says(values: Sequence[float]) -> None:
    assert model().unusual(values) == pytest.approx(SCORER.unusual(values), abs=1e-12)


def test_a_scorer_of_a_young_model_says_nothing() -> None:
    assert AnomalyScorer(learned(WINDOW - 1).export()).unusual(ODD) is None


def test_nothing_is_said_before_a_window_was_learned() -> None:
    young, old = learned(WINDOW - 1).export(), learned(WINDOW).export()

    assert (None, None) == (young.score(ODD), young.unusual(ODD))
    assert old.score(ODD) is not None


def test_an_odd_vector_is_more_unusual_than_all_ordinary_ones() -> None:
    exported = model()
    rank = exported.unusual(ODD)

    assert rank is not None
    assert rank > 0.99
    assert exported.score(ODD) > max(exported.score(values) or 0.0 for values in ordinary(300, seed=4))  # type: ignore[operator]


def test_ranks_of_ordinary_vectors_are_spread_evenly() -> None:
    ranks = sorted(model().unusual(values) or 0.0 for values in ordinary(1000, seed=5))

    assert pytest.approx(0.5, abs=0.1) == ranks[500]
    assert pytest.approx(0.9, abs=0.07) == ranks[900]


def test_few_ranked_vectors_cannot_make_anything_extreme() -> None:
    exported = learned(2 * WINDOW).export()

    assert exported.unusual(ODD) == pytest.approx(WINDOW / (WINDOW + 1), abs=0.02)


def test_ranks_forget() -> None:
    learner = learned(2 * WINDOW)
    before = sum(learner.export().ranks)

    assert before == pytest.approx(WINDOW * 0.5 ** (WINDOW / anomaly.HALF_LIFE))


def test_what_became_usual_is_no_longer_unusual() -> None:
    learner = learned(2 * WINDOW)
    odd_at_first = learner.export().score(ODD)
    for _ in range(2 * WINDOW):
        learner.learn(ODD)

    assert odd_at_first is not None
    assert (learner.export().score(ODD) or 0.0) < odd_at_first


def test_its_own_last_word_is_not_looked_at() -> None:
    place = FEATURES.index("unusual")
    exported = model()

    assert place not in exported.forest.splits
    assert exported.score((*ODD[:place], 0.0)) == exported.score((*ODD[:place], 1.0))


def test_a_pack_with_no_other_feature_has_nothing_else_to_look_at() -> None:
    assert {0} == set(AnomalyLearner(("unusual",)).export().forest.splits)


def test_values_that_are_not_finite_score_as_zero() -> None:
    broken = (float("nan"), float("inf"), *ODD[2:])

    assert model().score((0.0, 0.0, *ODD[2:])) == model().score(broken)


def test_a_learned_model_passes_the_check() -> None:
    for number in (0, 1, WINDOW, WINDOW + 1):
        anomaly_model.check(learned(number).export())
    anomaly_model.check(model())


def hostile() -> dict[str, tuple[AnomalyModel, str]]:
    """Bodies that decode, and what is said of each."""
    whole, forest = model(), model().forest
    plain = {
        "no means": ({"means": ()}, "unequal length"),
        "too few variances": ({"variances": (1.0,)}, "unequal length"),
        "a feature twice": ({"features": ("f0",) * len(FEATURES)}, "twice"),
        "too few ranks": ({"ranks": (1.0,)}, "classes"),
        "less than a window learned": ({"version": 3}, "add up"),
        "one more learned": ({"version": whole.version + 1}, "gathered"),
    }
    trees = {
        "too few splits": ({"splits": forest.splits[1:]}, "splits"),
        "too few thresholds": ({"thresholds": forest.thresholds[1:]}, "splits"),
        "too few masses": ({"masses": forest.masses[1:]}, "masses"),
        "nothing gathered": ({"gathered": ()}, "masses"),
        "too high": ({"height": forest.height + 1}, "splits"),
        "too few trees": ({"trees": forest.trees - 1}, "splits"),
        "a feature it does not have": ({"splits": (99, *forest.splits[1:])}, "does not have"),
        "a root of another window": ({"masses": (7, *forest.masses[1:])}, "window"),
        "a leaf heavier than its parent": ({"masses": (*forest.masses[:-1], 9999)}, "window"),
        "a leaf that gathered alone": ({"gathered": (*forest.gathered[:-1], 9999)}, "gathered"),
    }
    return {
        **{name: (msgspec.structs.replace(whole, **fields), said) for name, (fields, said) in plain.items()},
        **{name: (changed_forest(**fields), said) for name, (fields, said) in trees.items()},
    }


@pytest.mark.parametrize("name", hostile())
def test_numbers_no_learner_can_come_to_are_refused(name: str) -> None:
    body, complaint = hostile()[name]

    with pytest.raises(ValueError, match=complaint):
        anomaly_model.check(body)


@pytest.mark.parametrize(
    ("field", "number"),
    [("trees", 10**9), ("height", 60), ("window", 0), ("splits", [-1]), ("thresholds", [1e300]), ("masses", [-1])],
)
def test_numbers_out_of_range_are_not_even_decoded(field: str, number: Any) -> None:
    body = msgspec.to_builtins(model())
    body["forest"][field] = number

    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(body), type=AnomalyModel)
