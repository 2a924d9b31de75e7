"""How the batch transport paces itself: the end of a partition, holds, full queues, what cannot be delivered."""

import asyncio

import pytest
from faust.types import TP

from needstream.streams.transport_consumer import Gate

pytestmark = pytest.mark.asyncio


def numbered(count, start=0):
    return [b"%d" % number for number in range(start, start + count)]


async def test_the_end_is_reached_when_the_agent_has_everything_the_broker_has(cluster):
    filled, empty = cluster.new_topic(), cluster.new_topic()
    await cluster.produce(filled, numbered(5000))
    at_start = []

    def note(event):
        at_start.append(running.consumer.position_is_at_end(event.message.tp))

    async with cluster.taker(filled, empty, on_event=note) as running:
        assert not running.consumer.position_is_at_end(TP(filled, 0))
        await running.until(lambda: len(running.records) == 5000)
        await running.until(lambda: running.consumer.position_is_at_end(TP(filled, 0)))
        await running.until(lambda: running.consumer.position_is_at_end(TP(empty, 0)))
        await cluster.produce(filled, numbered(10))
        await running.until(lambda: len(running.records) == 5010)
        await running.until(lambda: running.consumer.position_is_at_end(TP(filled, 0)))

    assert [False] * 9 == at_start[:9]
    assert not running.consumer.position_is_at_end(TP(empty, 0))


async def test_the_end_is_not_reached_while_a_batch_waits_for_the_agent(cluster):
    topic = cluster.new_topic()
    await cluster.produce(topic, numbered(20))
    go_on = asyncio.Event()

    async with cluster.taker(topic, on_event=lambda _: go_on.wait(), records_per_batch=10) as running:
        await running.until(lambda: running.events)
        await asyncio.sleep(0.3)
        early = running.consumer.position_is_at_end(TP(topic, 0))
        go_on.set()
        await running.until(lambda: running.consumer.position_is_at_end(TP(topic, 0)))

    assert not early
    assert 20 == len(running.records)


async def test_a_held_partition_waits_while_the_others_go_on(cluster):
    topic = cluster.new_topic(2)

    def hold(event):
        if event.message.partition == 0:
            running.consumer.hold(event.message.tp)

    async with cluster.taker(topic, on_event=hold) as running:
        await running.until(lambda: running.consumer.position_is_at_end(TP(topic, 0)))
        await cluster.produce(topic, numbered(1), partition=0)
        await running.until(lambda: len(running.records) == 1)
        await cluster.produce(topic, numbered(100, start=1), partition=0)
        await cluster.produce(topic, numbered(100), partition=1)
        await running.until(lambda: len(running.by_partition().get(TP(topic, 1), [])) == 100)
        await asyncio.sleep(0.5)
        held = running.by_partition()[TP(topic, 0)]
        running.consumer.release(TP(topic, 0))
        await running.until(lambda: len(running.records) == 201)

    assert [0] == held
    assert list(range(101)) == running.by_partition()[TP(topic, 0)]


async def test_a_full_queue_slows_fetching_and_drops_nothing(cluster):
    topic = cluster.new_topic(2)
    for partition in range(2):
        await cluster.produce(topic, numbered(3000), partition=partition)

    async def slowly(event):
        await asyncio.sleep(0.002)

    async with cluster.taker(topic, on_event=slowly, records_per_batch=20) as running:
        await running.until(lambda: len(running.records) >= 6000)

    assert {TP(topic, partition): list(range(3000)) for partition in range(2)} == running.by_partition()


async def test_what_was_fetched_and_could_not_be_delivered_is_fetched_again(cluster):
    """The flow stops while records are in hand; without a committed offset no seek would bring them back."""
    topic = cluster.new_topic()
    stopped = []

    def stop_once(event):
        if not stopped:
            stopped.append(event)
            running.consumer.stop_flow()

    async with cluster.taker(topic, on_event=stop_once, records_per_batch=10) as running:
        await running.until(lambda: running.consumer.position_is_at_end(TP(topic, 0)))
        await cluster.produce(topic, numbered(200))
        await running.until(lambda: stopped)
        await asyncio.sleep(0.3)
        in_hand = len(running.records)
        running.consumer.resume_partitions({TP(topic, 0)})
        running.consumer._gate = Gate.OPEN
        running.consumer.resume_flow()
        await running.until(lambda: len(set(running.values())) == 200)

    assert in_hand < 200
