"""The dataflow, top to bottom: one input of one customer in, the new state and its emissions out.

``step`` is pure: no clock, no randomness, no I/O. It takes ownership of the state it is given and returns it changed; a
caller that wants to keep the old one keeps a snapshot.
"""

from collections.abc import Sequence

from needstream.models import decay
from needstream.schemas import events
from needstream.schemas.state import CustomerState
from needstream.streams.pipeline import (
    absences,
    arbitration,
    attributes,
    candidates,
    classifier,
    deduplicator,
    erasure,
    habits,
    labels,
    sessions,
    summaries,
    timers,
)
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.emissions import CustomerErased, DuplicateEvent, Emission, LateEvent
from needstream.streams.pipeline.inputs import Arrival, Tick
from needstream.streams.pipeline.occasions import Knowledge, Occasion
from needstream.streams.pipeline.vocabulary import SESSION_CLOSED


def step(
    state: CustomerState, moment: Arrival | Tick, *, knowledge: Knowledge
) -> tuple[CustomerState | None, list[Emission]]:
    """Apply an event or the passing of time to one customer.

    Returns:
        The new state, None when nothing of an erased customer needs to be kept any longer, and the emissions in order.
    """
    if isinstance(moment, Tick):
        emissions = _ring(state, moment.at_ms, knowledge=knowledge)
        return None if erasure.is_over(state) else state, emissions

    event, at_ms = moment.event, moment.at_ms
    if erasure.precedes(state, at_ms):
        return state, [LateEvent(event.event_id, state.first_ms - at_ms)]
    if deduplicator.seen(state, event.event_id):
        return state, [DuplicateEvent(event.event_id)]
    emissions = _ring(state, at_ms, knowledge=knowledge)
    if isinstance(event, events.Erasure):
        emissions.append(CustomerErased(state.customer_id, event.event_id))
        return erasure.erase(state, event.event_id, at_ms=at_ms), emissions

    facts = classifier.classify(event, knowledge.definitions)
    late_by_ms = state.clock_ms - at_ms
    state.clock_ms = max(state.clock_ms, at_ms)
    state.first_ms = min(state.first_ms, at_ms)
    _count(state, facts, at_ms=at_ms, definitions=knowledge.definitions)
    attributes.apply(state, event, at_ms=at_ms)
    habits.observe(state, moment, facts=facts, definitions=knowledge.definitions)
    if late_by_ms > 0:
        emissions.append(LateEvent(event.event_id, late_by_ms))
    elif isinstance(event, events.Click):
        sessions.extend(state, event, at_ms=at_ms, definitions=knowledge.definitions)
    if event.customer_id is not None:
        # A late event is looked at as of now: its counts are in, the moment it belonged to is gone.
        occasion = Occasion(state, state.clock_ms, event.event_id, knowledge.definitions, knowledge.scorer)
        absences.follow(occasion, facts, happened_ms=at_ms)
        emissions += arbitration.arbitrate(_propose(occasion, facts), occasion)
    return state, emissions


def _count(state: CustomerState, facts: Sequence[str], *, at_ms: int, definitions: Definitions) -> None:
    """Decayed counts and label marks; both commute, so late facts count like punctual ones."""
    counters, half_lives_ms = state.counters, definitions.half_lives_ms
    for fact in facts:
        labels.mark(state, fact, at_ms=at_ms, definitions=definitions)
        if fact in definitions.counted:
            counters[fact] = decay.add(counters.get(fact), 1.0, at_ms=at_ms, half_lives_ms=half_lives_ms)


def _propose(occasion: Occasion, facts: Sequence[str]) -> list[candidates.Candidate]:
    """Ask the scenarios that a fact triggers, each once, and the models if a fact calls for a score."""
    definitions = occasion.definitions
    triggered = {each.key: each for fact in facts for each in definitions.triggers.of(fact)}
    proposed = [candidates.from_scenario(occasion, scenario) for scenario in triggered.values()]
    found = [candidate for candidate in proposed if candidate is not None]
    if occasion.scorer.any_warm() and any(definitions.scored.of(fact) for fact in facts):
        found += candidates.from_models(occasion, labels.outlook(occasion))
    return found


def _ring(state: CustomerState, until_ms: int, *, knowledge: Knowledge) -> list[Emission]:
    """Ring every alarm due by ``until_ms`` in order, each at its own event time."""
    emissions: list[Emission] = []
    while (rung := timers.pop_due(state, until_ms)) is not None:
        name, timer = rung
        state.clock_ms = max(state.clock_ms, timer.due_ms)
        trigger = timer.armed_by or f"{name}-{timer.due_ms}"
        occasion = Occasion(state, timer.due_ms, trigger, knowledge.definitions, knowledge.scorer)
        emissions += _rung(name, occasion)
    return emissions


def _rung(name: str, occasion: Occasion) -> list[Emission]:
    state, at_ms, definitions = occasion.state, occasion.at_ms, occasion.definitions
    if name == timers.SESSION:
        closed = sessions.close(state)
        if closed is None:
            return []
        _count(state, [SESSION_CLOSED], at_ms=at_ms, definitions=definitions)
        return [closed, *summaries.summarise(occasion)]
    if name == timers.LABEL:
        return [*labels.resolve(state, at_ms, definitions=definitions)]
    if name == timers.SAMPLE:
        return _sample(occasion)
    scenario = definitions.by_timer.get(name)
    if scenario is None:
        return []
    candidate = candidates.from_scenario(occasion, scenario, rang=True)
    return arbitration.arbitrate([candidate] if candidate else [], occasion)


def _sample(occasion: Occasion) -> list[Emission]:
    """Make a prediction that will be judged, and look at every model, while the customer is there."""
    state, at_ms, definitions = occasion.state, occasion.at_ms, occasion.definitions
    if at_ms - state.active_ms > definitions.sample_while_idle_ms:
        return []
    timers.arm(state, timers.SAMPLE, due_ms=at_ms + definitions.sample_every_ms, armed_by="")
    if at_ms < state.suspect_until_ms:
        return []
    seen = labels.outlook(occasion)
    labels.remember(occasion, seen)
    return arbitration.arbitrate(candidates.from_models(occasion, seen), occasion)
