"""A scenario declaration compiled: its conditions, its texts, its times; checked once at load.

A declaration goes in, what a step asks of it comes out. Nothing is half compiled: what is impossible is refused with
``DefinitionError``, which says where it stands.
"""

from needstream.schemas import pack as packs
from needstream.schemas.state import ALARM_OF_SCENARIO
from needstream.streams.pipeline import checks
from needstream.streams.pipeline.conditions import Compiler
from needstream.streams.pipeline.wordings import Wording

_WORDS = frozenset({"product"})


class CompiledScenario:
    """A scenario with durations in milliseconds and its conditions and texts compiled.

    ``distressing`` scenarios keep sales away from the customer for as long as their condition holds. ``waits_alike``
    says that the alarm of an absence is set whoever the customer is, and always as far ahead.
    """

    def __init__(self, declared: packs.Scenario, compiler: Compiler, *, place: str, distressing: bool) -> None:
        self.declared = declared
        self.distressing = distressing
        self.key = declared.id if declared.product is None else f"{declared.id}.{declared.product}"
        self.timer = f"{ALARM_OF_SCENARIO}{self.key}"
        self.when = compiler.condition(declared.when, f"{place}.when")
        self.rearm_when = (
            compiler.condition(declared.rearm_when, f"{place}.rearm_when") if declared.rearm_when else None
        )
        self.counter = tuple(
            (compiler.condition(counter.when, f"{place}.counter[{index}].when"), counter.reading)
            for index, counter in enumerate(declared.counter)
        )
        self.wording = Wording(declared.text, compiler, given=_WORDS, place=f"{place}.text")
        self.cooldown_ms = checks.span(declared.cooldown, f"{place}.cooldown")
        self.expires_ms = checks.span(declared.expires_after, f"{place}.expires_after")
        absence = declared.absence
        self.wait_ms = checks.positive_span(absence.after, f"{place}.absence.after") if absence else 0
        self.plus_days = (
            compiler.feature(absence.plus_days_of, f"{place}.absence.plus_days_of")
            if absence and absence.plus_days_of
            else None
        )
        self.only_if = compiler.condition(absence.only_if if absence else None, f"{place}.absence.only_if")
        self.waits_alike = absence is not None and absence.only_if is None and absence.plus_days_of is None
