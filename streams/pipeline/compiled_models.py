"""A model declaration compiled: its label rule, its contestants, its times; checked once at load.

Nothing that could never be true, never be promoted or never hold is let through: ``DefinitionError`` says where it
stands and what would be valid.
"""

import struct
from collections.abc import Sequence

from msgspec import Struct

from needstream.models import contestants, decay
from needstream.models.features import Reading
from needstream.schemas import pack as packs
from needstream.schemas.state import CustomerState
from needstream.streams.pipeline import checks
from needstream.streams.pipeline.conditions import Compiler
from needstream.streams.pipeline.refusals import DefinitionError
from needstream.streams.pipeline.wordings import Wording

_WORDS = frozenset({"product", "score"})
_STORED = struct.Struct("<f")
_BLEND = "blend"
_FEWEST_BLENDED = 2
_HALF_LIVES = {"count_1d": 0, "count_7d": 1, "count_30d": 2, "amount_30d": 2, "monthly": 2}
"""The features that are decayed sums, by family, with the place of their half-life in ``time.half_lives``."""

_LABEL_RULES = ("converts_on", "absence_of", "declines")
_ATTRIBUTES = ("tier", "age_band", "channel")


class Fall(Struct, frozen=True):
    """The compiled rule of a decline: whom it asks about, and what counts as fallen.

    ``place`` is where the feature stands in the vector. Both readings are compared in single precision, as the first
    one is stored.
    """

    place: int
    reading: Reading
    to: float
    from_at_least: float

    def concerns(self, values: Sequence[float]) -> bool:
        """Whether there was enough at the prediction to fall from."""
        return values[self.place] >= self.from_at_least

    def has_happened(self, state: CustomerState, at_ms: int, *, values: Sequence[float]) -> bool:
        """Whether the reading at ``at_ms`` is ``to`` times the one in the prediction's ``values``, or below."""
        now: float = _STORED.unpack(_STORED.pack(self.reading(state, at_ms)))[0]
        return now <= self.to * values[self.place]


class CompiledModel:
    """A model declaration with its durations in milliseconds, its label rule and its text compiled.

    Attributes:
        contestants: the kinds that learn the same examples, the champion first.
        fall: the rule of ``declines``, None with another one.
        label_when_seen: the label of a prediction that was followed by what its rule waits for; as long as nothing
            has followed, the opposite holds.
        corrects: the learner is told that opposite at once, and the truth when something follows.
    """

    def __init__(self, declared: packs.Model, compiler: Compiler, *, place: str, features: Sequence[str]) -> None:
        self.declared = declared
        self.name = declared.name
        self.key = f"model.{declared.name}"
        self.horizon_ms = checks.positive_span(declared.horizon, f"{place}.horizon")
        self.stale_ms = checks.positive_span(declared.stale_after, f"{place}.stale_after")
        self.cooldown_ms = checks.span(declared.cooldown, f"{place}.cooldown")
        self.expires_ms = checks.span(declared.expires_after, f"{place}.expires_after")
        self.wording = Wording(declared.text, compiler, given=_WORDS, place=f"{place}.text")
        self.contestants: tuple[packs.Contestant, ...] = (declared.champion, *declared.challengers)
        self.label_when_seen = not declared.absence_of
        self.corrects = declared.feedback == "assumed_negative"
        self.fall = _fall(declared, compiler, place=place, features=features)

    def concerns(self, values: Sequence[float]) -> bool:
        """Whether the label rule asks anything about a customer with these features (in the pack's order)."""
        return self.fall is None or self.fall.concerns(values)


def check(declared: packs.Model, place: str, *, half_lives_ms: Sequence[float]) -> None:
    """Refuse what a model declares and cannot mean; its facts are checked elsewhere.

    Raises:
        DefinitionError: names the field, the value and what would be valid.
    """
    _check_label_rule(declared, place)
    if declared.declines is not None:
        _check_decline(declared, declared.declines, place=place, half_lives_ms=half_lives_ms)
    _check_contestants(declared, place)
    if declared.leave_score > declared.enter_score:
        problem = f"{declared.leave_score:g} must not be above enter_score ({declared.enter_score:g})"
        place = f"{place}.leave_score"
        raise DefinitionError(place, problem)
    if declared.threshold is not None:
        _check_target(declared.threshold, f"{place}.threshold")
    _check_overrides(declared.overrides, place)


def _check_label_rule(declared: packs.Model, place: str) -> None:
    stated = [name for name in _LABEL_RULES if getattr(declared, name)]
    if len(stated) != 1:
        found = " and ".join(stated) or "none"
        raise DefinitionError(place, f"needs exactly one of {', '.join(_LABEL_RULES)}; found {found}")


