"""Rejected records: why, where, and what the producer can do about it.

A record that cannot be used is a value, never an exception; its bytes go to the dead-letter topic
unchanged. The reasons are a closed list because they are metric labels and filter words.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct
from msgspec import field as _field

Base64 = Annotated[str, Meta(extra_json_schema={"contentEncoding": "base64"})]


class RejectReason(StrEnum):
    """Why a record was rejected; the prefix names the stage, as in Kafka Streams."""

    EMPTY = "deserialization_empty"
    TOO_LARGE = "deserialization_too_large"
    TOO_DEEP = "deserialization_too_deep"
    NOT_UTF8 = "deserialization_not_utf8"
    NOT_JSON = "deserialization_not_json"
    NOT_AN_OBJECT = "deserialization_not_an_object"
    MISSING_FIELD = "deserialization_missing_field"
    WRONG_TYPE = "deserialization_wrong_type"
    INVALID_VALUE = "deserialization_invalid_value"
    UNKNOWN_EVENT_TYPE = "deserialization_unknown_event_type"
    MISSING_IDENTITY = "deserialization_missing_identity"
    INVALID_AMOUNT = "deserialization_invalid_amount"
    UNKNOWN_CURRENCY = "deserialization_unknown_currency"
    TIME_TOO_EARLY = "deserialization_time_too_early"
    TIME_TOO_LATE = "deserialization_time_too_late"
    KEY_MISMATCH = "deserialization_key_mismatch"
    POISON_PILL = "processing_poison_pill"


REMEDIES: dict[RejectReason, str] = {
    RejectReason.EMPTY: "send one JSON object per record",
    RejectReason.TOO_LARGE: "shorten the named field; a record may have 65536 bytes",
    RejectReason.TOO_DEEP: "flatten the named field; a record may nest 16 levels",
    RejectReason.NOT_UTF8: "encode the record as UTF-8",
    RejectReason.NOT_JSON: "send valid JSON; NaN and Infinity are not JSON",
    RejectReason.NOT_AN_OBJECT: "send a JSON object, not an array or a bare value",
    RejectReason.MISSING_FIELD: "add the named field",
    RejectReason.WRONG_TYPE: "give the named field the type its JSON Schema states",
    RejectReason.INVALID_VALUE: "give the named field a value its JSON Schema allows",
    RejectReason.UNKNOWN_EVENT_TYPE: "use an event_type of this topic's JSON Schema",
    RejectReason.MISSING_IDENTITY: "set customer_id, anonymous_id or both",
    RejectReason.INVALID_AMOUNT: 'send a decimal string such as "1234.50" that fits the currency',
    RejectReason.UNKNOWN_CURRENCY: "use an ISO 4217 code in capitals, such as EUR",
    RejectReason.TIME_TOO_EARLY: "send when it happened; 1970-01-01 is the earliest",
    RejectReason.TIME_TOO_LATE: "correct the producer's clock or time zone",
    RejectReason.KEY_MISMATCH: "key the record by customer_id, or by anonymous_id without one",
    RejectReason.POISON_PILL: "report the record; it made the processor fail each time",
}


class Rejected(Struct, frozen=True):
    """The value decoding returns instead of an event.

    ``field`` is the path of the offending field such as ``amount`` or ``properties.x``, empty when
    the record as a whole is at fault. ``detail`` may quote the record: it belongs into the dead
    letter, never into a log.
    """

    reason: RejectReason
    field: str = ""
    detail: str = ""

    @property
    def remedy(self) -> str:
        """What the producer can do about it."""
        return REMEDIES[self.reason]


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A rejected record with its origin, and everything it came with.

    Attributes:
        headers: the record's own headers in their order; a header's value may be None.
        replay_of: the dead letter the record was replayed from, such as ``dead-letters.v1-2-1234``; else empty.
        omitted: what was left out because no request could carry it: some of ``value``, ``headers`` and ``key``,
            separated by spaces. The start of such a value is kept.
    """

    topic: str
    partition: int
    offset: int
    reason: RejectReason
    field: str
    detail: str
    remedy: str
    key: bytes | None
    value: bytes | None
    timestamp_ms: int | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    replay_of: str = ""
    omitted: str = ""


class DeadLetterLine(Struct, frozen=True, kw_only=True):
    """A rejected record as one JSON line of a file, its key, value and headers in base64.

    On the dead-letter topic the same facts travel as Kafka headers behind the original ones, where key and value are
    the original bytes.
    """

    topic: str
    partition: int
    offset: int
    reason: RejectReason
    field: str
    detail: str
    remedy: str
    key_base64: Base64 | None
    value_base64: Base64 | None
    timestamp_ms: int | None = None
    headers_base64: list[tuple[str, Base64 | None]] = _field(default_factory=list)
    replay_of: str = ""
    omitted: str = ""
