"""A record is delivered whatever bytes the names of its headers are: one producer's mistake stops nobody."""

from pathlib import Path
from typing import Any

import aiokafka
import orjson
import pytest
from kafka import KafkaProducer

import running
from needstream.streams import brokers, topic_admin, topics


class NotUtf8(str):
    """A header name that is sent as two bytes which are no UTF-8."""

    __slots__ = ()

    def encode(self, *_: Any, **__: Any) -> bytes:
        return b"\xff\xfe"


BAD = [("source", b"shop"), (NotUtf8("name"), b"\x00")]
DELIVERED = (("source", b"shop"), ("\\xff\\xfe", b"\x00"))


def _send(bootstrap: str, topic: str, *batches: list[tuple[bytes, list[Any]]], key: bytes | None = None) -> None:
    """Send values with their headers to partition 0, the records of a batch together."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=60_000, batch_size=1_000_000, acks="all")
    try:
        for batch in batches:
            for value, headers in batch:
                producer.send(topic, value, key=key, headers=headers, partition=0)
            producer.flush(30)
    finally:
        producer.close()


@pytest.mark.asyncio
async def test_neighbours_in_the_same_batch_before_and_after_arrive_once_and_in_order(cluster: Any) -> None:
    topic = cluster.new_topic(2)
    batches: list[list[tuple[bytes, list[Any]]]] = [
        [(b"0", []), (b"1", [])],
        [(b"2", [("h", b"1")]), (b"3", BAD), (b"4", []), (b"5", BAD), (b"6", [])],
        [(b"7", BAD)],
        [(b"8", []), (b"9", [])],
    ]
    _send(cluster.bootstrap, topic, *batches)
    await cluster.produce(topic, [b"elsewhere"], partition=1)

    async with cluster.taker(topic) as taker:
        await taker.until(lambda: len(taker.records) == 11)
        _send(cluster.bootstrap, topic, [(b"10", BAD)], [(b"11", [])])
        await taker.until(lambda: len(taker.records) == 13)
        for event in taker.events:
            event.ack()
        await taker.consumer.commit()

    records = [record for record in taker.records if record.partition == 0]
    assert [b"%d" % number for number in range(12)] == [record.value for record in records]
    assert list(range(12)) == [record.offset for record in records]
    assert [3, 5, 7, 10] == [record.offset for record in records if record.headers == DELIVERED]
    assert (("h", b"1"),) == records[2].headers
    assert 12 == await cluster.committed(topic)


@pytest.mark.asyncio
async def test_a_consumer_of_another_kind_reads_on_as_it_did(cluster: Any) -> None:
    """What the worker's other consumers read is needstream's own; nothing of theirs is changed."""
    topic = cluster.new_topic()
    _send(cluster.bootstrap, topic, [(b"1", BAD)])

    async with (
        cluster.taker(topic) as taker,
        aiokafka.AIOKafkaConsumer(bootstrap_servers=cluster.bootstrap, auto_offset_reset="earliest") as other,
    ):
        await taker.until(lambda: taker.records)
        other.assign([aiokafka.TopicPartition(topic, 0)])
        with pytest.raises(UnicodeDecodeError):
            await other.getone()


def test_a_worker_applies_such_a_record_or_rejects_it_for_another_reason(
    broker: brokers.Broker, tmp_path: Path
) -> None:
    event = {"event_type": "credit_score", "customer_id": "c1"}
    values = [
        orjson.dumps(event | {"event_id": f"e{day}", "event_time": f"2025-03-0{day}T09:00:00Z", "score": 700 - day})
        for day in (1, 2)
    ]
    with brokers.choose(broker.name) as started:
        topic_admin.apply(started.bootstrap, 1)
        with running.worker(started.bootstrap, tmp_path) as worker:
            sent = [(values[0], BAD), (b"{", BAD), (values[1], [])]
            _send(started.bootstrap, topics.CUSTOMERS, sent, key=b"c1")
            worker.await_caught_up(3)
            assert 0 == worker.terminate()
            assert "Traceback" not in worker.log.read_text()
        (letter,) = running.published(started.bootstrap, topics.DEAD_LETTERS)
        changelog = running.published(started.bootstrap, "needstream-customer-states-changelog")

    assert (b"{", DELIVERED) == (letter.value, tuple(letter.headers[:2]))
    assert b"deserialization_not_json" == dict(letter.headers)["needstream.reason"]
    assert b"c1" in {record.key for record in changelog}
