"""The dataflow, top to bottom: one input of one customer in, the new state and its emissions out.

``step`` is pure: no clock, no randomness, no I/O. It takes ownership of the state it is given and returns it changed; a
caller that wants to keep the old one keeps a snapshot.

Here and in what it calls for every event, kinds of events are told apart by ``type(...) is``: none has subclasses, and
an ``isinstance`` that fails costs five times as much for a ``Struct`` (its metaclass is asked).
"""

from collections.abc import Sequence

from needstream.models import decay
from needstream.schemas import events
from needstream.schemas.codecs import AnyMessage
from needstream.schemas.identities import BY_KEY, Forgotten, Forwarded, History, IdentityMessage, Link
from needstream.schemas.signals import LabelledExample
from needstream.schemas.state import CustomerState, Timer
from needstream.streams.pipeline import (
    absences,
    arbitration,
    candidates,
    classifier,
    deduplicator,
    erasure,
    habits,
    identities,
    labels,
    sessions,
    summaries,
    timers,
)
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.emissions import DuplicateEvent, Emission, LateEvent, PredictionMade
from needstream.streams.pipeline.inputs import Arrival, Tick
from needstream.streams.pipeline.occasions import Knowledge, Occasion
from needstream.streams.pipeline.plans import Plan

UNUSUAL_DECIMALS = 4
"""Rounded like any figure that is kept, so that the order in which a processor adds up does not show."""


_MESSAGES = frozenset({Link, History, Forwarded, Forgotten, events.Erasure})
"""What is not simply something that happened; rare, and told apart once."""


def step(
    state: CustomerState, moment: Arrival | Tick, *, knowledge: Knowledge
) -> tuple[CustomerState | None, list[Emission]]:
    """Apply an event or the passing of time to one customer.

    Returns:
        The new state and the emissions in order. The state is None when nothing needs to be kept any longer; after an
        erasure it is the marker that remains, under a key of its own.
    """
    if type(moment) is Tick:
        emissions = _ring(state, moment.at_ms, knowledge=knowledge)
        return None if erasure.is_over(state) else state, emissions

    event = moment.event
    if type(event) in _MESSAGES:
        return _hear(state, event, moment=moment, knowledge=knowledge)
    if deduplicator.seen(state, event.event_id):
        return state, [DuplicateEvent(event.event_id)]
    emissions = _ring(state, moment.at_ms, knowledge=knowledge)
    if identities.is_visitor(state):
        return _visit(state, event, moment=moment, knowledge=knowledge, said=emissions)
    # No message comes this far.
    emissions += _apply(state, event, moment=moment, knowledge=knowledge, decides=True)  # type: ignore[arg-type]
    return state, emissions


def _hear(
    state: CustomerState, event: AnyMessage, *, moment: Arrival, knowledge: Knowledge
) -> tuple[CustomerState, list[Emission]]:
    """Apply a message between customers and visitors, or the request to be forgotten."""
    at_ms = moment.at_ms
    if isinstance(event, Forwarded | History) and not identities.is_new(state, event):
        return state, [DuplicateEvent(event.event_id)]
    if deduplicator.seen(state, event.event_id):
        return state, [DuplicateEvent(event.event_id)]
    emissions = _ring(state, at_ms, knowledge=knowledge)
    if isinstance(event, events.Erasure | Forgotten):
        emissions += erasure.farewell(state, event, at_ms=at_ms)
        return erasure.erase(state, event.event_id, at_ms=at_ms), emissions
    if isinstance(event, Link) or identities.is_visitor(state):
        return _visit(state, event, moment=moment, knowledge=knowledge, said=emissions)
    if isinstance(event, History):
        emissions += _take_over(state, event, at_ms=at_ms, knowledge=knowledge)
    elif isinstance(event, Forwarded):
        emissions += _apply(state, event.said(), moment=moment, knowledge=knowledge, decides=True)
    return state, emissions


