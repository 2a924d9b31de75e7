"""One partition's lane through the worker: the commit protocol, in one place.

For every round: decode; apply in merge order; send all emissions and dead letters and await every
acknowledgement; send each touched customer's snapshot to the changelog and await that; only then
acknowledge the batches, so that their offsets may be committed. A crash before the last step
repeats the round with the same ids and the same states. Nothing is sent while the consumer group
may have given the partition to somebody else.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from aiokafka.errors import KafkaError
from faust.types import TP, EventT
from msgspec import Struct

from needstream.schemas import signals
from needstream.schemas.dead_letters import DeadLetter, Rejected, RejectReason
from needstream.streams import decoding, outgoing, outputs, sending, topics
from needstream.streams.hearing import Hearing
from needstream.streams.metrics import Metrics
from needstream.streams.outgoing import Addresses
from needstream.streams.ownership import LaneAbandoned, Membership, Ownership
from needstream.streams.pipeline.emissions import Emission
from needstream.streams.pipeline.inputs import Arrival
from needstream.streams.pipeline.partition import Partition
from needstream.streams.rejections import Rejections
from needstream.streams.snapshot_writer import ChangelogPartition, Read, SnapshotWriter
from needstream.streams.steps import Pill, Steps
from needstream.streams.stores import PartitionStore

Fail = Callable[[Exception], Awaitable[None]]
"""Stops the worker because of an error that is not bad data."""

ADMITTED_AT_ONCE = 2_000
"""After so many stored snapshots an opening lane lets others have their turn."""

_LOG = logging.getLogger("needstream.lane")


class Send(Protocol):
    """Sends records by topic-partition."""

    def __call__(
        self, records: Mapping[TP, Sequence[sending.Record]], may_repeat: sending.MayRepeat
    ) -> Awaitable[Mapping[TP, int]]:
        """Wait for every acknowledgement and return the last offset of each place; a broker's fault is repeated."""
        ...


class LaneSetup(Struct, frozen=True, kw_only=True):
    """What all lanes of a worker share.

    Attributes:
        future_tolerance_ms: how far in the future of its arrival an event may lie.
        ordering_wait_s: how long the inputs are listened to before what has come may be applied.
        identity_wait_s: how long a customer's events wait for a visitor's history.
    """

    send: Send
    read_changelog: Read
    membership: Membership
    addresses: Addresses
    changelog: str
    metrics: Metrics
    rejections: Rejections
    future_tolerance_ms: int
    ordering_wait_s: float = 0.02
    identity_wait_s: float = 60.0


class Batch(Struct):
    """A delivered batch that is not acknowledged yet."""

    event: EventT[Any]
    last_offset: int


