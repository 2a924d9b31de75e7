"""A lane acknowledges a batch only when everything it led to is acknowledged, whoever runs the round."""

import asyncio
from typing import Any

import faust
import orjson
import pytest
from faust.types import TP

from needstream.models.scorer import Scorer
from needstream.schemas import codecs
from needstream.schemas.state import PARTITION_KEY, StateVersionError, new_customer, snapshot
from needstream.streams import lane as lanes
from needstream.streams import topics
from needstream.streams.agents.lanes import Lanes
from needstream.streams.metrics import Metrics
from needstream.streams.outgoing import Addresses
from needstream.streams.ownership import LaneAbandoned
from needstream.streams.packs import loader
from needstream.streams.pipeline import partition as partitions
from needstream.streams.pipeline.inputs import Arrival
from needstream.streams.pipeline.partition import Partition
from needstream.streams.pipeline.step import step
from needstream.streams.rejections import Rejections, TooManyDeadLetters
from needstream.streams.sending import MayRepeat
from needstream.streams.snapshot_writer import Found
from needstream.streams.steps import ATTEMPTS
from needstream.streams.stores import MemoryPartition, StoreDamaged, StoreRefused

BANK = loader.load("bank")
CHANGELOG = TP("changelog", 0)
EVERYTHING_READ = frozenset(topics.MERGED)


class Delivered:
    """A batch as the transport hands it over: the records, where from, and whether it was acknowledged."""

    def __init__(self, *values: bytes | None) -> None:
        self.value = [Stored(offset, value) for offset, value in enumerate(values) if value is not None]
        self.message = self
        self.topic = topics.CUSTOMERS
        self.acked = False

    def ack(self) -> None:
        self.acked = True


class Stored:
    """A record as the broker has it."""

    def __init__(self, offset: int, value: bytes) -> None:
        self.topic, self.partition, self.offset = topics.CUSTOMERS, 0, offset
        self.key, self.value, self.timestamp = None, value, 0
        self.headers = (("source", b"shop"),)


class Wire:
    """A broker a lane sends to; the outcome of each request is decided by the test."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.records: dict[TP, list[Any]] = {}
        self.refused = 0
        self.away = 0
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, records: Any, may_repeat: MayRepeat) -> dict[TP, int]:
        await self.open.wait()
        if self.refused:
            self.refused -= 1
            raise OSError
        while self.away:
            self.away -= 1
            assert await may_repeat(1)
        self.sent += [tp.topic for tp in records]
        for tp, given in records.items():
            self.records.setdefault(tp, []).extend(given)
        return {tp: len(self.records[tp]) - 1 for tp in records}

    async def read(self, place: TP, begin: int, *, end: int | None) -> Found:
        stored = self.records.get(place, [])[begin:end]
        return Found([(key, value) for key, value, *_ in stored], begin + len(stored))

    def on(self, topic: str) -> list[Any]:
        """The records of a topic's only partition."""
        return self.records.get(TP(topic, 0), [])


class Group:
    """The consumer group as the worker knows it."""

    def __init__(self) -> None:
        self.generation = 1
        self.is_fresh = True


def _score(number: int, score: int, customer_id: str = "c1") -> bytes:
    at = f"2025-03-0{number}T09:00:00Z"
    event = {"event_id": f"e{number}", "event_type": "credit_score", "event_time": at, "customer_id": customer_id}
    return orjson.dumps(event | {"score": score})


class Faulty(MemoryPartition):
    """A store that fails each time a step asks for one customer, and not when the step is taken back."""

    def __init__(self, customer_id: str, fault: Exception) -> None:
        super().__init__()
        self._customer_id = customer_id
        self._fault = fault
        self._asked = 0

    def get(self, customer_id: str) -> bytes | None:
        if customer_id == self._customer_id:
            self._asked += 1
            if self._asked % 2:
                raise self._fault
        return super().get(customer_id)


def _closed_lane(
    wire: Wire,
    group: Group | None = None,
    *,
    stop: float | None = None,
    identity_wait_s: float = 60.0,
    store: MemoryPartition | None = None,
) -> tuple[lanes.Lane, MemoryPartition]:
    store = store or MemoryPartition()
    partition = Partition(topics.MERGED, BANK, scorer=Scorer(BANK.readiness()), store=store)
    metrics = Metrics("0", BANK.version)
    setup = lanes.LaneSetup(
        send=wire.send,
        read_changelog=wire.read,
        membership=group or Group(),
        addresses=Addresses(partitions=1),
        changelog="changelog",
        metrics=metrics,
        rejections=Rejections(alert=1.0, stop=stop, metrics=metrics),
        future_tolerance_ms=0,
        identity_wait_s=identity_wait_s,
    )
    return lanes.Lane(0, partition, store=store, setup=setup), store


