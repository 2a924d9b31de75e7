"""A domain pack compiled for the pipeline: every lookup a step makes, prepared once at load."""

import re
import struct
from collections.abc import Callable, Iterable
from typing import TypeVar

from needstream.models import features, scorer, snapshots
from needstream.schemas import pack as packs
from needstream.schemas.times import parse_duration
from needstream.streams.pipeline import conditions

Matched = TypeVar("Matched")


class DefinitionError(ValueError):
    """Raised for a pack that is well formed but contradicts itself; names the place."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place


class CompiledScenario:
    """A scenario with durations in milliseconds and its conditions compiled."""

    def __init__(self, declared: packs.Scenario, half_lives_ms: tuple[float, ...]) -> None:
        self.declared = declared
        self.key = declared.id if declared.product is None else f"{declared.id}.{declared.product}"
        self.timer = f"absence.{self.key}"
        self.when = conditions.compile_condition(declared.when, half_lives_ms)
        self.rearm_when = (
            conditions.compile_condition(declared.rearm_when, half_lives_ms)
            if declared.rearm_when
            else None
        )
        self.counter = tuple(
            (conditions.compile_condition(counter.when, half_lives_ms), counter.reading)
            for counter in declared.counter
        )
        self.cooldown_ms = parse_duration(declared.cooldown)
        self.expires_ms = parse_duration(declared.expires_after)
        absence = declared.absence
        self.wait_ms = parse_duration(absence.after) if absence else 0
        self.plus_days = (
            features.compile_feature(absence.plus_days_of, half_lives_ms)
            if absence and absence.plus_days_of
            else None
        )
        self.only_if = conditions.compile_condition(
            absence.only_if if absence else None, half_lives_ms
        )


class CompiledModel:
    """A model declaration with its durations in milliseconds."""

    def __init__(self, declared: packs.Model) -> None:
        self.declared = declared
        self.key = f"model.{declared.name}"
        self.horizon_ms = parse_duration(declared.horizon)
        self.cooldown_ms = parse_duration(declared.cooldown)
        self.expires_ms = parse_duration(declared.expires_after)
        self.label_when_seen = not declared.absence_of


class FactIndex:
    """Finds what declared an interest in a fact; answers are remembered, facts are few."""

    def __init__(self, declared: Iterable[tuple[tuple[str, ...], Matched]]) -> None:
        self._declared = [(frozenset(patterns), subject) for patterns, subject in declared]
        self._known: dict[str, tuple[Matched, ...]] = {}

    def of(self, fact: str) -> tuple[Matched, ...]:
        """Everything declared for the fact, in the order of declaration."""
        known = self._known.get(fact)
        if known is None:
            family = f"{fact.partition('.')[0]}.*"
            known = tuple(
                subject
                for patterns, subject in self._declared
                if fact in patterns or family in patterns
            )
            self._known[fact] = known
        return known


class Definitions:
    """Everything a step needs to know about the domain.

    Raises:
        DefinitionError: names the declaration that contradicts another one.
        conditions.ConditionError, features.UnknownFeature: wrapped into DefinitionError.
    """

    def __init__(self, pack: packs.Pack) -> None:
        self.pack = pack
        self.version = f"{pack.name}-{pack.version}"
        self.half_lives_ms = tuple(float(parse_duration(text)) for text in pack.time.half_lives)
        self.session_gap_ms = parse_duration(pack.time.session_gap)
        self.allowed_lateness_ms = parse_duration(pack.time.allowed_lateness)
        self.sample_every_ms = parse_duration(pack.time.sample_every)
        self.sample_while_idle_ms = parse_duration(pack.time.sample_while_idle)
        self.balance_half_life_ms = float(parse_duration(pack.time.balance_half_life))
        self.quarantine_ms = parse_duration(pack.bots.quarantine)
        self.distress_lasts_ms = parse_duration(pack.distress_lasts)
        self.products = frozenset(pack.products)
        self.pages = sorted(pack.pages, key=lambda rule: -len(rule.path))
        self.keywords = tuple(
            (product, tuple(word.lower() for word in words))
            for product, words in pack.keywords.items()
        )
        self.salary = _salary(pack.salary)
        self.caps = {
            cap.treatment: (cap.at_most, parse_duration(cap.within)) for cap in pack.caps
        }
        self.models = tuple(CompiledModel(model) for model in pack.models)
        self.readings = tuple(
            _at(f"features.{place}", features.compile_feature, name, self.half_lives_ms)
            for place, name in enumerate(pack.features)
        )
        self.feature_set = snapshots.feature_set(pack.features)
        self.vector = struct.Struct(f"<{len(pack.features)}f")
        self.suitability = tuple(
            (rule.need, _at("suitability", conditions.compile_condition, rule.unless, self.half_lives_ms))
            for rule in pack.suitability
        )
        self.scenarios = tuple(
            _at(f"scenarios.{declared.id}", CompiledScenario, declared, self.half_lives_ms)
            for declared in pack.scenarios
        )
        self.by_timer = {scenario.timer: scenario for scenario in self.scenarios}
        self._index()
        self._cross_check()

    def _index(self) -> None:
        scenarios = self.scenarios
        absences = [
            (scenario.declared.absence, scenario)
            for scenario in scenarios
            if scenario.declared.absence is not None
        ]
        self.triggers = FactIndex((each.declared.triggered_by, each) for each in scenarios)
        self.armed_by = FactIndex((absence.armed_by, each) for absence, each in absences)
        self.cancelled_by = FactIndex((absence.unless, each) for absence, each in absences)
        self.marks = FactIndex(
            (model.declared.converts_on or model.declared.absence_of, model)
            for model in self.models
        )
        self.activity = FactIndex([(self.pack.activity, True)])
        self.scored = FactIndex([(self.pack.score_on, True)])

    def _cross_check(self) -> None:
        keys = [scenario.key for scenario in self.scenarios] + [model.key for model in self.models]
        for key in keys:
            if keys.count(key) > 1:
                raise DefinitionError(key, "declared twice")
        known = {scenario.declared.id for scenario in self.scenarios}
        for name in self.pack.distress:
            if name not in known:
                raise DefinitionError(
                    "distress", f"{name!r} is no scenario; choose from {', '.join(sorted(known))}"
                )
        for scenario in self.scenarios:
            declared = scenario.declared
            if not declared.triggered_by and declared.absence is None:
                raise DefinitionError(f"scenarios.{declared.id}", "needs triggered_by, absence or both")
            if declared.treatment not in self.pack.consent:
                raise DefinitionError(
                    f"scenarios.{declared.id}",
                    f"treatment {declared.treatment!r} has no consent rule",
                )
        for model in self.models:
            if bool(model.declared.converts_on) == bool(model.declared.absence_of):
                raise DefinitionError(
                    f"models.{model.declared.name}", "needs either converts_on or absence_of"
                )

    def readiness(self) -> dict[str, scorer.Readiness]:
        """How many labels each model needs before it speaks."""
        return {
            model.declared.name: scorer.Readiness(
                model.declared.min_labels, model.declared.min_positives
            )
            for model in self.models
        }


def _salary(declared: packs.Salary | None) -> tuple[frozenset[str], re.Pattern[str]] | None:
    if declared is None:
        return None
    try:
        return frozenset(declared.kinds), re.compile(declared.counterparty)
    except re.error as error:
        raise DefinitionError("salary.counterparty", f"no regular expression: {error}") from error


Compiled = TypeVar("Compiled")


def _at(place: str, build: Callable[..., Compiled], *arguments: object) -> Compiled:
    try:
        return build(*arguments)
    except ValueError as error:
        if isinstance(error, DefinitionError):
            raise
        raise DefinitionError(place, str(error)) from error
