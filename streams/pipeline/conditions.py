"""Conditions of a pack, compiled once into plain functions over a customer's state."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from needstream.models import features
from needstream.schemas import pack as packs
from needstream.schemas.signals import Evidence
from needstream.schemas.state import CustomerState
from needstream.schemas.times import rfc3339

Test = Callable[[CustomerState, int], bool]


class Leaf(Struct, frozen=True):
    """One comparison, kept readable for evidence."""

    feature: str
    compared: str
    reading: features.Reading
    holds: Test


class Compiled(Struct, frozen=True):
    """A condition as a test, and the comparisons that can be shown when it holds."""

    holds: Test
    leaves: tuple[Leaf, ...]

    def evidence(self, state: CustomerState, at_ms: int) -> tuple[Evidence, ...]:
        """The comparisons that hold, with the values they were made on."""
        return tuple(
            Evidence(
                feature=leaf.feature,
                value=round(leaf.reading(state, at_ms), 4),
                compared=leaf.compared,
                last_seen=_last_seen(leaf.feature, state),
            )
            for leaf in self.leaves
            if leaf.holds(state, at_ms)
        )


class ConditionError(ValueError):
    """Raised for a condition that says nothing, or too much at once."""


def compile_condition(
    condition: packs.Condition | None, half_lives_ms: Sequence[float]
) -> Compiled:
    """The compiled form; no condition always holds.

    Raises:
        ConditionError: neither or both of a comparison and a combination.
        features.UnknownFeature: a name that is no feature.
    """
    if condition is None:
        return Compiled(_always, ())
    combinations = [
        (word, parts)
        for word, parts in (("all", condition.all), ("any", condition.any), ("none", condition.none))
        if parts is not None
    ]
    if condition.feature is not None and not combinations:
        leaf = _leaf(condition, half_lives_ms)
        return Compiled(leaf.holds, (leaf,))
    if condition.feature is not None or len(combinations) != 1:
        raise ConditionError("write either a feature with its bounds, or one of all, any, none")
    word, parts = combinations[0]
    if not parts:
        raise ConditionError(f"{word} needs at least one condition")
    compiled = [compile_condition(part, half_lives_ms) for part in parts]
    tests = tuple(part.holds for part in compiled)
    shown = () if word == "none" else tuple(leaf for part in compiled for leaf in part.leaves)
    return Compiled(_combined(word, tests), shown)


def _combined(word: str, tests: tuple[Test, ...]) -> Test:
    def every(state: CustomerState, at_ms: int) -> bool:
        return all(test(state, at_ms) for test in tests)

    def some(state: CustomerState, at_ms: int) -> bool:
        return any(test(state, at_ms) for test in tests)

    def no(state: CustomerState, at_ms: int) -> bool:
        return not any(test(state, at_ms) for test in tests)

    return {"all": every, "any": some, "none": no}[word]


def _leaf(condition: packs.Condition, half_lives_ms: Sequence[float]) -> Leaf:
    assert condition.feature is not None
    bounds = (condition.at_least, condition.at_most, condition.above, condition.below)
    words = ("at least", "at most", "above", "below")
    stated = [f"{word} {bound:g}" for word, bound in zip(words, bounds, strict=True) if bound is not None]
    if not stated:
        raise ConditionError(
            f"{condition.feature} needs a bound: at_least, at_most, above or below"
        )
    reading = features.compile_feature(condition.feature, half_lives_ms)
    at_least, at_most, above, below = bounds

    def holds(state: CustomerState, at_ms: int) -> bool:
        value = reading(state, at_ms)
        return not (
            (at_least is not None and value < at_least)
            or (at_most is not None and value > at_most)
            or (above is not None and value <= above)
            or (below is not None and value >= below)
        )

    return Leaf(condition.feature, " and ".join(stated), reading, holds)


def _always(_: CustomerState, __: int) -> bool:
    return True


def _last_seen(feature: str, state: CustomerState) -> str | None:
    counter = state.counters.get(feature.partition(".")[2])
    return rfc3339(int(counter[0])) if counter else None