async def _lane(wire: Wire, group: Group | None = None) -> tuple[lanes.Lane, MemoryPartition]:
    lane, store = _closed_lane(wire, group)
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
    assert ["c1"] == _customers(store)


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
    assert [] == _customers(store)


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

    with pytest.raises(LaneAbandoned):
        await running
    assert not batch.acked
    assert [] == _customers(store)


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
async def test_what_a_round_holds_back_for_another_input_is_waiting_and_not_unseen() -> None:
    wire = Wire()
    lane, _ = await _lane(wire)

    lane.add(Delivered(_score(1, 700)))
    before = lane.waiting, lane.unseen
    await lane.run(EVERYTHING_READ - {topics.CLICKSTREAM})

    assert [(1, 1), (1, 0)] == [before, (lane.waiting, lane.unseen)]


@pytest.mark.asyncio
async def test_more_may_be_read_while_a_round_waits_for_the_broker() -> None:
    wire = Wire()
    wire.open.clear()
    lane, _ = await _lane(wire)
    first, second = Delivered(_score(1, 700), _score(2, 600)), Delivered(_score(3, 650))

    lane.add(first)
    running = asyncio.ensure_future(lane.run(EVERYTHING_READ))
    await lane.looked.wait()
    lane.add(second)
    while_sending = first.acked, lane.unseen
    wire.open.set()
    await running

    assert (False, 1) == while_sending
    assert (True, False) == (first.acked, second.acked)


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


@pytest.mark.asyncio
async def test_a_lane_that_is_not_open_takes_batches_and_applies_nothing() -> None:
    wire = Wire()
    lane, store = _closed_lane(wire)
    batch = Delivered(_score(1, 700), _score(2, 600))

    lane.add(batch)
    await lane.run(EVERYTHING_READ)
    assert ([], False) == (wire.sent, batch.acked)

    await lane.open()
    await lane.run(EVERYTHING_READ)
    assert batch.acked
    assert ["c1"] == _customers(store)


@pytest.mark.asyncio
async def test_a_lane_given_up_while_it_is_opened_stays_closed() -> None:
    lane, store = _closed_lane(Wire())
    store.write({f"c{number}": snapshot(new_customer(f"c{number}", 0)) for number in range(5_000)}, 4_999)

    opening = asyncio.ensure_future(lane.open())
    await asyncio.sleep(0)
    await lane.close()
    await opening

    assert not lane.is_open


class Sick:
    """A step that fails for one event, so often."""

    def __init__(self, event_id: str, failures: int = 1_000) -> None:
        self.event_id = event_id
        self.failures = failures

    def __call__(self, state: Any, given: Any, **options: Any) -> Any:
        if isinstance(given, Arrival) and given.event.event_id == self.event_id and self.failures:
            self.failures -= 1
            raise ZeroDivisionError
        return step(state, given, **options)


SCORES = (_score(1, 700), _score(2, 690, "c2"), _score(3, 600), _score(4, 590, "c2"), _score(5, 500), _score(6, 720))


def _customers(store: MemoryPartition) -> list[str]:
    return sorted(key for key, _ in store.items() if key != PARTITION_KEY)


def _said(wire: Wire, topic: str) -> list[dict[str, Any]]:
    rows = [orjson.loads(value) for _, value, *_ in wire.on(topic)]
    return [{name: part for name, part in row.items() if name != "decided_at"} for row in rows]


@pytest.mark.asyncio
@pytest.mark.parametrize("place", range(len(SCORES)))
async def test_everything_but_the_record_that_makes_its_step_fail_is_applied_as_without_it(
    place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy, expected = Wire(), Delivered(*SCORES[:place], None, *SCORES[place + 1 :])
    lane, healthy_store = await _lane(healthy)
    lane.add(expected)
    await lane.run(EVERYTHING_READ)
    monkeypatch.setattr(partitions, "step", Sick(f"e{place + 1}"))
    wire, batch = Wire(), Delivered(*SCORES)
    lane, store = await _lane(wire)

    lane.add(batch)
    await lane.run(EVERYTHING_READ)

    for topic in (topics.ALERTS, topics.DECISIONS, topics.PROFILES):
        assert _said(healthy, topic) == _said(wire, topic)
    assert dict(healthy_store.items()) == dict(store.items())
    assert batch.acked
    (letter,) = wire.on(topics.DEAD_LETTERS)
    key, value, headers, _ = letter
    assert (None, SCORES[place], ("source", b"shop")) == (key, value, headers[0])
    assert dict(headers)["needstream.reason"] == b"processing_poison_pill"


@pytest.mark.asyncio
async def test_a_record_that_fails_less_often_than_it_is_tried_is_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "step", Sick("e3", failures=ATTEMPTS - 1))
    wire, batch = Wire(), Delivered(*SCORES)
    lane, _ = await _lane(wire)

    lane.add(batch)
    await lane.run(EVERYTHING_READ)

    assert batch.acked
    assert [] == wire.on(topics.DEAD_LETTERS)
    assert "e3" in {said["trigger_event_id"] for said in _said(wire, topics.DECISIONS)}