def _apply(
    state: CustomerState, event: events.AnyEvent, *, moment: Arrival, knowledge: Knowledge, decides: bool
) -> list[Emission]:
    """Apply what happened to the state it belongs to; of a customer also decide what there is to say."""
    definitions, at_ms = knowledge.definitions, moment.at_ms
    plan = classifier.classify(event, definitions)
    emissions: list[Emission] = []
    late_by_ms = state.clock_ms - at_ms
    if late_by_ms > 0:
        state.first_ms = min(state.first_ms, at_ms)
    else:
        state.clock_ms = at_ms
    decay.add(state.counters, plan.counted, amount=1.0, at_ms=at_ms, half_lives_ms=definitions.half_lives_ms)
    if plan.corrects:
        emissions += _mark(state, plan, at_ms=at_ms, definitions=definitions)
    elif plan.marked and state.predictions:
        labels.mark_models(state, plan.marked, at_ms=at_ms)
    if type(event) is not events.Click:
        habits.observe(state, event, at_ms=at_ms, plan=plan, definitions=definitions)
    elif late_by_ms <= 0:
        sessions.extend(state, event, at_ms=at_ms, definitions=definitions)
    if late_by_ms > 0:
        emissions.append(LateEvent(event.event_id, late_by_ms))
    if plan.is_activity and event.customer_id is not None:
        habits.notice(state, at_ms, definitions=definitions)
    if decides:
        if plan.moves_alarms:
            absences.follow(state, plan, happened_ms=at_ms, event_id=event.event_id)
        if plan.triggers or plan.is_scored:
            # A late event is looked at as of now: its counts are in, the moment it belonged to is gone.
            emissions += _decide(state, plan, event_id=event.event_id, knowledge=knowledge)
        if plan.identifies:
            emissions += identities.ask(state, event, partition=moment.partition)
    return emissions


def _visit(
    state: CustomerState, event: AnyMessage, *, moment: Arrival, knowledge: Knowledge, said: list[Emission]
) -> tuple[CustomerState, list[Emission]]:
    """Apply what concerns an anonymous visitor, and put off the day on which it is forgotten."""
    state = identities.revisited(state, event.event_id)
    said += _visited(state, event, moment=moment, knowledge=knowledge)
    identities.remember_visitor(state)
    return state, said


def _visited(state: CustomerState, event: AnyMessage, *, moment: Arrival, knowledge: Knowledge) -> list[Emission]:
    """A question of who the visitor is, or one more event."""
    definitions = knowledge.definitions
    if isinstance(event, Link):
        return [identities.hand_over(state, event, reply_to=event.reply_to, definitions=definitions)]
    if isinstance(event, IdentityMessage):
        return []  # these are for customers
    if event.customer_id is not None:
        history = identities.hand_over(state, event, reply_to=BY_KEY, definitions=definitions)
        return [history, *identities.pass_on(state, event)]
    if state.owner is None:
        return _apply(state, event, moment=moment, knowledge=knowledge, decides=False)
    state.clock_ms = max(state.clock_ms, moment.at_ms)
    return [*identities.pass_on(state, event)]


def _take_over(state: CustomerState, history: History, *, at_ms: int, knowledge: Knowledge) -> list[Emission]:
    """Take a visitor's history in, and ask the scenarios that its facts trigger."""
    assumed = labels.assumptions(state, knowledge.definitions)
    brought = identities.take_over(state, history, definitions=knowledge.definitions)
    state.clock_ms = max(state.clock_ms, at_ms)
    corrected = labels.corrections(state, assumed, definitions=knowledge.definitions)
    plan = knowledge.definitions.planner.plan(brought)
    return [*corrected, *_decide(state, plan, event_id=history.identified_by, knowledge=knowledge)]


def _mark(state: CustomerState, plan: Plan, *, at_ms: int, definitions: Definitions) -> Sequence[LabelledExample]:
    """Mark pending predictions; marks commute like counts, so late facts mark like punctual ones."""
    assumed = labels.assumptions(state, definitions) if plan.corrects else ()
    labels.mark_models(state, plan.marked, at_ms=at_ms)
    return labels.corrections(state, assumed, definitions=definitions) if assumed else ()