def _check_decline(
    declared: packs.Model, declines: packs.Decline, *, place: str, half_lives_ms: Sequence[float]
) -> None:
    if declared.feedback != "at_horizon":
        problem = f"{declared.feedback!r} needs an event that corrects it, and a decline is only known at the horizon"
        place = f"{place}.feedback"
        raise DefinitionError(place, f"{problem}; write at_horizon")
    checks.check_finite(declines.from_at_least, f"{place}.declines.from_at_least")
    half_life = _HALF_LIVES.get(declines.feature.partition(".")[0])
    if half_life is not None:
        horizon_ms = checks.positive_span(declared.horizon, f"{place}.horizon")
        least = decay.weight(horizon_ms, half_lives_ms[half_life])
        if declines.to <= least:
            problem = f"{declines.to:g} is out of reach: even when nothing follows, {least:.4g} of a decayed sum"
            place = f"{place}.declines.to"
            raise DefinitionError(place, f"{problem} is left after {declared.horizon}; write more than that")


def _check_contestants(declared: packs.Model, place: str) -> None:
    challengers = declared.challengers
    checks.check_unique(challengers, f"{place}.challengers")
    if declared.champion in challengers:
        place = f"{place}.challengers[{challengers.index(declared.champion)}]"
        raise DefinitionError(place, f"{declared.champion!r} is the champion already; challengers are other kinds")
    kinds = (declared.champion, *challengers)
    for kind in kinds:
        _check_can_learn(
            kind, declared, place=f"{place}.champion" if kind == declared.champion else f"{place}.challengers"
        )
    if _BLEND in kinds and len(kinds) - 1 < _FEWEST_BLENDED:
        place = f"{place}.champion" if declared.champion == _BLEND else f"{place}.challengers"
        problem = f"{_BLEND!r} is the mean of the other contestants and needs at least two of them"
        raise DefinitionError(place, problem)


def _check_can_learn(kind: str, declared: packs.Model, *, place: str) -> None:
    if kind == _BLEND:
        return
    if not contestants.is_available(kind):
        problem = f"{kind!r} needs LightGBM, which is not installed here"
        raise DefinitionError(place, f"{problem}; pip install 'needstream[batch]', or leave it out")
    if declared.feedback != "at_horizon" and contestants.keeps_examples(kind):
        problem = f"{kind!r} looks at examples again, and would lose the weights of corrected feedback"
        raise DefinitionError(place, f"{problem}; leave it out, or write feedback: at_horizon")


def _check_target(target: packs.Target, place: str) -> None:
    if (target.precision is None) == (target.costs is None):
        found = "none" if target.costs is None else "both"
        raise DefinitionError(place, f"needs exactly one of precision, costs; found {found}")
    if target.costs is not None:
        checks.check_finite(target.costs.false_alarm, f"{place}.costs.false_alarm")
        checks.check_finite(target.costs.missed, f"{place}.costs.missed")


def _check_overrides(overrides: Sequence[packs.Override], place: str) -> None:
    for index, override in enumerate(overrides):
        here = f"{place}.overrides[{index}]"
        if not _slice(override):
            raise DefinitionError(here, f"needs at least one of {', '.join(_ATTRIBUTES)}; found none")
        for earlier in overrides[:index]:
            if _slice(earlier).items() <= _slice(override).items():
                problem = f"never holds for {_spoken(override)}: the override of {_spoken(earlier)} holds before it"
                raise DefinitionError(here, f"{problem}; put the narrower one first")


def _slice(override: packs.Override) -> dict[str, str]:
    stated = ((name, getattr(override, name)) for name in _ATTRIBUTES)
    return {name: value for name, value in stated if value is not None}


def _spoken(override: packs.Override) -> str:
    return " and ".join(f"{name} {value!r}" for name, value in _slice(override).items())


def _fall(declared: packs.Model, compiler: Compiler, *, place: str, features: Sequence[str]) -> Fall | None:
    declines = declared.declines
    if declines is None:
        return None
    place = f"{place}.declines"
    reading = compiler.feature(declines.feature, f"{place}.feature")
    if declines.feature not in features:
        problem = f"{declines.feature!r} is not among the pack's features, where its value at the prediction is kept"
        place = f"{place}.feature"
        raise DefinitionError(place, f"{problem}; choose from {', '.join(features)}")
    return Fall(features.index(declines.feature), reading, declines.to, declines.from_at_least)
