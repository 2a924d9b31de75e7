"""Bytes to events, once: typed decoding that answers with an event or a ``Rejected`` value.

``decode`` never raises for any bytes. The happy path is one typed parse and a handful of
comparisons; the slow path that finds the offending field runs only for records that are rejected.
"""

from typing import Any

import msgspec
import orjson

from needstream.schemas import events, money, times
from needstream.schemas.dead_letters import Rejected, RejectReason

MAX_RECORD_BYTES = 65_536
MAX_DEPTH = 16
EARLIEST_MS = 0

_OPENING = b"{["
_SIGNED_KINDS = frozenset({"balance", "interest", "refund"})

_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "clickstream": msgspec.json.Decoder(events.Click),
    "transactions": msgspec.json.Decoder(events.Transaction),
    "feedback": msgspec.json.Decoder(events.Feedback),
    "customers": msgspec.json.Decoder(events.CustomerEvent),
    "outcomes": msgspec.json.Decoder(events.Outcome),
}

FAMILIES: tuple[str, ...] = tuple(_DECODERS)
"""The input families; the topic of family ``clickstream`` is ``clickstream.v1``."""


def decode(raw: bytes, *, family: str, latest_ms: int, key: bytes | None = None) -> events.AnyEvent | Rejected:
    """The event in ``raw``, or why there is none.

    Args:
        raw: the record's value.
        family: one of ``FAMILIES``.
        latest_ms: the newest acceptable event time, inclusive: processing time plus tolerance.
        key: the record's key, checked against the event's identity when it is given.
    """
    if len(raw) > MAX_RECORD_BYTES:
        return Rejected(RejectReason.TOO_LARGE, _largest_field(raw), f"{len(raw)} bytes")
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        deepest, path = _depth(raw)
        if deepest > MAX_DEPTH:
            return Rejected(RejectReason.TOO_DEEP, path, f"more than {MAX_DEPTH} levels")
    try:
        event: events.AnyEvent = _DECODERS[family].decode(raw)
    except msgspec.ValidationError as error:
        return _invalid(str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _unparseable(raw, error)
    return _admit(event, latest_ms, key) or event


def event_key(event: events.AnyEvent) -> str:
    """The key of the customer state an event belongs to."""
    return event.customer_id or event.anonymous_id or ""


def _admit(event: events.AnyEvent, latest_ms: int, key: bytes | None) -> Rejected | None:
    at_ms = times.event_time(event.event_time)
    if at_ms < EARLIEST_MS:
        return Rejected(RejectReason.TIME_TOO_EARLY, "event_time", event.event_time.isoformat())
    if at_ms > latest_ms:
        return Rejected(RejectReason.TIME_TOO_LATE, "event_time", event.event_time.isoformat())
    customer_id, anonymous_id = event.customer_id, event.anonymous_id
    if customer_id is None and anonymous_id is None:
        return Rejected(RejectReason.MISSING_IDENTITY, "customer_id")
    for name in ("event_id", "customer_id", "anonymous_id"):
        identifier = getattr(event, name)
        if identifier is not None and not (identifier.isprintable() and identifier.strip()):
            return Rejected(RejectReason.INVALID_VALUE, name, "blank or control characters")
    if key is not None and key.decode("utf-8", "replace") not in (customer_id, anonymous_id):
        return Rejected(RejectReason.KEY_MISMATCH, "customer_id" if customer_id else "anonymous_id")
    if isinstance(event, events.Transaction):
        return _admit_transaction(event)
    if isinstance(event, events.Feedback) and event.amount_at_issue is not None:
        if event.currency is None:
            return Rejected(RejectReason.MISSING_FIELD, "currency", "amount_at_issue needs it")
        return _admit_money(event.amount_at_issue, event.currency, "amount_at_issue")
    return None


def _admit_transaction(event: events.Transaction) -> Rejected | None:
    wrong = _admit_money(event.amount, event.currency, "amount")
    if wrong is None and event.balance_after is not None:
        wrong = _admit_money(event.balance_after, event.currency, "balance_after")
    if wrong is None and event.amount.startswith("-") and event.event_type not in _SIGNED_KINDS:
        wrong = Rejected(RejectReason.INVALID_AMOUNT, "amount", f"{event.event_type} must be positive")
    return wrong


def _admit_money(amount: str, currency: str, field: str) -> Rejected | None:
    try:
        money.minor_units(amount, currency)
    except KeyError:
        return Rejected(RejectReason.UNKNOWN_CURRENCY, "currency", currency)
    except ValueError as error:
        return Rejected(RejectReason.INVALID_AMOUNT, field, str(error))
    return None


_MESSAGES: tuple[tuple[str, RejectReason], ...] = (
    ("Object missing required field", RejectReason.MISSING_FIELD),
    ("Invalid enum value", RejectReason.INVALID_VALUE),
    ("Invalid value", RejectReason.INVALID_VALUE),
    ("Invalid RFC3339", RejectReason.INVALID_VALUE),
    ("Invalid", RejectReason.INVALID_VALUE),
    ("Expected `str` of length", RejectReason.INVALID_VALUE),
    ("Expected `str` matching", RejectReason.INVALID_VALUE),
    ("Expected `int` >", RejectReason.INVALID_VALUE),
    ("Expected `int` <", RejectReason.INVALID_VALUE),
    ("Expected `float` >", RejectReason.INVALID_VALUE),
    ("Expected `float` <", RejectReason.INVALID_VALUE),
    ("Expected `object` of length", RejectReason.INVALID_VALUE),
    ("Expected `datetime` with", RejectReason.INVALID_VALUE),
    ("Number out of range", RejectReason.INVALID_VALUE),
    ("Integer value out of range", RejectReason.INVALID_VALUE),
)


def _invalid(message: str) -> Rejected:
    """Read the parser's one-line message: what is wrong, then where (``- at `$.path```)."""
    what, _, where = message.partition(" - at `")
    field = where.rstrip("`").removeprefix("key in ").removeprefix("$").removeprefix(".")
    if what.startswith("Expected `object`") and not field and "length" not in what:
        return Rejected(RejectReason.NOT_AN_OBJECT, "", what)
    reason = next((reason for start, reason in _MESSAGES if what.startswith(start)), RejectReason.WRONG_TYPE)
    if reason is RejectReason.MISSING_FIELD:
        name = what.partition("field `")[2].rstrip("`")
        field = f"{field}.{name}" if field else name
    if field == "event_type" and reason is RejectReason.INVALID_VALUE:
        reason = RejectReason.UNKNOWN_EVENT_TYPE
    return Rejected(reason, field, what)


def _unparseable(raw: bytes, error: Exception) -> Rejected:
    if not raw.strip():
        return Rejected(RejectReason.EMPTY)
    if isinstance(error, RecursionError):
        return Rejected(RejectReason.TOO_DEEP, _depth(raw)[1], "nested too deeply to read")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as undecodable:
        return Rejected(RejectReason.NOT_UTF8, "", f"byte {undecodable.start}")
    return Rejected(RejectReason.NOT_JSON, "", str(error))


def _depth(raw: bytes) -> tuple[int, str]:
    """The deepest nesting (a flat object is 1) and the top-level field that holds it."""
    depth = deepest = 0
    in_string = False
    field = found = b""
    start = position = 0
    end = len(raw)
    while position < end:
        byte = raw[position]
        if in_string:
            if byte == 0x5C:
                position += 1
            elif byte == 0x22:
                in_string = False
                if depth == 1 and raw[position + 1 : position + 9].lstrip()[:1] == b":":
                    field = raw[start:position]
        elif byte == 0x22:
            in_string, start = True, position + 1
        elif byte in _OPENING:
            depth += 1
            if depth > deepest:
                deepest, found = depth, field
        elif byte in b"}]":
            depth -= 1
        position += 1
    return deepest, found[:64].decode("utf-8", "replace")


def _largest_field(raw: bytes) -> str:
    """The top-level field with the longest value, empty when the record cannot be parsed."""
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(record, dict) or not record:
        return ""

    return max(record, key=lambda name: len(orjson.dumps(record[name])))[:64]