def _decide(state: CustomerState, plan: Plan, *, event_id: str, knowledge: Knowledge) -> list[Emission]:
    """Ask the scenarios that a fact triggers, each once, and the models if a fact calls for a score.

    A scenario that has not fired yet and whose condition does not hold proposes nothing, nor does it change: it is the
    usual one, and not asked further.
    """
    at_ms, armings = state.clock_ms, state.armings
    asked = []
    for scenario in plan.triggers:
        if scenario.key in armings or scenario.when.holds(state, at_ms):
            asked.append(scenario)
    is_scored = plan.is_scored and knowledge.scorer.any_warm()
    if not asked and not is_scored:
        return []
    occasion = Occasion(state, at_ms, event_id, knowledge.definitions, knowledge.scorer)
    found = []
    for scenario in asked:
        candidate = candidates.from_scenario(occasion, scenario)
        if candidate is not None:
            found.append(candidate)
    if is_scored:
        found += candidates.from_models(occasion)
    return arbitration.arbitrate(found, occasion) if found else []


def _ring(state: CustomerState, until_ms: int, *, knowledge: Knowledge) -> list[Emission]:
    """Ring every alarm due by ``until_ms`` in order, each at its own event time."""
    emissions: list[Emission] = []
    while (rung := timers.pop_due(state, until_ms)) is not None:
        name, timer = rung
        state.clock_ms = max(state.clock_ms, timer.due_ms)
        emissions += _rung(state, name, timer=timer, knowledge=knowledge)
    return emissions


def _rung(state: CustomerState, name: str, *, timer: Timer, knowledge: Knowledge) -> Sequence[Emission]:
    at_ms, definitions = timer.due_ms, knowledge.definitions
    if name == timers.LABEL:
        return labels.resolve(state, at_ms, definitions=definitions)
    occasion = Occasion(state, at_ms, timer.armed_by or f"{name}-{at_ms}", definitions, knowledge.scorer)
    if name == timers.SESSION:
        return _close_session(occasion)
    if name == timers.SAMPLE:
        return _sample(occasion)
    scenario = definitions.by_timer.get(name)
    if scenario is None:
        return []
    candidate = candidates.from_scenario(occasion, scenario, rang=True)
    return arbitration.arbitrate([candidate], occasion) if candidate else []


def _close_session(occasion: Occasion) -> list[Emission]:
    state, at_ms, definitions = occasion.state, occasion.at_ms, occasion.definitions
    identities.remember_session(state)
    closed = sessions.close(state)
    if closed is None:
        return []
    plan, half_lives_ms = definitions.session_closed, definitions.half_lives_ms
    decay.add(state.counters, plan.counted, amount=1.0, at_ms=at_ms, half_lives_ms=half_lives_ms)
    corrected = _mark(state, plan, at_ms=at_ms, definitions=definitions) if plan.marked else ()
    return [closed, *corrected, *summaries.summarise(occasion)]


def _sample(occasion: Occasion) -> list[Emission]:
    """Make a prediction that will be judged, and look at every model, while the customer is there."""
    state, at_ms, definitions = occasion.state, occasion.at_ms, occasion.definitions
    if at_ms - state.active_ms > definitions.sample_while_idle_ms:
        return []
    timers.arm(state, timers.SAMPLE, due_ms=at_ms + definitions.sample_every_ms, armed_by="")
    if at_ms < state.suspect_until_ms:
        return []
    seen = labels.sample(occasion)
    assumed = labels.remember(occasion, seen)
    unusual = occasion.scorer.unusual(seen.values)
    if unusual is not None:
        state.unusual = round(unusual, UNUSUAL_DECIMALS)
    proposed = candidates.from_models(occasion, seen)
    decided = arbitration.arbitrate(proposed, occasion) if proposed else ()
    return [PredictionMade(seen.values, seen.said.scores()), *assumed, *decided]
