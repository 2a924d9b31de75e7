"""Emissions to records: topic, key, bytes and CloudEvents headers, the same for worker and replay."""

import base64
from typing import Any

import msgspec
import orjson

from needstream.schemas import signals
from needstream.schemas.dead_letters import DeadLetter
from needstream.streams import topics
from needstream.streams.pipeline.emissions import Emission

SOURCE = "/needstream"
Headers = list[tuple[str, bytes]]

_ENCODER = msgspec.json.Encoder()


class Record(msgspec.Struct, frozen=True):
    """What goes onto a topic; the sender chooses the partition."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers


def topic_of(emission: Emission) -> str | None:
    """The topic an emission belongs to; None for facts that are only counted."""
    if isinstance(emission, signals.NeedSignal):
        return topics.NEED_SIGNALS
    if isinstance(emission, signals.Alert):
        return topics.CHURN_ALERTS if emission.kind == "churn" else topics.ALERTS
    if isinstance(emission, signals.Decision):
        return topics.DECISIONS
    if isinstance(emission, signals.ProfileSummary):
        return topics.PROFILES
    if isinstance(emission, signals.LabelledExample):
        return topics.LABELLED_EXAMPLES
    return None


def record(emission: Emission, *, decided_at: str | None = None) -> Record | None:
    """The record of an emission, None for facts that are only counted.

    Args:
        emission: what a step said.
        decided_at: processing time as RFC 3339 text; signals keep their event time without one.
    """
    if isinstance(emission, signals.Signal) and decided_at is not None:
        emission = msgspec.structs.replace(emission, decided_at=decided_at)
    topic = topic_of(emission)
    if topic is None:
        return None
    value = _ENCODER.encode(emission)
    key = emission.model if isinstance(emission, signals.LabelledExample) else _customer(emission)
    return Record(topic, key.encode(), value, _headers(emission, topic))


def _customer(emission: Any) -> str:
    customer_id: str = emission.customer_id
    return customer_id


def _headers(emission: Any, topic: str) -> Headers:
    identity, at = _identity(emission)
    headers = {
        "ce_specversion": "1.0",
        "ce_id": identity,
        "ce_type": f"needstream.{topic.rpartition('.')[0]}",
        "ce_source": SOURCE,
        "ce_time": at,
        "content-type": "application/json",
    }
    if isinstance(emission, signals.Signal | signals.Decision):
        headers["ce_causationid"] = emission.trigger_event_id
    if not isinstance(emission, signals.LabelledExample):
        headers["ce_partitionkey"] = emission.customer_id
    if isinstance(emission, signals.Signal):
        headers["ce_expirytime"] = emission.expires_at
    return [(name, text.encode()) for name, text in headers.items()]


def _identity(emission: Any) -> tuple[str, str]:
    if isinstance(emission, signals.Signal):
        return emission.signal_id, emission.event_time
    if isinstance(emission, signals.Decision):
        return emission.decision_id, emission.event_time
    if isinstance(emission, signals.LabelledExample):
        return emission.example_id, emission.due_at
    return f"{emission.customer_id}@{emission.event_time}", emission.event_time


def dead_letter_line(letter: DeadLetter) -> bytes:
    """A dead letter as one JSON line for files; key and value are base64 text."""
    return orjson.dumps(
        {
            "topic": letter.topic,
            "partition": letter.partition,
            "offset": letter.offset,
            "reason": letter.reason.value,
            "field": letter.field,
            "detail": letter.detail,
            "remedy": letter.remedy,
            "key_base64": base64.b64encode(letter.key).decode() if letter.key else None,
            "value_base64": base64.b64encode(letter.value).decode(),
        }
    )


def dead_letter_headers(letter: DeadLetter, exception: str = "Rejected") -> Headers:
    """Error headers in Kafka Streams' names, and our own family for what those do not say."""
    headers = {
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
    return [(name, text.encode("utf-8", "replace")) for name, text in headers.items()]
