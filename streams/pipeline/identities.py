"""Who an anonymous visitor turned out to be: asking for the history, handing it over, taking it in.

A customer's first ``identify`` on a device asks the device's partition for what it knows (``ask``). There the first
customer who identifies becomes the owner and gets the history (``hand_over``); what the device says later without a
login is passed on, event by event (``pass_on``). Once a second customer identifies on it the device is shared: its
owner keeps what was given, and from then on its anonymous events are nobody's.

Messages may come twice after a crash, at other offsets, so each carries a number: 0 for the history, 1 and on for the
events. The customer remembers which are in, so each is taken exactly once (``is_new``).

Decayed counters and sessions merge exactly: the customer counts as if the visitor's events had been the customer's.
"""

from copy import copy

from needstream.models import decay
from needstream.schemas import codecs, events, identities, times
from needstream.schemas import state as states
from needstream.schemas.parts import Session
from needstream.schemas.state import PURPOSES, ClosedSession, CustomerState, Owner
from needstream.schemas.times import DAY_MS
from needstream.streams.pipeline import consents, deduplicator, erasure, labels, timers
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.emissions import SharedDeviceEvent
from needstream.streams.pipeline.vocabulary import AMOUNT, SESSION_CLOSED

MOST_DEVICES = 8
"""Of more devices of one customer the longest known is forgotten; its later messages are still taken."""

VISITOR_LASTS_MS = 90 * DAY_MS
"""How long after its last event an anonymous visitor is remembered."""

_HISTORY = 0
_NOT_AWAITED = -1
_AWAITED = -2
_MOST_AHEAD = 64
_REFUSALS = ("DENIED", "REVOKED")


def is_visitor(state: CustomerState) -> bool:
    """Whether this is the state of an anonymous visitor."""
    return state.customer_id.startswith(codecs.VISITOR)


def remember_visitor(state: CustomerState) -> None:
    """Put off the day on which the visitor is forgotten."""
    timers.arm(state, timers.FORGOTTEN, due_ms=state.clock_ms + VISITOR_LASTS_MS, armed_by="")


def revisited(state: CustomerState, event_id: str) -> CustomerState:
    """The visitor as it is remembered now: one who was forgotten meanwhile begins anew with this event."""
    if not erasure.is_over(state):
        return state
    fresh = states.new_customer(state.customer_id, state.clock_ms)
    fresh.erased_ms, fresh.applied = state.erased_ms, state.applied
    deduplicator.seen(fresh, event_id)
    return fresh


def remember_session(state: CustomerState) -> None:
    """Keep a visitor's session that is about to close: the question who it was may come a little later."""
    if state.session is not None and is_visitor(state):
        count = state.counters.get(SESSION_CLOSED)
        state.closed = ClosedSession(state.session, [*count] if count else None)


def is_awaiting(state: CustomerState) -> bool:
    """Whether a history was asked for and has not come yet; the customer's later events wait for it."""
    return any(numbers[0] == _AWAITED for numbers in state.devices.values())


def stop_awaiting(state: CustomerState) -> None:
    """Go on without the histories that have not come; one that comes later is still taken in."""
    for numbers in state.devices.values():
        if numbers[0] == _AWAITED:
            numbers[0] = _NOT_AWAITED


def ask(state: CustomerState, event: events.AnyEvent, *, partition: int) -> list[identities.Link]:
    """The question for the history of the device a customer identifies on, once per device."""
    if type(event) is not events.Click or event.event_type != "identify" or event.customer_id is None:
        return []
    device = event.anonymous_id
    if device is None or device in state.devices:
        return []
    _add_device(state, device, numbers=[_AWAITED])
    return [
        identities.Link(
            event_id=event.event_id,
            event_time=event.event_time,
            customer_id=event.customer_id,
            anonymous_id=device,
            reply_to=partition,
        )
    ]


def hand_over(
    visitor: CustomerState, link: events.Event, *, reply_to: int, definitions: Definitions
) -> identities.History:
    """Give the history to the first customer who asks, once; every other answer is empty and ends the waiting.

    Args:
        visitor: the anonymous state; what is handed over leaves it.
        link: the question, or an ``identify`` that was sent to the visitor's partition.
        reply_to: the customer's partition.
        definitions: which counts are decayed amounts of money.
    """
    customer_id, device = link.customer_id or "", link.anonymous_id or ""
    empty = identities.History(
        event_id=identities.history_id(link.event_id),
        event_time=link.event_time,
        customer_id=customer_id,
        anonymous_id=device,
        reply_to=reply_to,
    )
    owner = visitor.owner
    if owner is not None:
        owner.shared = owner.shared or owner.customer_id != customer_id
        return empty
    visitor.owner = Owner(customer_id, reply_to)
    _reopen_session(visitor, link, definitions=definitions)
    visitor.clock_ms = max(visitor.clock_ms, times.event_time(link.event_time))
    counters, visitor.counters = visitor.counters, {}
    session, visitor.session = visitor.session, None
    timers.cancel(visitor, timers.SESSION)
    decisions = consents.decisions(visitor)
    refusals = {purpose: at_ms for purpose, (status, at_ms) in decisions.items() if status in _REFUSALS}
    visitor.consents = {}
    return identities.History(
        event_id=empty.event_id,
        event_time=link.event_time,
        customer_id=customer_id,
        anonymous_id=device,
        reply_to=reply_to,
        first_ms=visitor.first_ms if counters else 0,
        counters={fact: counter for fact, counter in counters.items() if fact in definitions.counted},
        session=session,
        refusals=refusals,
        home_currency=visitor.traits.home_currency,
        suspect_until_ms=visitor.suspect_until_ms,
    )


