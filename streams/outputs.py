"""Emissions to records: topic, key, bytes and CloudEvents headers, the same for worker and replay."""

import base64
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from needstream.schemas import codecs, identities, signals
from needstream.schemas.dead_letters import DeadLetter, DeadLetterLine, Rejected
from needstream.streams import topics
from needstream.streams.pipeline.emissions import CustomerErased, Emission
from needstream.streams.receipts import Receipts

BY_KEY = identities.BY_KEY

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

_VERSION = ("ce_specversion", b"1.0")
_SOURCE = ("ce_source", b"/needstream")
_JSON = ("content-type", b"application/json")
_EXAMPLES = topics.LABELLED_EXAMPLES
_TYPES = {topic: ("ce_type", f"needstream.{topic.rpartition('.')[0]}".encode()) for topic in topics.BY_NAME}


class Record(msgspec.Struct, frozen=True, gc=False):
    """What goes onto a topic.

    ``partition`` is the number of the sender's own partition for None, that of the key for ``BY_KEY``.
    """

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers
    partition: int | None = None


def records(
    emission: Emission | signals.ModelDecision, *, decided_at: str | None = None, receipts: Receipts | None = None
) -> Sequence[Record]:
    """The records of an emission, in order; none for facts that are only counted.

    Args:
        emission: what a step said.
        decided_at: processing time as RFC 3339 text; signals keep their event time without one.
        receipts: writes the receipts of erasures; without it there are none.
    """
    write = _WRITERS.get(type(emission))
    if write is not None:
        return (write(emission),)
    if type(emission) is signals.NeedSignal or type(emission) is signals.Alert:
        return (_signal(emission, decided_at or emission.decided_at),)
    return _of_erasure(emission, receipts) if type(emission) is CustomerErased else ()


def _signal(signal: signals.NeedSignal | signals.Alert, decided_at: str) -> Record:
    signal = msgspec.structs.replace(signal, decided_at=decided_at)
    topic = topics.NEED_SIGNALS
    if type(signal) is signals.Alert:
        topic = topics.CHURN_ALERTS if signal.kind == "churn" else topics.ALERTS
    headers = _cloud_event(topic, signal.signal_id, at=signal.event_time)
    headers += _cause(signal.trigger_event_id, subject=signal.customer_id)
    headers.append(("ce_expirytime", signal.expires_at.encode()))
    return Record(topic, signal.customer_id.encode(), _ENCODER.encode(signal), headers)


def _decision(decision: signals.Decision) -> Record:
    headers = _cloud_event(topics.DECISIONS, decision.decision_id, at=decision.event_time)
    headers += _cause(decision.trigger_event_id, subject=decision.customer_id)
    return Record(topics.DECISIONS, decision.customer_id.encode(), _ENCODER.encode(decision), headers)


def _model_decision(decision: signals.ModelDecision) -> Record:
    headers = _cloud_event(topics.DECISIONS, decision.decision_id, at=decision.event_time)
    return Record(topics.DECISIONS, decision.model.encode(), _ENCODER.encode(decision), headers)


def _profile(summary: signals.ProfileSummary) -> Record:
    at, key = summary.event_time, summary.customer_id.encode()
    headers = _cloud_event(topics.PROFILES, f"{summary.customer_id}@{at}", at=at)
    headers.append(("ce_partitionkey", key))
    return Record(topics.PROFILES, key, _ENCODER.encode(summary), headers)


def _example(example: signals.LabelledExample) -> Record:
    at = example.predicted_at if example.stage == "assumed" else example.due_at
    headers = _cloud_event(_EXAMPLES, example.example_id, at=at)
    return Record(_EXAMPLES, example.model.encode(), _ENCODER.encode(example), headers)


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
        headers += _cause(receipt.request_event_id, subject=receipt.subject)
        written.append(Record(topics.ERASURE_RECEIPTS, receipt.subject.encode(), _ENCODER.encode(receipt), headers))
    return written


def _cloud_event(topic: str, identity: str, *, at: str) -> Headers:
    return [_VERSION, ("ce_id", identity.encode()), _TYPES[topic], _SOURCE, ("ce_time", at.encode()), _JSON]


def _cause(event_id: str, *, subject: str) -> Headers:
    return [("ce_causationid", event_id.encode()), ("ce_partitionkey", subject.encode())]


_WRITERS: dict[type, Callable[[Any], Record]] = {
    signals.Decision: _decision,
    signals.ModelDecision: _model_decision,
    signals.ProfileSummary: _profile,
    signals.LabelledExample: _example,
    identities.Link: _message,
    identities.History: _message,
    identities.Forwarded: _message,
    identities.Forgotten: _message,
}


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