@pytest.mark.asyncio
async def test_a_record_that_makes_decoding_fail_becomes_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = codecs.decode

    def sick(raw: bytes, **options: Any) -> Any:
        if raw == SCORES[1]:
            raise ZeroDivisionError
        return decode(raw, **options)

    monkeypatch.setattr(codecs, "decode", sick)
    wire, batch = Wire(), Delivered(*SCORES)
    lane, _ = await _lane(wire)

    lane.add(batch)
    await lane.run(EVERYTHING_READ)

    assert batch.acked
    assert [SCORES[1]] == [value for _, value, *_ in wire.on(topics.DEAD_LETTERS)]


@pytest.mark.asyncio
async def test_a_step_that_no_record_makes_fail_stops_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    def sick(state: Any, given: Any, **options: Any) -> Any:
        if not isinstance(given, Arrival):
            raise ZeroDivisionError
        return step(state, given, **options)

    view = {"event_id": "e1", "event_type": "page_view", "event_time": "2025-03-01T09:00:00Z", "customer_id": "c1"}
    wire, batch = Wire(), Delivered(orjson.dumps(view | {"url": "/loans"}))
    batch.topic = batch.value[0].topic = topics.CLICKSTREAM
    lane, _ = await _lane(wire)
    monkeypatch.setattr(partitions, "step", sick)

    lane.add(batch)
    await lane.run(EVERYTHING_READ)
    with pytest.raises(ZeroDivisionError):
        await lane.run(EVERYTHING_READ, tick_ms=2**41)

    assert [] == wire.on(topics.DEAD_LETTERS)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "fault", [StoreDamaged("s.db"), StoreRefused("s.db"), StateVersionError("state"), OSError(), MemoryError()]
)
async def test_a_fault_of_the_storage_is_never_blamed_on_the_record_that_met_it(fault: Exception) -> None:
    wire, batch = Wire(), Delivered(*SCORES)
    lane, store = _closed_lane(wire, store=Faulty("c2", fault))
    await lane.open()

    lane.add(batch)
    with pytest.raises(type(fault)) as raised:
        await lane.run(EVERYTHING_READ)

    assert fault is raised.value
    assert ([], [], False) == (wire.sent, list(store.items()), batch.acked)

    await lane.run(EVERYTHING_READ)
    assert ([], False) == (wire.sent, batch.acked)


@pytest.mark.asyncio
async def test_a_worker_that_the_group_has_gone_on_without_sends_nothing() -> None:
    wire, group = Wire(), Group()
    lane, store = await _lane(wire, group)
    batch = Delivered(*SCORES)
    group.generation, group.is_fresh = 2, False

    lane.add(batch)
    with pytest.raises(LaneAbandoned):
        await lane.run(EVERYTHING_READ)

    assert ([], [], False) == (wire.sent, list(store.items()), batch.acked)


@pytest.mark.asyncio
async def test_a_worker_that_has_stood_still_asks_again_before_it_writes() -> None:
    wire, group = Wire(), Group()
    lane, _ = await _lane(wire, group)
    batch = Delivered(*SCORES)
    group.is_fresh = False

    lane.add(batch)
    running = asyncio.ensure_future(lane.run(EVERYTHING_READ))
    await asyncio.sleep(0)
    assert [] == wire.sent

    group.is_fresh = True
    await running
    assert batch.acked


@pytest.mark.asyncio
async def test_what_another_worker_wrote_over_the_owners_snapshots_is_undone_by_the_next_write() -> None:
    wire = Wire()
    lane, store = await _lane(wire)
    lane.add(Delivered(_score(1, 700), _score(2, 600, "c2")))
    await lane.run(EVERYTHING_READ)
    wire.records[CHANGELOG] += [(b"c2", b"old", (), None), (b"c3", b"old", (), None)]

    lane.add(Delivered(None, None, _score(3, 600)))
    await lane.run(EVERYTHING_READ)

    newest = {key.decode(): value for key, value, *_ in wire.on("changelog")}
    assert {**dict(store.items()), "c3": None} == newest
    assert store.bookmark.through == len(wire.on("changelog")) - 1


