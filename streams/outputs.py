"""Emissions to records: topic, key, bytes and CloudEvents headers, the same for worker and replay."""

import base64
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from needstream.schemas import codecs, identities, signals
from needstream.schemas.dead_letters import DeadLetter, DeadLetterLine, Rejected
from needstream.streams import topics
from needstream.streams.pipeline.emissions import CustomerErased, Emission
from needstream.streams.receipts import Receipts

BY_KEY = identities.BY_KEY

SOURCE = "/needstream"
Headers = list[tuple[str, bytes]]
OriginalHeaders = tuple[tuple[str, bytes | None], ...]

LARGEST_LETTER_BYTES = 1_980_000
"""Key, value and own headers of the record in a dead letter: below the worker's largest request by our headers."""

ORIGINALS_END = "needstream.original-headers"
"""The last header of this name ends the record's own headers; its value counts them."""

REPLAY_OF = "needstream.replay-of"
OMITTED = "needstream.omitted"

_HEADER_OVERHEAD_BYTES = 10
_MARK = re.compile(rf"{re.escape(topics.DEAD_LETTERS)}-[0-9]{{1,10}}-[0-9]{{1,19}}")
_ENCODER = msgspec.json.Encoder()
_OF_MODELS = (signals.LabelledExample, signals.ModelDecision)


class Record(msgspec.Struct, frozen=True):
    """What goes onto a topic.

    ``partition`` is the number of the sender's own partition for None, that of the key for ``BY_KEY``.
    """

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers
    partition: int | None = None


def topic_of(emission: Emission | signals.ModelDecision) -> str | None:
    """The topic an emission belongs to; None for facts that are only counted, or that make several records."""
    if isinstance(emission, signals.NeedSignal):
        return topics.NEED_SIGNALS
    if isinstance(emission, signals.Alert):
        return topics.CHURN_ALERTS if emission.kind == "churn" else topics.ALERTS
    if isinstance(emission, signals.Decision | signals.ModelDecision):
        return topics.DECISIONS
    if isinstance(emission, signals.ProfileSummary):
        return topics.PROFILES
    if isinstance(emission, signals.LabelledExample):
        return topics.LABELLED_EXAMPLES
    return None


def records(
    emission: Emission | signals.ModelDecision, *, decided_at: str | None = None, receipts: Receipts | None = None
) -> Sequence[Record]:
    """The records of an emission, in order; none for facts that are only counted.

    Args:
        emission: what a step said.
        decided_at: processing time as RFC 3339 text; signals keep their event time without one.
        receipts: writes the receipts of erasures; without it there are none.
    """
    if isinstance(emission, identities.IdentityMessage):
        return (_message(emission),)
    if isinstance(emission, CustomerErased):
        return _of_erasure(emission, receipts)
    topic = topic_of(emission)
    if topic is None:
        return ()
    if isinstance(emission, signals.Signal) and decided_at is not None:
        emission = msgspec.structs.replace(emission, decided_at=decided_at)
    key = emission.model if isinstance(emission, _OF_MODELS) else _customer(emission)
    return (Record(topic, key.encode(), _ENCODER.encode(emission), _headers(emission, topic)),)


def _message(message: identities.IdentityMessage) -> Record:
    """A message to the partition of a customer or a visitor."""
    is_for_customer = isinstance(message, identities.History | identities.Forwarded)
    key = (message.customer_id if is_for_customer else message.anonymous_id) or ""
    partition = message.reply_to if isinstance(message, identities.History | identities.Forwarded) else BY_KEY
    return Record(topics.IDENTITIES, key.encode(), _ENCODER.encode(message), [], partition)


def _of_erasure(erased: CustomerErased, receipts: Receipts | None) -> list[Record]:
    """The end of the customer's profile, and the receipt."""
    written = []
    if not erased.customer_id.startswith(codecs.VISITOR):
        written.append(Record(topics.PROFILES, erased.customer_id.encode(), None, []))
    if receipts is not None:
        receipt = receipts.write(erased)
        headers = _cloud_event(topics.ERASURE_RECEIPTS, receipt.receipt_id, at=receipt.requested_at)
        headers |= {"ce_causationid": receipt.request_event_id, "ce_partitionkey": receipt.subject}
        value = _ENCODER.encode(receipt)
        written.append(Record(topics.ERASURE_RECEIPTS, receipt.subject.encode(), value, _encoded(headers)))
    return written


def _customer(emission: Any) -> str:
    customer_id: str = emission.customer_id
    return customer_id


def _headers(emission: Any, topic: str) -> Headers:
    identity, at = _identity(emission)
    headers = _cloud_event(topic, identity, at=at)
    if isinstance(emission, signals.Signal | signals.Decision):
        headers["ce_causationid"] = emission.trigger_event_id
    if not isinstance(emission, _OF_MODELS):
        headers["ce_partitionkey"] = emission.customer_id
    if isinstance(emission, signals.Signal):
        headers["ce_expirytime"] = emission.expires_at
    return _encoded(headers)