def pass_on(visitor: CustomerState, event: events.AnyEvent) -> list[identities.Forwarded | SharedDeviceEvent]:
    """The message that brings an event of an owned device to its owner, or to the customer it names.

    Anonymous events of a shared device are nobody's. A consent that was given without a login is not the customer's; a
    refusal is.
    """
    owner = visitor.owner
    if owner is None or (isinstance(event, events.Consent) and event.status not in _REFUSALS):
        return []
    if owner.shared and event.customer_id is None:
        return [SharedDeviceEvent(event.event_id)]
    owner.forwarded += 1
    customer_id = event.customer_id or owner.customer_id
    return [
        identities.forwarded(
            event,
            customer_id=customer_id,
            anonymous_id=visitor.customer_id.removeprefix(codecs.VISITOR),
            reply_to=owner.partition if customer_id == owner.customer_id else identities.BY_KEY,
            number=owner.forwarded,
        )
    ]


def is_new(state: CustomerState, message: identities.History | identities.Forwarded) -> bool:
    """Whether the device's message is not in the state yet; afterwards it counts as being in."""
    device = message.anonymous_id
    number = message.number if isinstance(message, identities.Forwarded) else _HISTORY
    numbers = state.devices.get(device)
    if numbers is None:
        numbers = _add_device(state, device, numbers=[_NOT_AWAITED])
    if number <= numbers[0] or number in numbers[1:]:
        return False
    numbers.append(number)
    numbers[1:] = sorted(numbers[1:])
    while len(numbers) > 1 and (numbers[1] in (_HISTORY, numbers[0] + 1) or len(numbers) > _MOST_AHEAD):
        del numbers[0]
    return True


def take_over(state: CustomerState, history: identities.History, *, definitions: Definitions) -> list[str]:
    """Merge a visitor's history into the customer.

    Returns:
        The facts it brought.
    """
    half_lives_ms = definitions.half_lives_ms
    if history.first_ms:
        state.first_ms = min(state.first_ms, history.first_ms)
    state.suspect_until_ms = max(state.suspect_until_ms, history.suspect_until_ms)
    for purpose in PURPOSES:
        at_ms = history.refusals.get(purpose)
        if at_ms is not None:
            consents.take(state, purpose, status="DENIED", at_ms=at_ms)
    home = state.traits.home_currency
    if history.home_currency and not home:
        home = state.traits.home_currency = history.home_currency
    brought = []
    for fact, counter in history.counters.items():
        is_foreign = fact.startswith(AMOUNT) and history.home_currency != home
        if fact not in definitions.counted or is_foreign or len(counter) != len(half_lives_ms) + 1:
            continue
        known_counter = state.counters.get(fact)
        state.counters[fact] = (
            decay.merge(known_counter, counter, half_lives_ms=half_lives_ms) if known_counter else list(counter)
        )
        labels.mark(state, fact, at_ms=int(counter[0]), definitions=definitions)
        brought.append(fact)
    if history.session is not None:
        _join_session(state, history.session, definitions=definitions, armed_by=history.event_id)
    return brought


def _reopen_session(visitor: CustomerState, link: events.Event, *, definitions: Definitions) -> None:
    """Take back the closing of a session that the login continued: the visitor's time was ahead of the customer's."""
    closed, visitor.closed = visitor.closed, None
    if closed is None or visitor.session is not None:
        return
    if times.event_time(link.event_time) - closed.session.last_ms > definitions.session_gap_ms:
        return
    visitor.session = closed.session
    visitor.clock_ms = closed.session.last_ms
    if closed.count is not None:
        visitor.counters[SESSION_CLOSED] = closed.count
    else:
        visitor.counters.pop(SESSION_CLOSED, None)


def _join_session(state: CustomerState, session: Session, *, definitions: Definitions, armed_by: str) -> None:
    """One window if the gap between the two is not too long; else the older one is over, and counts as closed."""
    known = state.session
    if known is None:
        # A session of its own: the message may have to be applied again, as it was.
        state.session = joined = copy(session)
    elif max(known.started_ms, session.started_ms) - min(known.last_ms, session.last_ms) <= definitions.session_gap_ms:
        state.session = joined = Session(
            min(known.started_ms, session.started_ms),
            max(known.last_ms, session.last_ms),
            known.events + session.events,
            known.pages + session.pages,
            known.dwell_ms + session.dwell_ms,
        )
    else:
        older, joined = sorted((known, session), key=lambda each: each.last_ms)
        state.session = joined
        if SESSION_CLOSED in definitions.counted:
            decay.add(
                state.counters,
                (SESSION_CLOSED,),
                amount=1.0,
                at_ms=older.last_ms + definitions.session_gap_ms + 1,
                half_lives_ms=definitions.half_lives_ms,
            )
    due_ms = joined.last_ms + definitions.session_gap_ms + 1
    timers.arm(state, timers.SESSION, due_ms=due_ms, armed_by=armed_by)


def _add_device(state: CustomerState, device: str, *, numbers: list[int]) -> list[int]:
    state.devices[device] = numbers
    while len(state.devices) > MOST_DEVICES:
        del state.devices[next(iter(state.devices))]
    return numbers
