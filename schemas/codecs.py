"""Bytes to events, once: typed decoding that answers with an event or a ``Rejected`` value.

``decode`` never raises for any bytes. The happy path is one typed parse and a handful of comparisons; what finds the
offending field runs only for records that are rejected. Of a repeated field the last value counts, as in most parsers,
but every one of them must be valid.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from needstream.schemas import events, money, outline, refusals, times
from needstream.schemas.dead_letters import Rejected, RejectReason

MAX_RECORD_BYTES = 65_536
MAX_DEPTH = 16
EARLIEST_MS = 0

_LIST = ord("[")

TYPES: dict[str, Any] = {
    "clickstream": events.Click,
    "transactions": events.Transaction,
    "feedback": events.Feedback,
    "customers": events.CustomerEvent,
    "outcomes": events.Outcome,
}
"""What each input family says."""

FAMILIES: tuple[str, ...] = tuple(TYPES)
"""The input families; the topic of family ``clickstream`` is ``clickstream.v1``."""

_DECODE: dict[str, Callable[[bytes], events.AnyEvent]] = {
    family: msgspec.json.Decoder(said).decode for family, said in TYPES.items()
}


def decode(raw: bytes | None, *, family: str, latest_ms: int, key: bytes | None = None) -> events.AnyEvent | Rejected:
    """The event in ``raw``, or why there is none.

    Args:
        raw: the record's value; a record without one (a tombstone) is rejected as empty.
        family: one of ``FAMILIES``.
        latest_ms: the newest acceptable event time, inclusive: processing time plus tolerance.
        key: the record's key, checked against the event's identity when it is given.
    """
    if not raw:
        return Rejected(RejectReason.EMPTY)
    if len(raw) > MAX_RECORD_BYTES:
        return Rejected(RejectReason.TOO_LARGE, outline.largest(raw).name, f"{len(raw)} bytes")
    # Two searches settle the usual flat record; only one that nests is counted.
    if (_LIST in raw or raw.rfind(b"{") > 0) and raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        deepest = outline.deepest(raw)
        if deepest.depth > MAX_DEPTH:
            return Rejected(RejectReason.TOO_DEEP, deepest.name, f"{deepest.depth} levels")
    # The parser skips unknown fields without reading their text, so it would let broken text in them pass.
    wrong = None if raw.isascii() else refusals.of_encoding(raw)
    if wrong is not None:
        return wrong
    try:
        event = _DECODE[family](raw)
    except msgspec.ValidationError as error:
        return refusals.of_content(str(error), raw)
    except msgspec.DecodeError as error:
        return refusals.of_syntax(str(error), raw)
    return _admit(event, latest_ms=latest_ms, key=key) or event


def event_key(event: events.AnyEvent) -> str:
    """The key of the customer state an event belongs to."""
    return event.customer_id or event.anonymous_id or ""


def _admit(event: events.AnyEvent, *, latest_ms: int, key: bytes | None) -> Rejected | None:
    at_ms = times.event_time(event.event_time)
    if not EARLIEST_MS <= at_ms <= latest_ms:
        reason = RejectReason.TIME_TOO_EARLY if at_ms < EARLIEST_MS else RejectReason.TIME_TOO_LATE
        return Rejected(reason, "event_time", event.event_time.isoformat())
    customer_id, anonymous_id = event.customer_id, event.anonymous_id
    identity = anonymous_id if customer_id is None else customer_id
    if identity is None:
        return Rejected(RejectReason.MISSING_IDENTITY, "customer_id")
    if not event.event_id.isprintable() or event.event_id.isspace():
        return _unreadable("event_id")
    if customer_id is not None and (not customer_id.isprintable() or customer_id.isspace()):
        return _unreadable("customer_id")
    if anonymous_id is not None and (not anonymous_id.isprintable() or anonymous_id.isspace()):
        return _unreadable("anonymous_id")
    if key is not None and key != identity.encode() and not _introduces(event, key):
        return Rejected(RejectReason.KEY_MISMATCH, "anonymous_id" if customer_id is None else "customer_id")
    admit_more = _ADMISSIONS.get(type(event))
    return admit_more(event) if admit_more is not None else None


def _unreadable(field: str) -> Rejected:
    return Rejected(RejectReason.INVALID_VALUE, field, "blank or control characters")


def _introduces(event: events.AnyEvent, key: bytes) -> bool:
    """Whether this is an ``identify`` sent to where the anonymous history is, under its key."""
    if not isinstance(event, events.Click) or event.event_type != "identify" or event.anonymous_id is None:
        return False
    return key == event.anonymous_id.encode()


def _admit_transaction(event: events.Transaction) -> Rejected | None:
    wrong = _admit_money(event.amount, event.currency, field="amount")
    if wrong is None and event.balance_after is not None:
        wrong = _admit_money(event.balance_after, event.currency, field="balance_after")
    if wrong is None and event.amount.startswith("-") and event.event_type not in events.SIGNED_KINDS:
        wrong = Rejected(RejectReason.INVALID_AMOUNT, "amount", f"{event.event_type} must not be negative")
    if wrong is None and event.mcc is not None and not (event.mcc.isascii() and event.mcc.isdecimal()):
        wrong = Rejected(RejectReason.INVALID_VALUE, "mcc", "not four digits")
    return wrong


def _admit_feedback(event: events.Feedback) -> Rejected | None:
    if event.currency is None:
        if event.amount_at_issue is None:
            return None
        return Rejected(RejectReason.MISSING_FIELD, "currency", "amount_at_issue needs it")
    return _admit_money(event.amount_at_issue or "0", event.currency, field="amount_at_issue")


def _admit_profile(event: events.Profile) -> Rejected | None:
    if event.home_currency is None or event.home_currency in money.EXPONENTS:
        return None
    return Rejected(RejectReason.UNKNOWN_CURRENCY, "home_currency", event.home_currency)


_ADMISSIONS: dict[type[Any], Callable[[Any], Rejected | None]] = {
    events.Transaction: _admit_transaction,
    events.Feedback: _admit_feedback,
    events.Profile: _admit_profile,
}


def _admit_money(amount: str, currency: str, *, field: str) -> Rejected | None:
    try:
        money.minor_units(amount, currency)
    except KeyError:
        return Rejected(RejectReason.UNKNOWN_CURRENCY, "currency", currency)
    except ValueError as error:
        return Rejected(RejectReason.INVALID_AMOUNT, field, str(error))
    return None
