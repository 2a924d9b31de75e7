"""A lane acknowledges a batch only when everything it led to is acknowledged, whoever runs the round."""

import asyncio
from typing import Any

import orjson
import pytest

from needstream.models.scorer import Scorer
from needstream.streams import lane as lanes
from needstream.streams import topics
from needstream.streams.metrics import Metrics
from needstream.streams.outgoing import Addresses
from needstream.streams.packs import loader
from needstream.streams.pipeline.partition import Partition
from needstream.streams.replay import MemoryStore

BANK = loader.load("bank")
EVERYTHING_READ = frozenset(topics.MERGED)


class Delivered:
    """A batch as the transport hands it over: the records, where from, and whether it was acknowledged."""

    def __init__(self, *values: bytes) -> None:
        self.value = [Stored(offset, value) for offset, value in enumerate(values)]
        self.message = self
        self.topic = topics.CUSTOMERS
        self.acked = False

    def ack(self) -> None:
        self.acked = True


class Stored:
    """A record as the broker has it."""

    def __init__(self, offset: int, value: bytes) -> None:
        self.topic, self.partition, self.offset = topics.CUSTOMERS, 0, offset
        self.key, self.value, self.timestamp = b"c1", value, 0
        self.headers: tuple[tuple[str, bytes], ...] = ()


class Wire:
    """Where a lane sends to; the outcome of each request is decided by the test."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.refused = 0
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, records: Any) -> dict[Any, int]:
        await self.open.wait()
        if self.refused:
            self.refused -= 1
            raise OSError
        self.sent += [tp.topic for tp in records]
        return {tp: len(given) - 1 for tp, given in records.items()}


def _score(number: int, score: int) -> bytes:
    at = f"2025-03-0{number}T09:00:00Z"
    event = {"event_id": f"e{number}", "event_type": "credit_score", "event_time": at, "customer_id": "c1"}
    return orjson.dumps(event | {"score": score})


def _closed_lane(wire: Wire) -> tuple[lanes.Lane, MemoryStore]:
    store = MemoryStore()
    partition = Partition(topics.MERGED, BANK, scorer=Scorer(BANK.readiness()), store=store)
    setup = lanes.LaneSetup(
        send=wire.send,
        addresses=Addresses(partitions=1),
        changelog="changelog",
        metrics=Metrics("0", BANK.version),
        future_tolerance_ms=0,
    )
    return lanes.Lane(0, partition, store=store, setup=setup), store


async def _lane(wire: Wire) -> tuple[lanes.Lane, MemoryStore]:
    lane, store = _closed_lane(wire)
    await lane.open()
    return lane, store


@pytest.mark.asyncio
async def test_outputs_are_acknowledged_before_snapshots_and_snapshots_before_the_batch() -> None:
    wire = Wire()
    lane, store = await _lane(wire)
    batch = Delivered(_score(1, 700), _score(2, 600))

    lane.add(batch)
    await lane.run(EVERYTHING_READ)

    assert sorted([topics.ALERTS, topics.DECISIONS]) == sorted(wire.sent[:2])
    assert ["changelog"] == wire.sent[2:]
    assert batch.acked
    assert len(store) == 1


@pytest.mark.asyncio
async def test_after_a_failed_round_nobody_acknowledges_its_batch() -> None:
    """The pacemaker waits for the round in work and runs next: it must not ack in passing."""
    wire = Wire()
    wire.refused = 1
    lane, store = await _lane(wire)
    batch = Delivered(_score(1, 700), _score(2, 600))

    lane.add(batch)
    outcomes = await asyncio.gather(lane.run(EVERYTHING_READ), lane.run(EVERYTHING_READ), return_exceptions=True)

    assert [OSError, type(None)] == [type(outcome) for outcome in outcomes]
    assert not batch.acked
    assert len(store) == 0


@pytest.mark.asyncio
async def test_a_round_whose_partition_was_given_up_stores_nothing_any_more() -> None:
    wire = Wire()
    wire.open.clear()
    lane, store = await _lane(wire)
    batch = Delivered(_score(1, 700), _score(2, 600))

    lane.add(batch)
    running = asyncio.ensure_future(lane.run(EVERYTHING_READ))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lane.close(), 0.05)
    wire.open.set()

    with pytest.raises(lanes.LaneAbandoned):
        await running
    assert not batch.acked
    assert len(store) == 0


@pytest.mark.asyncio
async def test_a_closed_lane_starts_no_round() -> None:
    wire = Wire()
    lane, _ = await _lane(wire)
    batch = Delivered(_score(1, 700))

    lane.add(batch)
    await lane.close()
    await lane.run(EVERYTHING_READ)

    assert not batch.acked
    assert [] == wire.sent


@pytest.mark.asyncio
async def test_a_batch_waits_for_its_last_record() -> None:
    """While another input lags, what it could overtake is neither applied nor acknowledged."""
    wire = Wire()
    lane, _ = await _lane(wire)
    batch = Delivered(_score(1, 700))

    lane.add(batch)
    await lane.run(EVERYTHING_READ - {topics.CLICKSTREAM})
    assert not batch.acked

    await lane.run(EVERYTHING_READ)
    assert batch.acked


@pytest.mark.asyncio
async def test_a_batch_that_comes_while_a_round_is_sending_belongs_to_the_next_one() -> None:
    """Its dead letters have not been sent yet, so the round in work must not acknowledge it."""
    wire = Wire()
    wire.open.clear()
    lane, _ = await _lane(wire)
    first, second = Delivered(_score(1, 700), _score(2, 600)), Delivered(b"no event")

    lane.add(first)
    running = asyncio.ensure_future(lane._run_once(EVERYTHING_READ, None))
    await asyncio.sleep(0)
    lane.add(second)
    wire.open.set()
    await running
    assert (True, False) == (first.acked, second.acked)

    await lane.run(EVERYTHING_READ)
    assert second.acked
    assert topics.DEAD_LETTERS in wire.sent
