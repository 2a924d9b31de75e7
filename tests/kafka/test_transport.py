"""What the batch transport promises, on every broker named in NEEDSTREAM_TEST_BROKERS."""

import asyncio
from collections import Counter

import faust
import pytest
from faust.transport.drivers import TRANSPORTS
from faust.types import TP

from needstream.streams import brokers, transport
from needstream.streams.transport_consumer import Gate

pytestmark = pytest.mark.asyncio


def numbered(count, start=0):
    return [b"%d" % number for number in range(start, start + count)]


async def test_every_record_arrives_once_in_order_in_batches_of_one_partition(cluster):
    topic = cluster.new_topic(3)
    for partition in range(3):
        await cluster.produce(topic, numbered(1234), partition=partition)

    async with cluster.taker(topic, records_per_batch=100) as running:
        await running.until(lambda: len(running.records) >= 3 * 1234)

    expected = {TP(topic, partition): list(range(1234)) for partition in range(3)}
    assert expected == running.by_partition()
    assert max(len(event.value) for event in running.events) == 100
    for event in running.events:
        assert {(topic, event.message.partition)} == {(record.topic, record.partition) for record in event.value}
        assert event.message.offset == event.value[-1].offset


async def test_keys_headers_and_bytes_arrive_as_they_were_sent(cluster):
    topic = cluster.new_topic()
    await cluster.produce(topic, [b"\xff\x00 not json"], key=b"k")

    async with cluster.taker(topic) as running:
        await running.until(lambda: running.records)

    assert (b"k", b"\xff\x00 not json", ()) == (
        running.records[0].key,
        running.records[0].value,
        tuple(running.records[0].headers),
    )


async def test_an_undeclared_topic_stays_one_message_per_record(cluster, tmp_path):
    batched, plain = cluster.new_topic(), cluster.new_topic()
    await cluster.produce(plain, numbered(3))
    app = cluster.app(str(tmp_path))
    transport.install(app, [batched])
    taken = []
    complete = asyncio.Event()

    @app.agent(app.topic(plain, value_type=bytes, value_serializer="raw"))
    async def take(stream):
        async for value in stream:
            taken.append(value)
            if len(taken) == 3:
                complete.set()

    await app.start()
    await asyncio.wait_for(complete.wait(), 20.0)
    await app.stop()

    assert numbered(3) == taken
    assert await cluster.committed(plain) == 3


async def test_nothing_is_committed_until_it_is_acknowledged(cluster):
    topic = cluster.new_topic()
    await cluster.produce(topic, numbered(50))

    async with cluster.taker(topic, records_per_batch=10) as running:
        await running.until(lambda: len(running.records) == 50)
        await running.consumer.commit()

    assert await cluster.committed(topic) is None


async def test_the_commit_covers_a_prefix_of_batches_whatever_the_order_of_acknowledgement(cluster):
    topic = cluster.new_topic()
    await cluster.produce(topic, numbered(50))

    async with cluster.taker(topic, records_per_batch=10) as running:
        await running.until(lambda: len(running.events) == 5)
        seen = []
        for number in (3, 1, 0, 4, 2):
            running.events[number].ack()
            await running.consumer.commit()
            seen.append(await cluster.committed(topic))

    assert [None, None, 20, 20, 50] == seen


async def test_a_batch_of_another_topic_does_not_move_the_commit(cluster):
    slow, quick = cluster.new_topic(), cluster.new_topic()
    await cluster.produce(slow, numbered(10))
    await cluster.produce(quick, numbered(10))

    async with cluster.taker(slow, quick) as running:
        await running.until(lambda: len(running.records) == 20)
        for event in running.events:
            if event.message.topic == quick:
                event.ack()
        await running.consumer.commit()

    assert (None, 10) == (await cluster.committed(slow), await cluster.committed(quick))


async def test_a_restart_resumes_at_the_committed_offset(cluster):
    topic = cluster.new_topic()
    await cluster.produce(topic, numbered(50))

    async with cluster.taker(topic, records_per_batch=10) as first:
        await first.until(lambda: len(first.events) == 5)
        for event in first.events[:3]:
            event.ack()
    async with cluster.taker(topic) as second:
        await second.until(lambda: len(second.records) == 20)

    assert numbered(20, start=30) == second.values()


