"""What facts set going: which counters, labels, alarms, scenarios and models the facts of one event concern.

Facts that come together go in, one plan comes out; whoever asks keeps it, so that a step looks up one plan per event.
"""

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from needstream.schemas import pack as packs
from needstream.streams.pipeline.compiled_models import CompiledModel
from needstream.streams.pipeline.compiled_scenarios import CompiledScenario
from needstream.streams.pipeline.vocabulary import ACTIVITY, IDENTIFY, SALARY

Matched = TypeVar("Matched")


class FactIndex(Generic[Matched]):
    """Finds what declared an interest in a fact; answers are remembered, facts are few."""

    def __init__(self, declared: Iterable[tuple[tuple[str, ...], Matched]]) -> None:
        self._declared = [(frozenset(patterns), subject) for patterns, subject in declared]
        self._known: dict[str, tuple[Matched, ...]] = {}

    def of(self, fact: str) -> tuple[Matched, ...]:
        """Everything declared for the fact, in the order of declaration."""
        known = self._known.get(fact)
        if known is None:
            family = f"{fact.partition('.')[0]}.*"
            known = self._known[fact] = tuple(
                subject for patterns, subject in self._declared if fact in patterns or family in patterns
            )
        return known


class Plan(Struct, frozen=True, kw_only=True):
    """What some facts that come together concern, each once and in the order of the facts.

    Attributes:
        counted: the facts that something reads as a counter.
        marked: the models whose label rule waits for one of them, by name.
        corrects: whether one of them can correct what a learner was told.
        cancels, arms: the absences whose alarm a fact takes away, or sets.
        moves_alarms: whether there are any of these.
        triggers: the scenarios to be looked at.
        is_scored: whether the models are to be asked.
        identifies: whether somebody may have said on which device.
    """

    facts: tuple[str, ...]
    counted: tuple[str, ...]
    marked: tuple[str, ...]
    corrects: bool
    cancels: tuple[CompiledScenario, ...]
    arms: tuple[CompiledScenario, ...]
    moves_alarms: bool
    triggers: tuple[CompiledScenario, ...]
    is_scored: bool
    is_activity: bool
    is_salary: bool
    identifies: bool


class Planner:
    """Makes the plans of a pack.

    Args:
        counted: every counter that something reads.
        marks: which models wait for a fact.
    """

    def __init__(
        self,
        pack: packs.Pack,
        scenarios: Sequence[CompiledScenario],
        *,
        counted: frozenset[str],
        marks: FactIndex[CompiledModel],
    ) -> None:
        absences = [(each.declared.absence, each) for each in scenarios if each.declared.absence is not None]
        self._cancels = FactIndex((absence.unless, each) for absence, each in absences)
        self._arms = FactIndex((absence.armed_by, each) for absence, each in absences)
        self._triggers = FactIndex((each.declared.triggered_by, each) for each in scenarios)
        self._activity = FactIndex([(pack.activity, True)])
        self._scored = FactIndex([(pack.score_on, True)])
        self._counted = counted
        self._marks = marks

    def are_activity(self, facts: Sequence[str]) -> bool:
        """Whether the pack counts one of the facts as something the customer did."""
        return any(self._activity.of(fact) for fact in facts)

    def plan(self, facts: Sequence[str]) -> Plan:
        """The plan of facts that come together."""
        marked = [model for fact in facts for model in self._marks.of(fact)]
        cancels, arms = _each_once(facts, self._cancels), _each_once(facts, self._arms)
        return Plan(
            facts=tuple(facts),
            counted=tuple(fact for fact in facts if fact in self._counted),
            marked=tuple(dict.fromkeys(model.name for model in marked)),
            corrects=any(model.corrects for model in marked),
            cancels=cancels,
            arms=arms,
            moves_alarms=bool(cancels or arms),
            triggers=_each_once(facts, self._triggers),
            is_scored=any(self._scored.of(fact) for fact in facts),
            is_activity=ACTIVITY in facts,
            is_salary=SALARY in facts,
            identifies=IDENTIFY in facts,
        )


def _each_once(facts: Sequence[str], index: FactIndex[CompiledScenario]) -> tuple[CompiledScenario, ...]:
    return tuple(dict.fromkeys(scenario for fact in facts for scenario in index.of(fact)))