def _cloud_event(topic: str, identity: str, *, at: str) -> dict[str, str]:
    return {
        "ce_specversion": "1.0",
        "ce_id": identity,
        "ce_type": f"needstream.{topic.rpartition('.')[0]}",
        "ce_source": SOURCE,
        "ce_time": at,
        "content-type": "application/json",
    }


def _encoded(headers: dict[str, str]) -> Headers:
    return [(name, text.encode()) for name, text in headers.items()]


def _identity(emission: Any) -> tuple[str, str]:
    if isinstance(emission, signals.Signal):
        return emission.signal_id, emission.event_time
    if isinstance(emission, signals.Decision | signals.ModelDecision):
        return emission.decision_id, emission.event_time
    if isinstance(emission, signals.LabelledExample):
        return emission.example_id, emission.predicted_at if emission.stage == "assumed" else emission.due_at
    return f"{emission.customer_id}@{emission.event_time}", emission.event_time


def dead_letter(record: Any, rejected: Rejected) -> DeadLetter:
    """The dead letter of a rejected record: everything it came with, shortened only where no request could carry it.

    Args:
        record: a consumed record with its ``headers``; their values may be None.
        rejected: why it cannot be used.
    """
    headers, replay_of = _without_replay_mark(tuple(record.headers))
    key, value, omitted = record.key, record.value, []
    room = LARGEST_LETTER_BYTES - len(key or b"") - _size(headers)
    if len(value or b"") > room:
        # Headers and key go only when they alone are too much; what is left of the value shows what it was.
        if room < 0 and headers:
            room, headers = room + _size(headers), ()
            omitted.append("headers")
        if room < 0:
            room, key = LARGEST_LETTER_BYTES, b""
            omitted.append("key")
        if len(value or b"") > room:
            value = value[:room]
            omitted.append("value")
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        reason=rejected.reason,
        field=rejected.field,
        detail=rejected.detail,
        remedy=rejected.remedy,
        key=key,
        value=value,
        timestamp_ms=record.timestamp if record.timestamp >= 0 else None,
        headers=headers,
        replay_of=replay_of,
        omitted=" ".join(omitted),
    )


def dead_letter_line(letter: DeadLetter) -> bytes:
    """A dead letter as one JSON line for files, see `DeadLetterLine`."""
    return _ENCODER.encode(
        DeadLetterLine(
            topic=letter.topic,
            partition=letter.partition,
            offset=letter.offset,
            reason=letter.reason,
            field=letter.field,
            detail=letter.detail,
            remedy=letter.remedy,
            key_base64=_base64(letter.key),
            value_base64=_base64(letter.value),
            timestamp_ms=letter.timestamp_ms,
            headers_base64=[(name, _base64(content)) for name, content in letter.headers],
            replay_of=letter.replay_of,
            omitted=letter.omitted,
        )
    )


def dead_letter_headers(letter: DeadLetter, exception: str = "Rejected") -> list[tuple[str, bytes | None]]:
    """The record's own headers, then error headers in Kafka Streams' names and our own family.

    The first of ours is `ORIGINALS_END`. Whoever asks for the last header of a name gets ours, whatever the record had.
    """
    ours = {
        ORIGINALS_END: str(len(letter.headers)),
        "__streams.errors.exception": exception,
        "__streams.errors.message": f"{letter.reason.value} {letter.field}".rstrip(),
        "__streams.errors.topic": letter.topic,
        "__streams.errors.partition": str(letter.partition),
        "__streams.errors.offset": str(letter.offset),
        "needstream.reason": letter.reason.value,
        "needstream.field": letter.field,
        "needstream.detail": letter.detail[:512],
        "needstream.remedy": letter.remedy,
        "needstream.stage": letter.reason.value.partition("_")[0],
    }
    if letter.replay_of:
        ours[REPLAY_OF] = letter.replay_of
    if letter.omitted:
        ours[OMITTED] = letter.omitted
    return [*letter.headers, *((name, text.encode("utf-8", "replace")) for name, text in ours.items())]


def replay_mark(partition: int, offset: int) -> str:
    """What a replayed record says in its last header, `REPLAY_OF`, of the dead letter it was."""
    return f"{topics.DEAD_LETTERS}-{partition}-{offset}"


def _without_replay_mark(headers: OriginalHeaders) -> tuple[OriginalHeaders, str]:
    """The headers a record had before it was replayed, and its mark; marks of ours do not pile up."""
    if not headers or headers[-1][0] != REPLAY_OF:
        return headers, ""
    mark = (headers[-1][1] or b"").decode("utf-8", "replace")
    return (headers[:-1], mark) if _MARK.fullmatch(mark) else (headers, "")


def _size(headers: OriginalHeaders) -> int:
    return sum(len(name.encode()) + len(content or b"") + _HEADER_OVERHEAD_BYTES for name, content in headers)


def _base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()
