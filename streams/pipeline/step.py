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

    event, at_ms = moment.event, moment.at_ms
    if (type(event) is Forwarded or type(event) is History) and not identities.is_new(state, event):
        return state, [DuplicateEvent(event.event_id)]
    if deduplicator.seen(state, event.event_id):
        return state, [DuplicateEvent(event.event_id)]
    emissions = _ring(state, at_ms, knowledge=knowledge)
    if type(event) is events.Erasure or type(event) is Forgotten:
        emissions += erasure.farewell(state, event, at_ms=at_ms)
        return erasure.erase(state, event.event_id, at_ms=at_ms), emissions
    if type(event) is Link or identities.is_visitor(state):
        state = identities.revisited(state, event.event_id)
        emissions += _visit(state, event, at_ms=at_ms, knowledge=knowledge)
        identities.remember_visitor(state)
    elif type(event) is History:
        emissions += _take_over(state, event, at_ms=at_ms, knowledge=knowledge)
    else:
        said = event.said() if type(event) is Forwarded else event
        emissions += _apply(state, said, at_ms=at_ms, knowledge=knowledge)
        emissions += identities.ask(state, said, partition=moment.partition)
    return state, emissions


def _apply(state: CustomerState, event: events.AnyEvent, *, at_ms: int, knowledge: Knowledge) -> list[Emission]:
    """Apply what happened to the state it belongs to, and decide what there is to say."""
    definitions = knowledge.definitions
    plan = classifier.classify(event, definitions)
    late_by_ms = state.clock_ms - at_ms
    state.clock_ms = max(state.clock_ms, at_ms)
    state.first_ms = min(state.first_ms, at_ms)
    emissions: list[Emission] = [*_count(state, plan, at_ms=at_ms, definitions=definitions)]
    if type(event) is not events.Click:
        attributes.apply(state, event, at_ms=at_ms)
        habits.observe(state, event, at_ms=at_ms, plan=plan, definitions=definitions)
    if plan.is_activity and event.customer_id is not None:
        habits.notice(state, at_ms, definitions=definitions)
    if late_by_ms > 0:
        emissions.append(LateEvent(event.event_id, late_by_ms))
    elif type(event) is events.Click:
        sessions.extend(state, event, at_ms=at_ms, definitions=definitions)
    if not identities.is_visitor(state):
        # A late event is looked at as of now: its counts are in, the moment it belonged to is gone.
        occasion = Occasion(state, state.clock_ms, event.event_id, definitions, knowledge.scorer)
        absences.follow(occasion, plan, happened_ms=at_ms)
        emissions += arbitration.arbitrate(_propose(occasion, plan), occasion)
    return emissions


def _visit(state: CustomerState, event: AnyMessage, *, at_ms: int, knowledge: Knowledge) -> list[Emission]:
    """Apply what concerns an anonymous visitor: a question of who it is, or one more event."""
    definitions = knowledge.definitions
    if isinstance(event, Link):
        return [identities.hand_over(state, event, reply_to=event.reply_to, definitions=definitions)]
    if isinstance(event, IdentityMessage):
        return []  # these are for customers
    if event.customer_id is not None:
        history = identities.hand_over(state, event, reply_to=BY_KEY, definitions=definitions)
        return [history, *identities.pass_on(state, event)]
    if state.owner is None:
        return _apply(state, event, at_ms=at_ms, knowledge=knowledge)
    state.clock_ms = max(state.clock_ms, at_ms)
    return [*identities.pass_on(state, event)]


def _take_over(state: CustomerState, history: History, *, at_ms: int, knowledge: Knowledge) -> list[Emission]:
    """Take a visitor's history in, and ask the scenarios that its facts trigger."""
    assumed = labels.assumptions(state, knowledge.definitions)
    brought = identities.take_over(state, history, definitions=knowledge.definitions)
    state.clock_ms = max(state.clock_ms, at_ms)
    corrected = labels.corrections(state, assumed, definitions=knowledge.definitions)
    occasion = Occasion(state, state.clock_ms, history.identified_by, knowledge.definitions, knowledge.scorer)
    plan = knowledge.definitions.planner.plan(brought)
    return [*corrected, *arbitration.arbitrate(_propose(occasion, plan), occasion)]


def _count(state: CustomerState, plan: Plan, *, at_ms: int, definitions: Definitions) -> Sequence[LabelledExample]:
    """Decayed counts and label marks; both commute, so late facts count like punctual ones."""
    counters, half_lives_ms = state.counters, definitions.half_lives_ms
    for fact in plan.counted:
        counters[fact] = decay.add(counters.get(fact), 1.0, at_ms=at_ms, half_lives_ms=half_lives_ms)
    if not plan.marking or not state.predictions:
        return ()
    assumed = labels.assumptions(state, definitions) if plan.corrects else ()
    for fact in plan.marking:
        labels.mark(state, fact, at_ms=at_ms, definitions=definitions)
    return labels.corrections(state, assumed, definitions=definitions) if assumed else ()


def _propose(occasion: Occasion, plan: Plan) -> list[candidates.Candidate]:
    """Ask the scenarios that a fact triggers, each once, and the models if a fact calls for a score."""
    found = []
    for scenario in plan.triggers:
        candidate = candidates.from_scenario(occasion, scenario)
        if candidate is not None:
            found.append(candidate)
    if plan.is_scored and occasion.scorer.any_warm():
        found += candidates.from_models(occasion)
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
        identities.remember_session(state)
        closed = sessions.close(state)
        if closed is None:
            return []
        corrected = _count(state, definitions.session_closed, at_ms=at_ms, definitions=definitions)
        return [closed, *corrected, *summaries.summarise(occasion)]
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
    seen = labels.sample(occasion)
    assumed = labels.remember(occasion, seen)
    unusual = occasion.scorer.unusual(seen.values)
    if unusual is not None:
        state.unusual = round(unusual, UNUSUAL_DECIMALS)
    decided = arbitration.arbitrate(candidates.from_models(occasion, seen), occasion)
    return [PredictionMade(seen.values, seen.said.scores()), *assumed, *decided]
