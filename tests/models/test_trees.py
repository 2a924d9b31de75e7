"""Trees as plain numbers: every walk ends, nothing overflows, and what no trees can be is refused."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needstream.models import trees
from needstream.models.trees import LEAF, SILENT, Planter, TreesModel

FEATURES = ("balance", "idle_days")


def stump(planter: Planter, question: tuple[int, float], answers: tuple[float | None, float | None]) -> None:
    place = planter.ask(*question)
    planter.join(place, left=planter.answer(answers[0]), right=planter.answer(answers[1]))


def grown(combine: Any = "mean") -> TreesModel:
    """Three trees: balance <= 100, idle_days <= 7, and one that always says a half."""
    planter = Planter()
    planter.begin_tree(0.5)
    stump(planter, (0, 100.0), (0.75, 0.25))
    planter.begin_tree(1.0)
    stump(planter, (1, 7.0), (None, 0.5))
    planter.begin_tree(0.25)
    planter.answer(0.5)
    return planter.into(TreesModel(name="loan", version=9, positives=2, features=FEATURES, combine=combine, base=-1.0))


MODEL = grown()
BODY = trees.encode(MODEL)


def said(**changes: Any) -> bytes:
    return msgspec.json.encode(msgspec.to_builtins(MODEL) | changes)


def probability(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([100.0, 0.0], (0.5 * 0.75 + 0.25 * 0.5) / 0.75),
        ([100.5, 7.5], (0.5 * 0.25 + 1.0 * 0.5 + 0.25 * 0.5) / 1.75),
        ([math.nan, math.inf], (0.5 * 0.75 + 0.25 * 0.5) / 0.75),
        ([1e300, -1e300], (0.5 * 0.25 + 0.25 * 0.5) / 0.75),
    ],
)
def test_a_forest_says_the_mean_of_the_trees_that_say_something(values: list[float], expected: float) -> None:
    assert pytest.approx(expected, abs=1e-12) == probability(MODEL.logit(values))


@pytest.mark.parametrize(
    ("values", "expected"),
    [([100.0, 0.0], -1 + 0.5 * 0.75 + 0.25 * 0.5), ([100.5, 7.5], -1 + 0.5 * 0.25 + 1.0 * 0.5 + 0.25 * 0.5)],
)
def test_boosting_says_the_sum_of_what_its_trees_say(values: list[float], expected: float) -> None:
    assert pytest.approx(expected, abs=1e-12) == grown("sum").logit(values)


def test_without_trees_or_with_silent_ones_only_it_says_the_base() -> None:
    unplanted = TreesModel(name="loan", version=0, positives=0, features=FEATURES, combine="mean", base=-1.0)
    silent = Planter()
    silent.begin_tree(1.0)
    silent.answer(None)

    assert [-1.0, -1.0] == [each.logit([1.0, 2.0]) for each in (unplanted, silent.into(unplanted))]
    assert unplanted == trees.decode(trees.encode(unplanted))


def test_equal_models_have_equal_bytes_and_bytes_are_the_model() -> None:
    assert MODEL == trees.decode(BODY)
    assert BODY == trees.encode(grown())


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 3])
def test_a_vector_of_another_length_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="values for the 2 features of model 'loan'"):
        MODEL.logit(values)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kind": "pair"}, "Invalid value 'pair'"),
        ({"combine": "max"}, "Invalid enum value"),
        ({"positives": 10}, "more positives than examples"),
        ({"features": ["balance", "balance"]}, "names a feature twice"),
        ({"threshold": []}, "unequal length"),
        ({"value": [0.5] * 8}, "unequal length"),
        ({"tree_weights": [1.0]}, "not one weight per tree"),
        ({"tree_weights": [-1.0] * 3}, ">= 0.0"),
        ({"tree_weights": [1e300] * 3}, "<= 1000000.0"),
        ({"starts": [0, 3, 3]}, "one behind the other"),
        ({"starts": [3, 0, 6]}, "one behind the other"),
        ({"starts": [1, 3, 6]}, "one behind the other"),
        ({"starts": [0, 3, 7]}, "a tree has no nodes"),
        ({"starts": [], "tree_weights": []}, "one behind the other"),
        ({"starts": [0, 3, 10_000]}, "<= 9999"),
        ({"feature": [2, LEAF, LEAF, 1, SILENT, LEAF, LEAF]}, "asks for feature 2 of 2"),
        ({"feature": [-3, LEAF, LEAF, 1, SILENT, LEAF, LEAF]}, ">= -2"),
        ({"left": [0, 0, 0, 4, 0, 0, 0]}, "behind its parent"),
        ({"left": [1, 0, 0, 1, 0, 0, 0]}, "behind its parent"),
        ({"right": [3, 0, 0, 5, 0, 0, 0]}, "behind its parent"),
        ({"right": [2, 0, 0, 7, 0, 0, 0]}, "behind its parent"),
        ({"left": [-1, 0, 0, 4, 0, 0, 0]}, ">= 0"),
        ({"value": [0.0, 1.5, 0.5, 0.0, 0.0, 0.5, 0.5]}, "says the probability 1.5"),
        ({"value": [0.0, -0.1, 0.5, 0.0, 0.0, 0.5, 0.5]}, "says the probability -0.1"),
        ({"value": [1e7] * 7, "combine": "sum"}, "<= 1000000.0"),
        ({"threshold": [1e300] * 7}, "<= 1000000000000.0"),
        ({"base": 1e9}, "<= 1000000.0"),
        ({"calibration": {"labels": 1, "positives": 2}}, "more positives than labels"),
    ],
)
def test_trees_that_cannot_be_scored_are_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        trees.decode(said(**changes))


def test_more_nodes_or_trees_or_bytes_than_any_model_has_are_refused() -> None:
    many = trees.MAX_NODES + 1
    lists: dict[str, Any] = {"feature": [LEAF] * many}
    lists |= {name: [0] * many for name in ("threshold", "left", "right", "value")}

    with pytest.raises(ValueError, match="at most 10000 in 1000"):
        trees.decode(said(**lists))
    with pytest.raises(ValueError, match="at most 10000 in 1000"):
        trees.decode(said(starts=list(range(1001)), tree_weights=[1.0] * 1001))
    with pytest.raises(ValueError, match="at most 1000000"):
        trees.decode(BODY + b" " * trees.MAX_BYTES)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"null"])
@pytest.mark.parametrize("field", ["base", "threshold", "value", "tree_weights"])
def test_numbers_that_are_not_finite_are_refused(field: str, number: bytes) -> None:
    numbers = msgspec.to_builtins(MODEL)[field]
    forged = msgspec.Raw(number) if field == "base" else [msgspec.Raw(number), *numbers[1:]]

    with pytest.raises(ValueError, match=r"malformed|out of range|Expected `float`"):
        trees.decode(said(**{field: forged}))


@given(st.binary(max_size=200))
def test_no_bytes_are_a_model_by_accident(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        trees.decode(body)


places = st.lists(st.integers(-3, 9), min_size=5, max_size=5)


@given(places, places, places, st.lists(st.integers(0, 5), max_size=3), st.sampled_from(["mean", "sum"]))
def test_whatever_is_accepted_ends_with_a_finite_logit(
    feature: list[int], left: list[int], right: list[int], starts: list[int], combine: str
) -> None:
    numbers = {"threshold": [0.5] * 5, "value": [1.0] * 5, "tree_weights": [1.0] * len(starts)}
    forged = said(feature=feature, left=left, right=right, starts=starts, combine=combine, **numbers)
    try:
        model = trees.decode(forged)
    except ValueError:
        return

    assert math.isfinite(model.logit([0.0, 1.0]))
    assert math.isfinite(model.logit([math.nan, -math.inf]))


def test_a_certain_forest_has_a_finite_logit() -> None:
    planter = Planter()
    planter.begin_tree(1.0)
    planter.answer(0.0)
    certain = planter.into(msgspec.structs.replace(MODEL, base=0.0))

    assert pytest.approx(trees.CERTAIN) == probability(certain.logit([1.0, 2.0]))
