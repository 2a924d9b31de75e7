"""One partition's lane through the worker: the commit protocol, in one place.

For every round: decode; apply in merge order; send all emissions and dead letters and await every
acknowledgement; send each touched customer's snapshot to the changelog and await that; only then
acknowledge the batches, so that their offsets may be committed. A crash before the last step
repeats the round with the same ids and the same states.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from faust.types import TP, EventT
from msgspec import Struct

from needstream.schemas import codecs, signals
from needstream.schemas.dead_letters import DeadLetter, Rejected
from needstream.schemas.times import rfc3339
from needstream.streams import outputs, sending, topics
from needstream.streams.metrics import Metrics
from needstream.streams.pipeline import inputs
from needstream.streams.pipeline.emissions import Emission
from needstream.streams.pipeline.partition import Partition

Fail = Callable[[Exception], Awaitable[None]]
"""Stops the worker because of an error that is not bad data."""

Send = Callable[[Mapping[TP, Sequence[sending.Record]]], Awaitable[None]]
RECORDS_PER_ROUND = 1_000
"""The most records of one round: bounds memory, and how long other lanes must wait."""

_LOG = logging.getLogger("needstream.lane")


class WritableStore(Protocol):
    """Where acknowledged snapshots go."""

    def write(self, snapshots: dict[str, bytes | None]) -> None:
        """Take over flushed snapshots."""
        ...


class LaneAbandoned(RuntimeError):
    """Raised in a round that was still sending when its partition had to be given up."""


class LaneSetup(Struct, frozen=True, kw_only=True):
    """What all lanes of a worker share."""

    send: Send
    changelog: str
    metrics: Metrics
    future_tolerance_ms: int
    partition_for_model: Callable[[str], int]


class Batch(Struct):
    """A delivered batch that is not acknowledged yet."""

    event: EventT[Any]
    last_offset: int


class Lane:
    """Applies the batches of one partition number of every input."""

    def __init__(self, number: int, partition: Partition, *, store: WritableStore, setup: LaneSetup) -> None:
        self.number = number
        self.partition = partition
        self.last_arrival_s: dict[str, float] = {}
        self.newest_ingested_ms = 0
        self._store = store
        self._setup = setup
        self._batches: dict[str, deque[Batch]] = {topic: deque() for topic in topics.INPUTS}
        self._letters: list[DeadLetter] = []
        self._round = asyncio.Lock()
        self.hear()
        self._closed = False
        self._abandoned = False

    def add(self, event: EventT[Any]) -> None:
        """Decode a delivered batch; what cannot be decoded becomes a dead letter of the next round."""
        records = cast(list[Any], event.value)
        topic = event.message.topic
        family = topic.partition(".")[0]
        now_ms = time.time_ns() // 1_000_000
        for record in records:
            received_ms = min(record.timestamp, now_ms) if record.timestamp > 0 else now_ms
            raw = record.value or b""
            decoded = codecs.decode(
                raw,
                family=family,
                latest_ms=received_ms + self._setup.future_tolerance_ms,
                key=record.key,
            )
            if isinstance(decoded, Rejected):
                self._letters.append(_letter(record, decoded))
            else:
                arrival = inputs.Arrival(
                    decoded,
                    codecs.event_key(decoded),
                    inputs.at_ms(decoded),
                    topic,
                    record.partition,
                    record.offset,
                )
                self.partition.push(arrival)
            self.newest_ingested_ms = max(self.newest_ingested_ms, received_ms)
        self._setup.metrics.records.labels(topic).inc(len(records))
        self._batches[topic].append(Batch(event, records[-1].offset))
        self.last_arrival_s[topic] = time.monotonic()

    async def run(self, at_end: frozenset[str], *, tick_ms: int | None = None) -> None:
        """Rounds of the protocol until nothing more may leave the merger.

        Args:
            at_end: the inputs that have nothing more to read now.
            tick_ms: event time that has passed without events, if any.
        """
        async with self._round:
            waiting = -1
            try:
                while not self._closed and waiting != self.waiting:
                    waiting = self.waiting
                    await self._run_once(at_end, tick_ms)
            except BaseException:
                # What the round took is in nobody's hands: whoever comes next must not acknowledge it in passing.
                self._closed = True
                raise

    async def _run_once(self, at_end: frozenset[str], tick_ms: int | None) -> None:
        started_s = time.monotonic()
        # A batch that arrives while this round is sending belongs to the next one, its dead letters too.
        present = {topic: len(batches) for topic, batches in self._batches.items()}
        emitted = list(self.partition.advance(at_end, most=RECORDS_PER_ROUND))
        if tick_ms is not None:
            emitted += self.partition.tick(tick_ms)
        letters, self._letters = self._letters, []
        snapshots = self.partition.flush()
        await self._send_outputs(emitted, letters)
        if self._abandoned:
            msg = f"partition {self.number} was given up in the middle of a round; nothing of it was stored"
            raise LaneAbandoned(msg)
        await self._store_snapshots(snapshots)
        self._acknowledge(present)
        if emitted or letters or snapshots:
            self._measure(emitted, letters, started_s=started_s)

    async def close(self) -> None:
        """Finish the round in work and start no more; what waits is delivered again later.

        A round that does not finish before the caller gives up waiting stores nothing any more.
        """
        self._closed = True
        try:
            async with self._round:
                pass
        except asyncio.CancelledError:
            self._abandoned = True
            raise

    def hear(self) -> None:
        """Begin to count every input's silence anew, as after a pause of the whole process."""
        self.last_arrival_s = dict.fromkeys(topics.INPUTS, time.monotonic())

    @property
    def waiting(self) -> int:
        """How many records are held back for merge order."""
        return len(self.partition.merger)

    @property
    def has_work(self) -> bool:
        """Whether a round would change anything."""
        return bool(self.waiting or self._letters or any(self._batches.values()))

    async def _send_outputs(self, emitted: list[Emission], letters: list[DeadLetter]) -> None:
        decided_at = rfc3339(time.time_ns() // 1_000_000)
        by_partition: dict[TP, list[sending.Record]] = {}
        for emission in emitted:
            written = outputs.record(emission, decided_at=decided_at)
            if written is None:
                continue
            number = self.number
            if isinstance(emission, signals.LabelledExample):
                number = self._setup.partition_for_model(emission.model)
            place = TP(written.topic, number)
            by_partition.setdefault(place, []).append((written.key, written.value, written.headers, None))
        for letter in letters:
            place = TP(topics.DEAD_LETTERS, self.number)
            by_partition.setdefault(place, []).append(
                (letter.key, letter.value, outputs.dead_letter_headers(letter), letter.timestamp_ms)
            )
        if by_partition:
            await self._setup.send(by_partition)

    async def _store_snapshots(self, snapshots: dict[str, bytes | None]) -> None:
        if not snapshots:
            return
        records: list[sending.Record] = [
            (customer_id.encode(), stored, (), None) for customer_id, stored in snapshots.items()
        ]
        await self._setup.send({TP(self._setup.changelog, self.number): records})
        self._store.write(snapshots)

    def _acknowledge(self, present: dict[str, int]) -> None:
        """Acknowledge every batch that was there when the round began and none of whose records still waits."""
        for topic, batches in self._batches.items():
            waiting_from = self.partition.merger.waiting_from(topic)
            for _ in range(present[topic]):
                if waiting_from is not None and batches[0].last_offset >= waiting_from:
                    break
                batches.popleft().event.ack()

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
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        reason=rejected.reason,
        field=rejected.field,
        detail=rejected.detail,
        remedy=rejected.remedy,
        key=record.key,
        value=record.value or b"",
        timestamp_ms=record.timestamp,
    )
