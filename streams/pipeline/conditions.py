"""Conditions of a pack, compiled once into plain functions over a customer's state.

What is compiled has been checked: every feature exists and every fact in its name can occur.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from needstream.models import features
from needstream.schemas import pack as packs
from needstream.schemas.signals import Evidence
from needstream.schemas.state import CustomerState
from needstream.schemas.times import rfc3339
from needstream.streams.pipeline.refusals import DefinitionError
from needstream.streams.pipeline.vocabulary import Vocabulary

Test = Callable[[CustomerState, int], bool]


class Leaf(Struct, frozen=True):
    """One comparison, kept readable for evidence."""

    feature: str
    compared: str
    reading: features.Reading
    holds: Test
    counters: tuple[str, ...]


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
                last_seen=_last_seen(leaf.counters, state),
            )
            for leaf in self.leaves
            if leaf.holds(state, at_ms)
        )


class Compiler:
    """Compiles conditions and features of one pack; whatever it refuses it refuses with the place.

    ``counted`` is every counter that something compiled so far reads.
    """

    def __init__(self, vocabulary: Vocabulary, half_lives_ms: Sequence[float]) -> None:
        self._vocabulary = vocabulary
        self._half_lives_ms = tuple(half_lives_ms)
        self.counted: set[str] = set()

    def feature(self, name: str, place: str) -> features.Reading:
        """The reading of a feature.

        Raises:
            DefinitionError: no such feature, or of a fact that does not occur.
        """
        self._vocabulary.check_feature(name, place)
        self.counted.update(self._vocabulary.counters_of(name))
        return features.compile_feature(name, self._half_lives_ms)

    def condition(self, declared: packs.Condition | None, place: str) -> Compiled:
        """The compiled form; no condition always holds.

        Raises:
            DefinitionError: neither or both of a comparison and a combination, or a wrong feature.
        """
        if declared is None:
            return Compiled(_always, ())
        combinations = [
            (word, parts)
            for word, parts in (("all", declared.all), ("any", declared.any), ("none", declared.none))
            if parts is not None
        ]
        if declared.feature is not None and not combinations:
            leaf = self._leaf(declared, declared.feature, place=place)
            return Compiled(leaf.holds, (leaf,))
        if declared.feature is not None or len(combinations) != 1:
            raise DefinitionError(place, "write either a feature with its bounds, or one of all, any, none")
        word, parts = combinations[0]
        place = f"{place}.{word}"
        if not parts:
            raise DefinitionError(place, f"{word} needs at least one condition")
        compiled = [self.condition(part, f"{place}[{index}]") for index, part in enumerate(parts)]
        shown = () if word == "none" else tuple(leaf for part in compiled for leaf in part.leaves)
        return Compiled(_combined(word, tuple(part.holds for part in compiled)), shown)

    def _leaf(self, declared: packs.Condition, feature: str, *, place: str) -> Leaf:
        reading = self.feature(feature, f"{place}.feature")
        bounds = (declared.at_least, declared.at_most, declared.above, declared.below)
        words = ("at least", "at most", "above", "below")
        stated = [f"{word} {bound:g}" for word, bound in zip(words, bounds, strict=True) if bound is not None]
        if not stated:
            raise DefinitionError(place, f"{feature} needs a bound: at_least, at_most, above or below")
        counters = self._vocabulary.counters_of(feature)
        return Leaf(feature, " and ".join(stated), reading, _within(reading, bounds), counters)


def _within(reading: features.Reading, bounds: tuple[float | None, ...]) -> Test:
    at_least, at_most, above, below = bounds
    tests: list[Test] = []
    if at_least is not None:
        tests.append(lambda state, at_ms: reading(state, at_ms) >= at_least)
    if at_most is not None:
        tests.append(lambda state, at_ms: reading(state, at_ms) <= at_most)
    if above is not None:
        tests.append(lambda state, at_ms: reading(state, at_ms) > above)
    if below is not None:
        tests.append(lambda state, at_ms: reading(state, at_ms) < below)
    return tests[0] if len(tests) == 1 else _combined("all", tuple(tests))


def _combined(word: str, tests: tuple[Test, ...]) -> Test:
    def every(state: CustomerState, at_ms: int) -> bool:
        for test in tests:  # noqa: SIM110  # a generator costs more than the tests
            if not test(state, at_ms):
                return False
        return True

    def some(state: CustomerState, at_ms: int) -> bool:
        for test in tests:  # noqa: SIM110
            if test(state, at_ms):
                return True
        return False

    def no(state: CustomerState, at_ms: int) -> bool:
        return not some(state, at_ms)

    return {"all": every, "any": some, "none": no}[word]


def _always(_: CustomerState, __: int) -> bool:
    return True


def _last_seen(counters: tuple[str, ...], state: CustomerState) -> str | None:
    counter = state.counters.get(counters[0]) if counters else None
    return rfc3339(int(counter[0])) if counter else None