async def test_a_stop_commits_what_settle_acknowledged_and_nothing_else(cluster):
    """The application finishes the batch it has in work; what it only buffered is delivered again."""
    topic = cluster.new_topic()
    await cluster.produce(topic, numbered(50))
    in_work = []

    async def settle(partitions):
        assert frozenset({TP(topic, 0)}) == partitions
        await asyncio.sleep(0.05)
        in_work[0].ack()

    async with cluster.taker(topic, records_per_batch=10, settle=settle) as running:
        await running.until(lambda: len(running.events) == 5)
        in_work.extend(running.events)

    assert await cluster.committed(topic) == 10


async def test_an_acknowledgement_from_before_a_rebalance_counts_for_nothing(cluster):
    topic = cluster.new_topic()
    await cluster.produce(topic, numbered(20))

    async with cluster.taker(topic, records_per_batch=10) as running:
        await running.until(lambda: len(running.events) == 2)
        async with cluster.taker(topic):  # joins, so everything is revoked and assigned anew
            await running.until(lambda: running.app.rebalancing_count >= 2)
        await running.until(lambda: running.app.rebalancing_count >= 3)
        await running.until(lambda: not running.app.rebalancing)
        await running.until(lambda: running.consumer.position_is_at_end(TP(topic, 0)))
        *before, third, fourth = running.events
        for event in before:
            event.ack()
        await running.consumer.commit()
        stale = await cluster.committed(topic)
        for event in (third, fourth):
            event.ack()
        await running.consumer.commit()

        assert (None, 20) == (stale, await cluster.committed(topic))


async def test_one_worker_gets_the_same_partition_numbers_of_every_input(cluster):
    topics = [cluster.new_topic(4) for _ in range(3)]

    async with cluster.taker(*topics) as first:
        await first.until(first.consumer.assignment)
        async with cluster.taker(*topics) as second:
            await first.until(lambda: second.consumer.assignment() and not first.app.rebalancing)
            numbers = [
                {topic: {tp.partition for tp in worker.consumer.assignment() if tp.topic == topic} for topic in topics}
                for worker in (first, second)
            ]

    for by_topic in numbers:
        assert 1 == len(set(map(frozenset, by_topic.values())))
    assert {2} == {len(found) for by_topic in numbers for found in by_topic.values()}


async def test_a_second_worker_takes_over_without_loss(cluster):
    """Everything delivered is acknowledged at once, so Apache Kafka repeats nothing either.

    The embedded broker refuses commits from the moment a rebalance begins: it delivers again what they would cover.
    """
    topic = cluster.new_topic(4)
    total = 4 * 2000
    got = set()

    def ack(event):
        got.update((record.partition, record.offset) for record in event.value)
        event.ack()

    async def produce():
        for start in range(0, 2000, 100):
            for partition in range(4):
                await cluster.produce(topic, numbered(100, start=start), partition=partition)
            await asyncio.sleep(0.1)

    async with cluster.taker(topic, on_event=ack) as first:
        await first.until(first.consumer.assignment)
        producing = asyncio.create_task(produce())
        await first.until(lambda: len(got) > 1000)
        async with cluster.taker(topic, on_event=ack) as second:
            await second.until(lambda: len(second.records) > 500)
        await producing
        await first.until(lambda: len(got) >= total)

    assert {(partition, offset) for partition in range(4) for offset in range(2000)} == got
    if cluster.broker.name == "apache":
        assert total == len(first.records) + len(second.records)


@pytest.fixture
def slow_seek(monkeypatch):
    """Widen the window between the resumption of the inputs and the end of their seek; in it, stock Faust delivers."""
    seek = transport.BatchConsumer.perform_seek

    async def perform_seek(self):
        await asyncio.sleep(0.3)
        await seek(self)

    monkeypatch.setattr(transport.BatchConsumer, "perform_seek", perform_seek)


