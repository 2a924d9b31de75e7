"""Candidates: what scenarios and models propose, before anyone decides whether it may be said."""

from msgspec import Struct

from needstream.schemas.signals import Evidence, Explanation
from needstream.schemas.state import Arming, CustomerState
from needstream.schemas.times import duration_text
from needstream.streams.pipeline import bars, labels, reasons
from needstream.streams.pipeline.definitions import CompiledModel, CompiledScenario
from needstream.streams.pipeline.occasions import Occasion

SHOWN_CONTRIBUTIONS = 4
CHURN = "churn"


class Candidate(Struct, frozen=True, kw_only=True):
    """One proposal with everything that speaks for and against it.

    ``source`` is the declaration that made it; ``trigger_event_id`` the event that made it, or the one that set the
    alarm that rang. ``because`` says in words what a model's score rests on, ``note`` which threshold it passed.
    """

    source: CompiledScenario | CompiledModel
    scenario: str
    need: str
    product: str | None
    at_ms: int
    trigger_event_id: str
    score: float | None
    model_version: str
    horizon: str
    confidence: float
    evidence: tuple[Evidence, ...]
    counter_evidence: tuple[Evidence, ...] = ()
    alternative_reading: str = ""
    reasons: tuple[str, ...] = ()
    because: Explanation | None = None
    note: str = ""


def from_scenario(occasion: Occasion, scenario: CompiledScenario, *, rang: bool = False) -> Candidate | None:
    """The scenario's candidate at the moment its condition turns true, else None.

    While the condition stays true nothing more is proposed; it is armed again when ``rearm_when`` holds, by default
    when the condition no longer does. The ring of an absence alarm is a new occasion each time. A distress scenario
    keeps sales away whenever its condition holds, whether or not it has anything new to say.
    """
    state, at_ms = occasion.state, occasion.at_ms
    holds = scenario.when.holds(state, at_ms)
    if holds and scenario.distressing:
        state.distress_until_ms = max(state.distress_until_ms, at_ms + occasion.definitions.distress_lasts_ms)
    arming = state.armings.get(scenario.key)
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
    score, version, horizon = _model_view(occasion, scenario)
    return Candidate(
        source=scenario,
        scenario=declared.id,
        need=declared.need,
        product=declared.product,
        at_ms=at_ms,
        trigger_event_id=occasion.trigger_event_id,
        score=score,
        model_version=version,
        horizon=horizon,
        confidence=round(declared.confidence * 0.5 ** len(against), 4),
        evidence=scenario.when.evidence(state, at_ms) + scenario.only_if.evidence(state, at_ms),
        counter_evidence=tuple(fact for facts, _ in against for fact in facts),
        alternative_reading=against[0][1] if against else declared.alternative_reading,
    )


def from_models(occasion: Occasion, seen: labels.Outlook | None = None) -> list[Candidate]:
    """A candidate of every warm model whose score rises over its entry threshold.

    Hysteresis: after a candidate the model stays silent until its score has fallen to the leaving threshold. Nothing is
    said of a customer younger than the sampling interval: the models have never learned from one.
    """
    state, definitions = occasion.state, occasion.definitions
    proposed: list[Candidate] = []
    if occasion.at_ms - state.first_ms < definitions.sample_every_ms:
        return proposed
    seen = seen or labels.outlook(occasion)
    audible = seen.said.audible()
    silenced = [key for key, arming in state.armings.items() if not arming.armed]
    if not audible and not silenced:
        return proposed
    for model in definitions.models:
        name = model.name
        if name not in audible and model.key not in silenced:
            continue
        probability = seen.said.probability(name)
        if probability is None or not model.concerns(seen.values):
            continue
        over = bars.bar(model.declared, state.traits, chosen=occasion.scorer.enter_score(name))
        if model.key in silenced:
            state.armings[model.key].armed = probability <= over.leave
        elif over.speaks(probability):
            _disarm(state, model.key)
            proposed.append(_from_model(model, occasion, seen=seen, over=over))
    return proposed


def _from_model(model: CompiledModel, occasion: Occasion, *, seen: labels.Outlook, over: bars.Bar) -> Candidate:
    name = model.declared.name
    said = seen.said.score(name)
    explained = occasion.scorer.explain(name, seen.values)
    why = reasons.of(explained, occasion.definitions, count=SHOWN_CONTRIBUTIONS) if explained else reasons.NONE
    return Candidate(
        source=model,
        scenario=model.key,
        need=name,
        product=None,
        at_ms=occasion.at_ms,
        trigger_event_id=occasion.trigger_event_id,
        score=said.probability,
        model_version=said.version,
        horizon=duration_text(model.horizon_ms),
        confidence=round(said.probability or 0.0, 4),
        evidence=why.speaking_for,
        counter_evidence=why.speaking_against,
        reasons=why.codes,
        because=why.sentence,
        note=_note(over),
    )


def _note(over: bars.Bar) -> str:
    if over.override is None:
        return f"the threshold was {over.enter:.4g}"
    return f"the threshold was {over.enter:.4g}, set by {over.override.author}: {over.override.reason}"


def _model_view(occasion: Occasion, scenario: CompiledScenario) -> tuple[float | None, str, str]:
    """Score, version and horizon of the model that knows this need, if there is one."""
    declared = scenario.declared
    name = CHURN if declared.kind == "churn" else declared.need
    for model in occasion.definitions.models:
        if model.declared.name == name:
            said = labels.outlook(occasion).said.score(name)
            return said.probability, said.version, duration_text(model.horizon_ms)
    return None, "none", declared.expires_after


def _disarm(state: CustomerState, key: str) -> None:
    arming = state.armings.get(key)
    if arming is None:
        arming = state.armings[key] = Arming()
    arming.armed = False
