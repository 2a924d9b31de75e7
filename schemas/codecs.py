"""Bytes to events, once: typed decoding that answers with an event or a ``Rejected`` value.

``decode`` never raises for any bytes. The happy path is one typed parse and a handful of comparisons; what finds the
offending field runs only for records that are rejected. Of a repeated field the last value counts, as in most parsers,
but every one of them must be valid.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from needstream.schemas import events, identities, money, outline, refusals, times
from needstream.schemas.dead_letters import Rejected, RejectReason

MAX_RECORD_BYTES = 65_536
MAX_DEPTH = 16
EARLIEST_MS = 0

VISITOR = "visitor\x1f"

_LIST, _ESCAPE, _DELETE = ord("["), ord("\\"), 0x7F

TYPES: dict[str, Any] = {
    "clickstream": events.Click,
    "transactions": events.Transaction,
    "feedback": events.Feedback,
    "customers": events.CustomerEvent,
    "outcomes": events.Outcome,
}
"""What each input family says."""

AnyMessage = events.AnyEvent | identities.IdentityMessage

INTERNAL: dict[str, Any] = {"identities": identities.IdentityMessage}
"""What needstream tells itself."""

FAMILIES: tuple[str, ...] = tuple(TYPES)
"""The input families; the topic of family ``clickstream`` is ``clickstream.v1``."""

_DECODE: dict[str, Callable[[bytes], AnyMessage]] = {
    family: msgspec.json.Decoder(said).decode for family, said in {**TYPES, **INTERNAL}.items()
}


def decode(raw: bytes | None, *, family: str, latest_ms: int, key: bytes | None = None) -> AnyMessage | Rejected:
    """The event in ``raw``, or why there is none.

    Args:
        raw: the record's value; a record without one (a tombstone) is rejected as empty.
        family: one of ``FAMILIES``, or ``identities``.
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
    is_ascii = raw.isascii()
    wrong = None if is_ascii else refusals.of_encoding(raw)
    if wrong is not None:
        return wrong
    try:
        event = _DECODE[family](raw)
    except msgspec.ValidationError as error:
        return refusals.of_content(str(error), raw)
    except msgspec.DecodeError as error:
        return refusals.of_syntax(str(error), raw)
    # The parser refuses the other control characters unless they are escaped.
    is_printable = is_ascii and _ESCAPE not in raw and _DELETE not in raw
    return _admit(event, latest_ms=latest_ms, key=key, is_printable=is_printable) or event


def state_key(event: events.Event, key: bytes | None = None) -> str:
    """The key of the state an event belongs to: the customer's, or the visitor's in a name space of its own.

    Args:
        event: a decoded event.
        key: the key of its record, which tells whom a message is for, and where an ``identify`` was sent.
    """
    customer_id, anonymous_id = event.customer_id, event.anonymous_id
    if customer_id is None:
        return visitor_key(anonymous_id or "")
    if anonymous_id is not None:
        # A class without subclasses; an ``isinstance`` that fails costs several times as much for a ``Struct``.
        if type(event) is identities.Link:
            return visitor_key(anonymous_id)
        if key is not None and key != customer_id.encode() and _introduces(event, key):
            return visitor_key(anonymous_id)
    return customer_id


def visitor_key(anonymous_id: str) -> str:
    """The key of an anonymous visitor's state; no customer id can be equal to it, as ids are printable."""
    return f"{VISITOR}{anonymous_id}"


def _admit(event: AnyMessage, *, latest_ms: int, key: bytes | None, is_printable: bool) -> Rejected | None:
    at_ms = times.event_time(event.event_time)
    if not EARLIEST_MS <= at_ms <= latest_ms:
        reason = RejectReason.TIME_TOO_EARLY if at_ms < EARLIEST_MS else RejectReason.TIME_TOO_LATE
        return Rejected(reason, "event_time", event.event_time.isoformat())
    event_id, customer_id, anonymous_id = event.event_id, event.customer_id, event.anonymous_id
    identity = anonymous_id if customer_id is None else customer_id
    if identity is None:
        return Rejected(RejectReason.MISSING_IDENTITY, "customer_id")
    if not is_printable or event_id.isspace() or identity.isspace() or (anonymous_id and anonymous_id.isspace()):
        for name in ("event_id", "customer_id", "anonymous_id"):
            told = getattr(event, name)
            if told is not None and (told.isspace() or not told.isprintable()):
                return Rejected(RejectReason.INVALID_VALUE, name, "blank or control characters")
    if key is not None and key != identity.encode() and not _introduces(event, key):
        return Rejected(RejectReason.KEY_MISMATCH, "anonymous_id" if customer_id is None else "customer_id")
    admit_more = _ADMISSIONS.get(type(event))
    return admit_more(event) if admit_more is not None else None


def _introduces(event: events.Event, key: bytes) -> bool:
    """Whether this goes to where the anonymous history is, under its key: a ``Link``, or an ``identify`` sent there."""
    if event.anonymous_id is None or key != event.anonymous_id.encode():
        return False
    return isinstance(event, identities.Link) or (isinstance(event, events.Click) and event.event_type == "identify")


def _admit_forwarded(event: identities.Forwarded) -> Rejected | None:
    if not event.is_complete:
        return Rejected(RejectReason.MISSING_FIELD, "click")
    said = event.said()
    admit_more = _ADMISSIONS.get(type(said))
    return admit_more(said) if admit_more is not None else None


def _admit_transaction(event: events.Transaction) -> Rejected | None:
    amount, currency, balance_after, mcc = event.amount, event.currency, event.balance_after, event.mcc
    if wrong := _admit_money(amount, currency, field="amount"):
        return wrong
    if balance_after is not None and (wrong := _admit_money(balance_after, currency, field="balance_after")):
        return wrong
    if amount[0] == "-" and event.event_type not in events.SIGNED_KINDS:
        return Rejected(RejectReason.INVALID_AMOUNT, "amount", f"{event.event_type} must not be negative")
    if mcc is not None and not (mcc.isascii() and mcc.isdecimal()):
        return Rejected(RejectReason.INVALID_VALUE, "mcc", "not four digits")
    return None


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
    identities.Forwarded: _admit_forwarded,
}


def _admit_money(amount: str, currency: str, *, field: str) -> Rejected | None:
    if money.is_complete(amount, currency):
        return None
    try:
        money.minor_units(amount, currency)
    except KeyError:
        return Rejected(RejectReason.UNKNOWN_CURRENCY, "currency", currency)
    except ValueError as error:
        return Rejected(RejectReason.INVALID_AMOUNT, field, str(error))
    return None