@pytest.mark.asyncio
async def test_what_another_worker_wrote_is_undone_before_the_partition_is_given_up() -> None:
    wire = Wire()
    lane, store = await _lane(wire)
    lane.add(Delivered(_score(1, 700)))
    await lane.run(EVERYTHING_READ)
    wire.records[CHANGELOG].append((b"c1", b"old", (), None))

    await lane.close()

    assert dict(store.items())["c1"] == wire.on("changelog")[-1][1]


@pytest.mark.asyncio
async def test_a_repeated_send_of_the_owner_is_no_foreign_write() -> None:
    wire = Wire()
    lane, store = await _lane(wire)
    lane.add(Delivered(_score(1, 700)))
    await lane.run(EVERYTHING_READ)
    wire.records[CHANGELOG] += wire.records[CHANGELOG]

    lane.add(Delivered(None, _score(2, 600)))
    await lane.run(EVERYTHING_READ)

    assert b"needstream_fenced_writes_total 0.0" in lane._setup.metrics.exposition()
    assert store.bookmark.through == len(wire.on("changelog")) - 1


@pytest.mark.asyncio
async def test_a_batch_with_which_too_much_is_rejected_stops_the_worker_unacknowledged() -> None:
    wire = Wire()
    lane, _ = _closed_lane(wire, stop=0.5)
    await lane.open()
    borne, beyond = Delivered(*SCORES * 20), Delivered(*[b"{"] * 200)

    lane.add(borne)
    await lane.run(EVERYTHING_READ)
    with pytest.raises(TooManyDeadLetters, match=r"of customers\.v1 had to be rejected"):
        lane.add(beyond)

    assert (True, False) == (borne.acked, beyond.acked)


@pytest.mark.asyncio
async def test_after_a_fault_of_the_broker_nothing_is_repeated_for_a_partition_that_is_lost() -> None:
    wire, group = Wire(), Group()
    lane, store = await _lane(wire, group)
    batch = Delivered(*SCORES)
    wire.open.clear()
    wire.away = 1

    lane.add(batch)
    running = asyncio.ensure_future(lane.run(EVERYTHING_READ))
    await asyncio.sleep(0)
    group.generation = 2
    wire.open.set()

    with pytest.raises(LaneAbandoned):
        await running
    assert ([], [], False) == (wire.sent, list(store.items()), batch.acked)


@pytest.mark.asyncio
async def test_lanes_that_are_not_settled_in_time_all_write_no_more() -> None:
    """One slow lane must not leave the others unwarned."""
    wire = Wire()
    wire.open.clear()
    opened = [await _lane(wire) for _ in range(2)]
    working = Lanes(
        faust.App("settling"), lambda number: opened[number][0], fail=_ignored, ordering_wait_s=0, idle_after_s=9
    )
    rounds = []
    for number, (lane, _) in enumerate(opened):
        working._lanes[number] = lane
        lane.add(Delivered(*SCORES))
        rounds.append(asyncio.ensure_future(lane.run(EVERYTHING_READ)))
    await asyncio.sleep(0)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(working.settle([TP(topics.CLICKSTREAM, 0), TP(topics.CLICKSTREAM, 1)]), 0.05)
    wire.open.set()
    outcomes = await asyncio.gather(*rounds, return_exceptions=True)

    assert [LaneAbandoned, LaneAbandoned] == [type(outcome) for outcome in outcomes]
    assert [[], []] == [_customers(store) for _, store in opened]


async def _ignored(_error: Exception) -> None:
    return


@pytest.mark.asyncio
async def test_events_that_wait_too_long_for_a_history_go_on_without_it() -> None:
    wire = Wire()
    lane, _ = _closed_lane(wire, identity_wait_s=0.0)
    await lane.open()
    known = {"event_time": "2025-03-01T09:00:00Z", "customer_id": "c1", "url": "/loans"}
    batch = Delivered(
        orjson.dumps(known | {"event_id": "e1", "event_type": "identify", "anonymous_id": "a1"}),
        orjson.dumps(known | {"event_id": "e2", "event_type": "page_view"}),
    )
    batch.topic = topics.CLICKSTREAM
    for record in batch.value:
        record.topic = topics.CLICKSTREAM

    lane.add(batch)
    await lane._run_once(EVERYTHING_READ, None)
    assert (1, ["c1"], False) == (len(wire.on(topics.IDENTITIES)), lane.partition.awaiting, batch.acked)

    await lane.run(EVERYTHING_READ)
    assert ([], True) == (lane.partition.awaiting, batch.acked)
    assert b"needstream_identity_waits_expired_total 1.0" in lane._setup.metrics.exposition()
