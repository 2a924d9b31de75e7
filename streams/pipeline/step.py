"""The dataflow, top to bottom: one input of one customer in, the new state and its emissions out.

``step`` is pure: no clock, no randomness, no I/O. It takes ownership of the state it is given and
returns it changed; a caller that wants to keep the old one keeps a snapshot.
"""

from needstream.models import decay
from needstream.models.scorer import Scorer
from needstream.schemas import events
from needstream.schemas.signals import ProfileSummary
from needstream.schemas.state import CustomerState, Timer
from needstream.schemas.times import rfc3339
from needstream.streams.pipeline import (
    arbitration,
    attributes,
    baselines,
    candidates,
    classifier,
    deduplicator,
    labels,
    sessions,
    timers,
)
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.emissions import CustomerErased, DuplicateEvent, Emission, LateEvent
from needstream.streams.pipeline.inputs import Arrival, Tick


def step(
    state: CustomerState, moment: Arrival | Tick, *, definitions: Definitions, scorer: Scorer
) -> tuple[CustomerState | None, list[Emission]]:
    """Apply an event or the passing of time to one customer.

    Returns:
        The new state, None when the customer was erased, and the emissions in order.
    """
    emissions: list[Emission] = []
    if isinstance(moment, Tick):
        _ring(state, moment.at_ms, emissions, definitions=definitions, scorer=scorer)
        return state, emissions

    event, at_ms = moment.event, moment.at_ms
    if deduplicator.seen(state, event.event_id):
        return state, [DuplicateEvent(event.event_id)]
    if isinstance(event, events.Erasure):
        return None, [CustomerErased(state.customer_id, event.event_id)]

    late_by_ms = state.clock_ms - at_ms
    _ring(state, at_ms, emissions, definitions=definitions, scorer=scorer)
    facts = classifier.classify(event, definitions)
    _count(state, facts, at_ms, definitions=definitions)
    attributes.apply(state, event, at_ms)
    if late_by_ms > 0:
        _apply_late(state, event, at_ms, definitions=definitions)
        emissions.append(LateEvent(event.event_id, late_by_ms))
        return state, emissions

    state.clock_ms = at_ms
    _observe(state, event, facts, at_ms=at_ms, definitions=definitions)
    if event.customer_id is not None:
        proposed = _propose(
            state, facts, at_ms, event_id=event.event_id, definitions=definitions, scorer=scorer
        )
        emissions += arbitration.arbitrate(state, proposed, definitions)
    return state, emissions


def _count(
    state: CustomerState, facts: list[str], at_ms: int, *, definitions: Definitions
) -> None:
    """The order-free part: decayed counts and label marks."""
    half_lives_ms = definitions.half_lives_ms
    for fact in facts:
        labels.mark(state, fact, at_ms, definitions)
        state.counters[fact] = decay.add(
            state.counters.get(fact), 1.0, at_ms=at_ms, half_lives_ms=half_lives_ms
        )


def _apply_late(
    state: CustomerState, event: events.AnyEvent, at_ms: int, *, definitions: Definitions
) -> None:
    if isinstance(event, events.Transaction):
        baselines.add_amount(state, event, at_ms, definitions=definitions)


def _observe(
    state: CustomerState,
    event: events.AnyEvent,
    facts: list[str],
    *,
    at_ms: int,
    definitions: Definitions,
) -> None:
    """The part that needs order: session, habits, last activity."""
    if isinstance(event, events.Click):
        sessions.extend(state, event, at_ms, definitions=definitions)
    elif isinstance(event, events.Transaction):
        baselines.observe_transaction(state, event, at_ms, definitions=definitions)
        if "tx.salary" in facts:
            baselines.observe_salary(state, at_ms)
    elif isinstance(event, events.CreditScore):
        baselines.observe_credit_score(state, event.score, at_ms)
    if classifier.ACTIVITY in facts and event.customer_id is not None:
        state.active_ms = at_ms
        if timers.SAMPLE not in state.timers:
            due_ms = at_ms + definitions.sample_every_ms
            timers.arm(state, timers.SAMPLE, due_ms, armed_by=event.event_id)


