"""Asks for the erasure of a customer, and waits for the signed receipt.

The request is an ordinary ``erasure`` event on the customers topic, so it takes effect in order with everything else
that is known of the customer. The receipt is found by the hash of the id and the id of the request.
"""

import time
import uuid
from collections.abc import Callable
from typing import Any

import orjson
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from needstream.schemas.signals import ErasureReceipt
from needstream.schemas.times import rfc3339
from needstream.streams import receipts, topics
from needstream.streams.pipeline import erasure

_POLL_MS = 200


class ReceiptMissing(RuntimeError):
    """Raised when no worker has confirmed the erasure in time; the request stays in the topic."""


def request(customer_id: str, *, reason: str | None, at_ms: int) -> dict[str, str]:
    """The erasure event of a customer, with a new event id."""
    event = {
        "event_id": f"erase-{uuid.uuid4()}",
        "event_type": "erasure",
        "event_time": rfc3339(at_ms),
        "customer_id": customer_id,
    }
    return event if reason is None else {**event, "reason": reason}


def erase(
    broker: str, event: dict[str, str], *, key: bytes, timeout_s: float, on_wait: Callable[[], None] = lambda: None
) -> ErasureReceipt:
    """Send the request and return its authenticated receipt.

    Args:
        broker: ``host:port`` of the cluster.
        event: a ``request``.
        key: the deployment's key, as the workers have it.
        timeout_s: how long to wait for a worker.
        on_wait: called now and then while waiting.

    Raises:
        ReceiptMissing: no receipt came in time.
        ReceiptRefused: a receipt came that was not signed with ``key``.
    """
    customer_id = event["customer_id"]
    subject = erasure.subject(customer_id).encode()
    consumer = KafkaConsumer(bootstrap_servers=broker, group_id=None, enable_auto_commit=False)
    try:
        places = _places(consumer)
        consumer.assign(places)
        consumer.seek_to_end(*places)
        for place in places:
            consumer.position(place)  # where the end is now, before the request is sent
        _send(broker, event)
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            for records in consumer.poll(timeout_ms=_POLL_MS).values():
                for record in records:
                    if record.key == subject and _answers(record, event["event_id"]):
                        return receipts.read(record.value, key)
            on_wait()
    finally:
        consumer.close()
    msg = (
        f"no receipt for {event['event_id']} within {timeout_s:.0f} s: the request is on {topics.CUSTOMERS} and takes "
        f"effect when a worker reads it; its receipt will be on {topics.ERASURE_RECEIPTS} under {subject.decode()}"
    )
    raise ReceiptMissing(msg)


def _places(consumer: KafkaConsumer) -> list[TopicPartition]:
    numbers = sorted(consumer.partitions_for_topic(topics.ERASURE_RECEIPTS) or ())
    if not numbers:
        msg = f"there is no topic {topics.ERASURE_RECEIPTS}; create it with: needstream topics apply"
        raise FileNotFoundError(msg)
    return [TopicPartition(topics.ERASURE_RECEIPTS, number) for number in numbers]


def _send(broker: str, event: dict[str, str]) -> None:
    producer = KafkaProducer(bootstrap_servers=broker, acks="all")
    try:
        sent = producer.send(topics.CUSTOMERS, key=event["customer_id"].encode(), value=orjson.dumps(event))
        producer.flush()
        sent.get(timeout=60)
    finally:
        producer.close()


def _answers(record: Any, event_id: str) -> bool:
    return dict(record.headers).get("ce_causationid") == event_id.encode()
