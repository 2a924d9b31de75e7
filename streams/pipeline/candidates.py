"""Candidates: what scenarios and models propose, before anyone decides whether it may be said."""

from dataclasses import dataclass

from needstream.models.scorer import Scorer
from needstream.schemas import pack as packs
from needstream.schemas.signals import Evidence
from needstream.schemas.state import Arming, CustomerState
from needstream.schemas.times import duration_text
from needstream.streams.pipeline import labels
from needstream.streams.pipeline.definitions import CompiledModel, CompiledScenario, Definitions

SHOWN_CONTRIBUTIONS = 4


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One proposal with everything that speaks for and against it.

    ``source`` is the declaration in the pack; ``trigger_event_id`` the event that made it, or the
    one that set the alarm that rang.
    """

    key: str
    scenario: str
    source: packs.Scenario | packs.Model
    need: str
    product: str | None
    at_ms: int
    trigger_event_id: str
    cooldown_ms: int
    expires_ms: int
    score: float | None
    model_version: str
    horizon: str
    confidence: float
    evidence: tuple[Evidence, ...]
    counter_evidence: tuple[Evidence, ...] = ()
    alternative_reading: str = ""


def from_scenario(
    state: CustomerState,
    scenario: CompiledScenario,
    at_ms: int,
    *,
    trigger_event_id: str,
    rang: bool,
    definitions: Definitions,
    scorer: Scorer,
) -> Candidate | None:
    """The scenario's candidate at the moment its condition turns true, else None.

    While the condition stays true nothing more is proposed; it is armed again when
    ``rearm_when`` holds, by default when the condition no longer does. The ring of an absence
    alarm is a new occasion each time.
    """
    arming = state.armings.get(scenario.key)
    holds = scenario.when.holds(state, at_ms)
    if arming is not None and not arming.armed:
        ready = scenario.rearm_when.holds(state, at_ms) if scenario.rearm_when else not holds
        arming.armed = ready or rang
    if not holds or (arming is not None and not arming.armed):
        return None
    _disarm(state, scenario.key)
    declared = scenario.declared
    against = [
        (compiled.evidence(state, at_ms), reading)
        for compiled, reading in scenario.counter
        if compiled.holds(state, at_ms)
    ]
    score, version, horizon = _model_view(state, declared, at_ms, definitions=definitions, scorer=scorer)
    return Candidate(
        key=scenario.key,
        scenario=declared.id,
        source=declared,
        need=declared.need,
        product=declared.product,
        at_ms=at_ms,
        trigger_event_id=trigger_event_id,
        cooldown_ms=scenario.cooldown_ms,
        expires_ms=scenario.expires_ms,
        score=score,
        model_version=version,
        horizon=horizon,
        confidence=round(declared.confidence * 0.5 ** len(against), 4),
        evidence=scenario.when.evidence(state, at_ms) + scenario.only_if.evidence(state, at_ms),
        counter_evidence=tuple(fact for facts, _ in against for fact in facts),
        alternative_reading=against[0][1] if against else declared.alternative_reading,
    )


def from_models(
    state: CustomerState,
    at_ms: int,
    *,
    trigger_event_id: str,
    definitions: Definitions,
    scorer: Scorer,
) -> list[Candidate]:
    """A candidate of every warm model whose score rises over its entry threshold.

    Hysteresis: after a candidate the model stays silent until its score has fallen to the leaving
    threshold.
    """
    if not scorer.any_warm():
        return []
    values = labels.feature_values(state, at_ms, definitions)
    scores = scorer.scores(values)
    proposed = []
    for model in definitions.models:
        said = scores[model.declared.name]
        score = said.probability
        arming = state.armings.get(model.key)
        if score is None:
            continue
        if arming is not None and not arming.armed:
            arming.armed = score <= model.declared.leave_score
        elif score >= model.declared.enter_score:
            _disarm(state, model.key)
            proposed.append(
                _from_model(
                    model,
                    values,
                    at_ms,
                    score=score,
                    version=said.version,
                    trigger_event_id=trigger_event_id,
                    scorer=scorer,
                )
            )
    return proposed


def _from_model(
    model: CompiledModel,
    values: tuple[float, ...],
    at_ms: int,
    *,
    score: float,
    version: str,
    trigger_event_id: str,
    scorer: Scorer,
) -> Candidate:
    served = scorer.warm(model.declared.name)
    parts = served.contributions(values) if served else []
    shown = [
        Evidence(
            feature=part.feature,
            value=round(part.value, 4),
            compared=f"{part.logit:+.3f} log-odds",
        )
        for part in parts
        if part.logit
    ]
    return Candidate(
        key=model.key,
        scenario=model.key,
        source=model.declared,
        need=model.declared.name,
        product=None,
        at_ms=at_ms,
        trigger_event_id=trigger_event_id,
        cooldown_ms=model.cooldown_ms,
        expires_ms=model.expires_ms,
        score=score,
        model_version=version,
        horizon=duration_text(model.horizon_ms),
        confidence=round(score, 4),
        evidence=tuple(fact for fact in shown if "+" in fact.compared)[:SHOWN_CONTRIBUTIONS],
        counter_evidence=tuple(fact for fact in shown if "-" in fact.compared)[:SHOWN_CONTRIBUTIONS],
    )


def _model_view(
    state: CustomerState,
    declared: packs.Scenario,
    at_ms: int,
    *,
    definitions: Definitions,
    scorer: Scorer,
) -> tuple[float | None, str, str]:
    """Score, version and horizon of the model that knows this need, if there is one."""
    name = "churn" if declared.kind == "churn" else declared.need
    for model in definitions.models:
        if model.declared.name == name:
            said = scorer.scores(labels.feature_values(state, at_ms, definitions))[name]
            return said.probability, said.version, duration_text(model.horizon_ms)
    return None, "none", declared.expires_after


def _disarm(state: CustomerState, key: str) -> None:
    arming = state.armings.get(key)
    if arming is None:
        arming = state.armings[key] = Arming()
    arming.armed = False