class Lane:
    """Applies the batches of one partition number of everything that is merged, once it has been opened."""

    def __init__(self, number: int, partition: Partition, *, store: PartitionStore, setup: LaneSetup) -> None:
        self.number = number
        self.partition = partition
        self.hearing = Hearing(topics.MERGED, wait_s=setup.ordering_wait_s, now_s=time.monotonic())
        self.is_open = False
        #: When the lane last got on, or had nothing to do.
        self.progress_s = time.monotonic()
        self.newest_ingested_ms = 0
        #: How many batches were added.
        self.taken_in = 0
        #: Set by each round once it knows what it applies; who waits for that clears it before.
        self.looked = asyncio.Event()
        self._held_back = 0
        self._store = store
        self._setup = setup
        self._steps = Steps(partition)
        self._ownership = Ownership(number, setup.membership)
        self._snapshots = SnapshotWriter(
            number,
            store,
            changelog=ChangelogPartition(
                TP(setup.changelog, number), send=self._send, read=setup.read_changelog, confirm=self._ownership.confirm
            ),
            metrics=setup.metrics,
        )
        self._batches: dict[str, deque[Batch]] = {topic: deque() for topic in topics.MERGED}
        self._letters: list[DeadLetter] = []
        self._awaiting_since_s: dict[str, float] = {}
        self._round = asyncio.Lock()
        self._closed = False

    async def open(self) -> None:
        """Take note of everything stored, a part at a time; before that batches are taken and nothing is applied."""
        async with self._round:
            for count, (customer_id, stored) in enumerate(self._store.items(), 1):
                if count % ADMITTED_AT_ONCE == 0:
                    self.progress_s = time.monotonic()
                    await asyncio.sleep(0)
                if self._closed:
                    return
                self.partition.admit(customer_id, stored)
            self.is_open = not self._closed

    def add(self, event: EventT[Any]) -> None:
        """Decode a delivered batch; what cannot be decoded becomes a dead letter of the next round.

        Raises:
            TooManyDeadLetters: the worker must stop; the batch is not the lane's.
        """
        records = cast(list[Any], event.value)
        topic = event.message.topic
        if not self.has_work:
            self.progress_s = time.monotonic()
        letters = len(self._letters)
        now_ms = time.time_ns() // 1_000_000
        tolerance_ms, newest_ms = self._setup.future_tolerance_ms, self.newest_ingested_ms
        decode, push = decoding.arrival, self.partition.push
        for record in records:
            stamped_ms = record.timestamp
            received_ms = stamped_ms if 0 < stamped_ms < now_ms else now_ms
            arrival = decode(record, latest_ms=received_ms + tolerance_ms)
            if type(arrival) is Arrival:
                push(arrival)
            else:
                self._letters.append(_letter(record, cast(Rejected, arrival)))
            if received_ms > newest_ms:  # noqa: PLR1730  # half as long as a call of max, for every record
                newest_ms = received_ms
        self.newest_ingested_ms = newest_ms
        self._setup.metrics.records.labels(topic).inc(len(records))
        self._setup.rejections.observe(topic, read=len(records), rejected=len(self._letters) - letters)
        self._batches[topic].append(Batch(event, records[-1].offset))
        self.taken_in += 1
        self.hearing.heard(topic, now_s=time.monotonic())

    async def run(self, at_end: frozenset[str], *, tick_ms: int | None = None) -> None:
        """Rounds of the protocol until nothing more may be applied; none before the lane is open.

        Args:
            at_end: the inputs that have nothing more to read now.
            tick_ms: event time that has passed without events, if any.
        """
        if not self.is_open:
            return
        async with self._round:
            held, taken_in = -1, self.taken_in
            changed = True
            try:
                # What comes in meanwhile may have ended an input's silence: the caller looks again.
                while (
                    not self._closed and taken_in == self.taken_in and (changed or held != len(self.partition.merger))
                ):
                    held = len(self.partition.merger)
                    changed = await self._run_once(at_end, tick_ms)
            except BaseException:
                # What the round took is in nobody's hands: whoever comes next must not acknowledge it in passing.
                self._closed = True
                raise

    async def _run_once(self, at_end: frozenset[str], tick_ms: int | None) -> bool:
        """One round; tells whether another one may find more to do."""
        started_s = time.monotonic()
        ripe_through = self.hearing.ripe_through(started_s)
        if ripe_through is not None:
            self.partition.merger.ripen(ripe_through)
        if tick_ms is not None:
            self.partition.tick(tick_ms)
        expired = self._expired(started_s)
        taken = self._steps.take(at_end, expired)
        if taken.pill is not None:
            self._letters.append(self._poisoned(taken.pill))
        if taken.has_failed:
            return True
        self._held_back = min(self._held_back, self.waiting) if taken.is_cut else self.waiting
        self.looked.set()
        self._setup.metrics.identity_waits_expired.inc(len(expired))
        # A batch that arrives while this round is sending belongs to the next one, its dead letters too.
        letters, self._letters = self._letters, []
        snapshots = self.partition.flush()
        finished = self._finished()
        await self._send_outputs(taken.emitted, letters)
        await self._snapshots.write(snapshots)
        for topic, count in finished.items():
            for _ in range(count):
                self._batches[topic].popleft().event.ack()
        self.progress_s = time.monotonic()
        if taken.emitted or letters or snapshots:
            self._measure(taken.emitted, letters, started_s=started_s)
        return bool(snapshots)

    def _expired(self, now_s: float) -> list[str]:
        """The customers whose events have waited for a visitor's history long enough."""
        since_s = self._awaiting_since_s
        self._awaiting_since_s = {key: since_s.get(key, now_s) for key in self.partition.awaiting}
        return [key for key, at_s in self._awaiting_since_s.items() if now_s - at_s >= self._setup.identity_wait_s]

    def _poisoned(self, pill: Pill) -> DeadLetter:
        """The dead letter of a record that makes its step fail."""
        arrival = pill.arrival
        for batch in self._batches[arrival.topic]:
            for record in cast(list[Any], batch.event.value):
                if record.offset == arrival.offset:
                    return _letter(record, Rejected(RejectReason.POISON_PILL, detail=pill.cause))
        msg = f"{arrival.topic}[{arrival.partition}] offset {arrival.offset} is in no batch of the lane"
        raise RuntimeError(msg)

    async def close(self) -> None:
        """Finish the round in work and start no more; what waits is delivered again later.

        A round that does not finish before the caller gives up waiting stores nothing any more.
        """
        was_open = self.is_open and not self._closed
        self._setup.metrics.forget(self.number)
        self._closed = self._ownership.is_ending = True
        try:
            async with self._round:
                if was_open and self._ownership.is_certain:
                    await self._check_changelog()
        except asyncio.CancelledError:
            self._ownership.is_over = True
            raise

    async def _check_changelog(self) -> None:
        try:
            await self._snapshots.check()
        except (KafkaError, LaneAbandoned):
            _LOG.warning("changelog not checked at giving up", extra={"facts": {"partition": self.number}})

    def hear_anew(self) -> None:
        """Begin to count every silence and every wait anew: for a while nothing could be heard."""
        self.hearing.begin_anew(time.monotonic())
        self.wait_anew()

    def wait_anew(self) -> None:
        """Begin to count anew how long customers have waited for a visitor's history."""
        self._awaiting_since_s = {}

    @property
    def is_certain(self) -> bool:
        """Whether the partition is known to be this worker's now; a round would have to wait for that."""
        return self._ownership.is_certain

    @property
    def waiting(self) -> int:
        """How many records are held back, for merge order or for a visitor's history."""
        return self.partition.waiting

    @property
    def unseen(self) -> int:
        """How many of the waiting records no round has had the time to look at."""
        return self.partition.waiting - self._held_back

    @property
    def parked(self) -> int:
        """How many records are held back for a visitor's history alone."""
        return self.partition.waiting - len(self.partition.merger)

    @property
    def has_work(self) -> bool:
        """Whether a round would change anything, or must go on asking whether it does."""
        partition = self.partition
        return bool(
            partition.waiting
            or partition.is_ringing
            or partition.awaiting
            or self._letters
            or any(self._batches.values())
        )

    async def _send_outputs(self, emitted: list[Emission], letters: list[DeadLetter]) -> None:
        if not emitted and not letters:
            return
        by_place = outgoing.addressed(emitted, letters, sender=self.number, addresses=self._setup.addresses)
        if by_place:
            await self._ownership.confirm()
            await self._send(by_place)

    async def _send(self, records: Mapping[TP, Sequence[sending.Record]]) -> Mapping[TP, int]:
        """Send, and outlast a broker's faults for as long as the partition is this worker's."""

        async def may_repeat(_repeat: int) -> bool:
            await self._ownership.confirm()
            return True

        return await self._setup.send(records, may_repeat)

    def _finished(self) -> dict[str, int]:
        """How many batches of each input, from the oldest on, have no record that still waits."""
        counts = dict.fromkeys(self._batches, 0)
        for topic, batches in self._batches.items():
            waiting_from = self.partition.waiting_from(topic) if batches else None
            for batch in batches:
                if waiting_from is not None and batch.last_offset >= waiting_from:
                    break
                counts[topic] += 1
        return counts

    def _measure(self, emitted: list[Emission], letters: list[DeadLetter], *, started_s: float) -> None:
        metrics = self._setup.metrics
        metrics.count(emitted)
        metrics.reject(letters)
        metrics.batch.observe(time.monotonic() - started_s)
        metrics.last_processed.set(time.time())
        metrics.waiting.labels(str(self.number)).set(self.waiting)
        watermark_ms = self.partition.watermark.at_ms
        if watermark_ms is not None:
            metrics.watermark.labels(str(self.number)).set(watermark_ms / 1000)
        if any(isinstance(emission, signals.Signal) for emission in emitted):
            metrics.latency.observe(max(0.0, time.time() - self.newest_ingested_ms / 1000))
        if letters:
            reasons = sorted({letter.reason.value for letter in letters})
            _LOG.warning(
                "records rejected",
                extra={"facts": {"count": len(letters), "reasons": reasons, "partition": self.number}},
            )


def _letter(record: Any, rejected: Rejected) -> DeadLetter:
    return outputs.dead_letter(record, rejected)
