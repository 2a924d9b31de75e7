"""Packed sending: everything arrives, in order, or the caller is told."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from faust.types import TP

from needstream.streams import brokers, sending

pytestmark = pytest.mark.asyncio


@pytest.fixture
def sender(cluster):
    """Return a context manager that runs an app and yields it."""

    @asynccontextmanager
    async def run(**settings):
        async with cluster.taker(cluster.new_topic(), settings=settings) as running:
            yield running.app

    return run


async def test_keys_values_headers_and_timestamps_arrive_as_given(cluster, sender):
    topic = cluster.new_topic(2)
    now_ms = time.time_ns() // 1_000_000  # brokers refuse the future and may drop the past
    records = [
        (b"k", b"v", [("ce_id", b"1"), ("ce_type", b""), ("none", None)], now_ms),
        (None, b"keyless", [], now_ms + 1),
        (b"k", None, [], now_ms - 5),
    ]

    async with sender() as app:
        await sending.send_packed(app, {TP(topic, 1): records})

    arrived = await cluster.read(topic, 3, partition=1)
    assert records == [(got.key, got.value, list(got.headers), got.timestamp) for got in arrived]


async def test_more_than_a_batch_arrives_in_order_on_every_partition(cluster, sender):
    topic = cluster.new_topic(3)
    records = [(b"k", b"%06d" % number + bytes(200), [], None) for number in range(2000)]

    async with sender(producer_max_batch_size=16_384) as app:
        await sending.send_packed(app, {TP(topic, partition): records for partition in range(3)})

    for partition in range(3):
        assert [value for _, value, _, _ in records] == [
            got.value for got in await cluster.read(topic, 2000, partition=partition)
        ]


async def test_the_offset_of_the_last_record_of_each_partition_is_given_back(cluster, sender):
    """Over several batches, behind what was there before, and for the partitions that were given something."""
    topic = cluster.new_topic(3)
    records = [(b"k", b"%06d" % number + bytes(200), [], None) for number in range(1000)]

    async with sender(producer_max_batch_size=16_384) as app:
        first = await sending.send_packed(app, {TP(topic, 0): records[:3], TP(topic, 1): [], TP(topic, 2): records})
        second = await sending.send_packed(app, {TP(topic, 0): records})

    assert {TP(topic, 0): 2, TP(topic, 2): 999} == first
    assert {TP(topic, 0): 1002} == second
    arrived = await cluster.read(topic, 1003)
    assert (1002, records[-1][1]) == (arrived[-1].offset, arrived[-1].value)


async def test_nothing_to_send_is_sent_at_once(cluster, sender):
    topic = cluster.new_topic()

    async with sender() as app:
        await sending.send_packed(app, {})
        await sending.send_packed(app, {TP(topic, 0): []})
        await sending.send_packed(app, {TP(topic, 0): [(None, b"first", [], None)]})

    assert [b"first"] == [got.value for got in await cluster.read(topic, 1)]


async def test_a_record_larger_than_a_batch_but_not_than_a_request_is_sent(cluster, sender):
    topic = cluster.new_topic()
    sizes = [10, 50_000, 10]

    async with sender(producer_max_batch_size=16_384) as app:
        await sending.send_packed(app, {TP(topic, 0): [(b"k", bytes(size), [], None) for size in sizes]})

    assert sizes == [len(got.value) for got in await cluster.read(topic, 3)]


async def test_a_record_larger_than_a_request_is_refused_by_place_before_anything_is_sent(cluster, sender):
    topic = cluster.new_topic()
    small = (b"small", b"1", [], None)

    async with sender(producer_max_request_size=10_000) as app:
        with pytest.raises(sending.RecordTooLarge, match=rf"record 1 for {topic}\[0\] has 1\d{{4}} bytes"):
            await sending.send_packed(app, {TP(topic, 0): [small, (b"big", bytes(10_000), [], None)]})
        await sending.send_packed(app, {TP(topic, 0): [(b"after", b"2", [], None)]})

    assert [b"after"] == [got.key for got in await cluster.read(topic, 1)]


async def test_a_refusal_by_the_broker_reaches_the_caller(cluster, sender):
    if cluster.broker.name != "apache":
        pytest.skip("the embedded broker takes records of any size")
    topic = cluster.create(f"{cluster.group}-small", 1, max_message_bytes="1000")

    async with sender() as app:
        with pytest.raises(sending.KafkaError):
            await sending.send_packed(app, {TP(topic, 0): [(b"k", bytes(5000), [], None)]})


async def test_a_restart_of_the_broker_delays_and_loses_nothing(cluster_of):
    with brokers.choose("embedded") as broker:
        cluster = cluster_of(broker)
        topic = cluster.new_topic()
        async with cluster.taker(cluster.new_topic()) as running:
            await sending.send_packed(running.app, {TP(topic, 0): [(b"k", b"before", [], None)]})
            broker.stop()
            after = {TP(topic, 0): [(b"k", b"after", [], None)]}
            sent = asyncio.create_task(sending.send_packed(running.app, after))
            await asyncio.sleep(0.3)
            waited = not sent.done()
            await asyncio.to_thread(broker.start)
            last_offsets = await asyncio.wait_for(sent, 30.0)

        assert waited
        assert {TP(topic, 0): 1} == last_offsets
        assert [b"before", b"after"] == [got.value for got in await cluster.read(topic, 2)]