@pytest.mark.usefixtures("slow_seek")
async def test_stops_and_restarts_with_a_table_lose_and_repeat_nothing(cluster, tmp_path):
    topic = cluster.new_topic()
    total = 6000
    taken: Counter[int] = Counter()
    stored = []

    async def produce():
        for start in range(0, total, 100):
            await cluster.produce(topic, numbered(100, start=start))
            await asyncio.sleep(0.1)

    producing = asyncio.create_task(produce())
    for goal in (1500, 3000, 4500, total):
        app = cluster.app(str(tmp_path))
        transport.install(app, [topic])
        table = app.Table(f"{cluster.group}-counts", default=int, partitions=1)
        enough = asyncio.Event()
        app.agent(transport.topic(app, [topic]))(counting(taken, table, goal=goal, enough=enough))
        await app.start()
        await asyncio.wait_for(enough.wait(), 30.0)
        await app.stop()
        stored.append(table["all"] == taken.total())
    await producing

    assert dict.fromkeys(range(total), 1) == dict(taken)
    assert [True] * 4 == stored


def counting(taken, table, *, goal, enough):
    """Make an agent that counts records in a table and says when it has enough."""

    async def take(stream):
        async for event in stream.noack().events():
            table["all"] += len(event.value)
            taken.update(int(record.value) for record in event.value)
            event.ack()
            if taken.total() >= goal:
                enough.set()

    return take


async def test_the_gate_opens_only_after_the_seek_and_with_the_flow(cluster):
    topic = cluster.new_topic()
    async with cluster.taker(topic) as running:
        consumer = running.consumer
        await running.until(lambda: consumer._gate is Gate.OPEN)
        steps = []

        consumer.stop_flow()
        steps.append(consumer._gate)
        consumer.resume_flow()  # recovery resumes the flow for the changelogs alone
        await consumer.perform_seek()
        steps.append(consumer._gate)
        consumer.resume_partitions({TP(topic, 0)})
        consumer.resume_flow()
        steps.append(consumer._gate)
        await consumer.perform_seek()
        steps.append(consumer._gate)
        consumer.resume_flow()
        steps.append(consumer._gate)

    assert [Gate.CLOSED, Gate.CLOSED, Gate.RESUMED, Gate.SOUGHT, Gate.OPEN] == steps


def missing(owner, *names):
    return [name for name in names if not hasattr(owner, name)]


async def test_the_private_names_the_transport_leans_on_are_there(cluster):
    """An upgrade of Faust or aiokafka that moves one fails here first, by name."""
    assert faust.__version__ == "0.15.3"
    assert TRANSPORTS.by_name(transport.SCHEME) is transport.Transport
    async with cluster.taker(cluster.new_topic()) as running:
        consumer = running.consumer
        await running.until(consumer.assignment)
        overridden = (
            *("_new_consumer_thread", "_getmany", "getmany", "_add_gap", "_reset_state", "stop_flow", "resume_flow"),
            *("resume_partitions", "perform_seek", "ack", "_filter_tps_with_pending_acks", "_new_offset", "wait_empty"),
            *("on_partitions_revoked", "_wait_next_records", "_to_message", "commit_and_end_transactions"),
            "maybe_wait_for_commit_to_finish",
        )
        assert [] == missing(super(transport.BatchConsumer, consumer), *overridden)
        assert [] == missing(
            consumer, "_acked", "_acked_index", "_unacked_messages", "_n_acked", "_waiting_for_ack", "scheduler"
        )
        assert [] == missing(consumer, "_buffered_partitions", "flow_active", "_thread")
        inner = consumer._thread._ensure_consumer()
        private = ("_fetch_max_wait_ms", "_fetch_min_bytes", "_fetcher", "_subscription", "_coordinator")
        assert [] == missing(inner, *private)
        assert [] == missing(inner._coordinator, "reset_generation", "request_rejoin")
        assert [running.app.assignor] == list(inner._coordinator._assignors)
        assert "fetch_and_rest" == inner._fetcher._proc_fetch_request.__name__
        assert isinstance(inner._fetcher._records, dict)
        assert inner._fetcher._fetch_max_wait_ms == inner._fetch_max_wait_ms == 10
        state = consumer._thread.partition_state(next(iter(consumer.assignment())))
        assert [] == missing(state, "has_valid_position", "highwater")


async def test_an_app_stops_in_order_while_its_broker_is_away(cluster_of):
    """The fetcher then rests after a failed fetch, and is cancelled in that rest."""
    with brokers.choose("embedded") as broker:
        cluster = cluster_of(broker)
        async with cluster.taker(cluster.new_topic()) as running:
            await running.until(running.consumer.assignment)
            broker.stop()
            await asyncio.sleep(1.0)

    assert [] == running.events