def _propose(
    state: CustomerState,
    facts: list[str],
    at_ms: int,
    *,
    event_id: str,
    definitions: Definitions,
    scorer: Scorer,
) -> list[candidates.Candidate]:
    """Set and clear the alarms of absences, then ask scenarios and models."""
    for fact in facts:
        for scenario in definitions.cancelled_by.of(fact):
            timers.cancel(state, scenario.timer)
    for fact in facts:
        for scenario in definitions.armed_by.of(fact):
            if scenario.only_if.holds(state, at_ms):
                extra = scenario.plus_days(state, at_ms) * 86_400_000 if scenario.plus_days else 0
                due_ms = at_ms + scenario.wait_ms + round(extra)
                timers.arm(state, scenario.timer, due_ms, armed_by=event_id)
    triggered = {each.key: each for fact in facts for each in definitions.triggers.of(fact)}
    proposed = [
        candidates.from_scenario(
            state,
            scenario,
            at_ms,
            trigger_event_id=event_id,
            rang=False,
            definitions=definitions,
            scorer=scorer,
        )
        for scenario in triggered.values()
    ]
    found = [candidate for candidate in proposed if candidate is not None]
    if any(definitions.scored.of(fact) for fact in facts):
        found += candidates.from_models(
            state, at_ms, trigger_event_id=event_id, definitions=definitions, scorer=scorer
        )
    return found


def _ring(
    state: CustomerState,
    until_ms: int,
    emissions: list[Emission],
    *,
    definitions: Definitions,
    scorer: Scorer,
) -> None:
    """Ring every alarm due by ``until_ms`` in order, each at its own event time."""
    while (rung := timers.pop_due(state, until_ms)) is not None:
        name, timer = rung
        state.clock_ms = max(state.clock_ms, timer.due_ms)
        emissions += _rung(state, name, timer, definitions=definitions, scorer=scorer)


def _rung(
    state: CustomerState, name: str, timer: Timer, *, definitions: Definitions, scorer: Scorer
) -> list[Emission]:
    at_ms = timer.due_ms
    if name == timers.SESSION:
        closed = sessions.close(state)
        if closed is None:
            return []
        _count(state, ["session.closed"], at_ms, definitions=definitions)
        return [closed, _summary(state, at_ms, definitions=definitions, scorer=scorer)]
    if name == timers.LABEL:
        return list(labels.resolve(state, at_ms, definitions))
    if name == timers.SAMPLE:
        return _sample(state, at_ms, definitions=definitions, scorer=scorer)
    scenario = definitions.by_timer.get(name)
    if scenario is None:
        return []
    candidate = candidates.from_scenario(
        state,
        scenario,
        at_ms,
        trigger_event_id=timer.armed_by,
        rang=True,
        definitions=definitions,
        scorer=scorer,
    )
    return arbitration.arbitrate(state, [candidate] if candidate else [], definitions)


def _sample(
    state: CustomerState, at_ms: int, *, definitions: Definitions, scorer: Scorer
) -> list[Emission]:
    """Make a prediction that will be judged, and look at every model, while the customer is there."""
    if at_ms - state.active_ms > definitions.sample_while_idle_ms:
        return []
    timers.arm(state, timers.SAMPLE, at_ms + definitions.sample_every_ms, armed_by="")
    if at_ms < state.suspect_until_ms:
        return []
    labels.remember(state, at_ms, definitions=definitions, scorer=scorer)
    proposed = candidates.from_models(
        state, at_ms, trigger_event_id=f"sample-{at_ms}", definitions=definitions, scorer=scorer
    )
    return arbitration.arbitrate(state, proposed, definitions)


def _summary(
    state: CustomerState, at_ms: int, *, definitions: Definitions, scorer: Scorer
) -> ProfileSummary:
    said = scorer.scores(labels.feature_values(state, at_ms, definitions))
    scores = {
        name: score.probability for name, score in said.items() if score.probability is not None
    }
    sessions_seen = state.counters.get("session.closed")
    return ProfileSummary(
        customer_id=state.customer_id,
        event_time=rfc3339(at_ms),
        last_active_at=rfc3339(state.active_ms) if state.active_ms else None,
        sessions_30d=round(
            decay.read(sessions_seen, 2, at_ms, definitions.half_lives_ms[2]), 4
        ),
        scores=scores,
        open_scenarios=tuple(sorted(key for key, at in state.armings.items() if not at.armed)),
        consents={purpose: status for purpose, (status, _) in sorted(state.consents.items())},
        definition_version=definitions.version,
    )
