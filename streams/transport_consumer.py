"""Faust's consumer with batches, prefix commits and a gate; see `needstream.streams.transport` for what it promises.

Private names of Faust's consumer are used here and nowhere else.
"""

import asyncio
import enum
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakKeyDictionary

from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT, ConsumerMessage, Message
from faust.types.transports import TPorTopicSet
from faust.types.tuples import ack_lock
from mode.utils.futures import notify

from needstream.streams import transport_thread
from needstream.streams.pulse import Pulse

#: Awaited with the partitions that go: finish or abandon what is in work, acknowledge what is finished and forget the
#: rest. May be awaited more than once for the same partitions.
Settle = Callable[[frozenset[TP]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an app wants its input topics delivered."""

    topics: frozenset[str] = frozenset()
    records_per_batch: int = 500
    settle: Settle | None = None
    settle_timeout_s: float = 20.0


#: What each app declared, read once when its consumer is made.
deliveries: WeakKeyDictionary[AppT, Delivery] = WeakKeyDictionary()


class Gate(enum.Enum):
    """How far a rebalance has come, as far as the inputs are concerned; they are fetched only when it is open.

    Faust resumes the input partitions before it seeks them, with the flow already on: what is fetched in between runs
    twice or, once the queues are cleared, not at all.
    """

    CLOSED = enum.auto()
    RESUMED = enum.auto()
    SOUGHT = enum.auto()
    OPEN = enum.auto()


class BatchConsumer(driver.Consumer):
    """Faust's consumer with batches, prefix commits and a gate for the declared input topics."""

    _thread: transport_thread.BatchConsumerThread

    def __init__(self, transport: Any, *arguments: Any, **options: Any) -> None:
        self._delivery = deliveries.get(transport.app, Delivery())
        self._gate = Gate.CLOSED
        self._held: set[TP] = set()
        #: Delivered batches that no commit covers yet, oldest first.
        self._delivered: defaultdict[TP, deque[Message]] = defaultdict(deque)
        #: Where the acknowledged prefix ends.
        self._prefix_end: dict[TP, int] = {}
        #: The offset after the last one delivered, or after what is known to hold no records.
        self._delivered_to: dict[TP, int] = {}
        super().__init__(transport, *arguments, **options)

    def position_is_at_end(self, tp: TP) -> bool:
        """Tell whether everything up to the broker's high watermark, as of the last fetch, is with the agent.

        Cheap: a few look-ups, no request. False while it is not known: before the first fetch and during a rebalance.
        """
        if self._gate is not Gate.OPEN or tp not in self._delivered_to:
            return False
        state = self._thread.partition_state(tp)
        if state is None or state.highwater is None or self._delivered_to[tp] < state.highwater:
            return False
        unfinished = self._delivered.get(tp)
        # Faust marks a message as tracked when the stream gives it to the agent.
        return not unfinished or bool(unfinished[-1].tracked)

    @property
    def is_started(self) -> bool:
        """Whether there is a client that could be asked; not while the app starts."""
        return self._thread.has_consumer

    @property
    def membership(self) -> Pulse:
        """What is known of this worker's membership in the consumer group; there once the consumer has started."""
        return self._thread.pulse

    def hold(self, tp: TP) -> None:
        """Fetch no more of an input partition until `release`; what is on its way still arrives (one fetch at most)."""
        self._held.add(tp)

    def release(self, tp: TP) -> None:
        """Fetch a held partition again; does nothing when it was not held."""
        self._held.discard(tp)

    # -- fetching ------------------------------------------------------------------------------------------------

    def _new_consumer_thread(self) -> transport_thread.BatchConsumerThread:
        return transport_thread.BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _in_batches(self, tp: TP) -> bool:
        return tp.topic in self._delivery.topics

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        if active_partitions is None:  # a client without a group has neither gate nor holds
            return await super()._getmany(None, timeout)
        is_open = self._gate is Gate.OPEN
        wanted = {tp for tp in active_partitions if tp not in self._held and (is_open or not self._in_batches(tp))}
        if not wanted:  # aiokafka takes an empty set for all partitions
            await self.sleep(transport_thread.POLL_S)
            return {}
        return await super()._getmany(wanted, min(timeout, transport_thread.POLL_S))

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Fetch once and yield messages, round robin over topics and partitions: batches for inputs, else records."""
        fetched, active = await self._wait_next_records(timeout)
        if fetched is None or self.should_stop:
            return
        self._note_empty(fetched)
        last_offsets = {tp: records[-1].offset for tp, records in fetched.items()}
        put_back: set[TP] = set()
        for found, unit in self.scheduler.iterate(self._in_units(fetched)):
            tp = TP(*found)
            if tp in put_back:
                continue
            if not self._may_deliver(tp, active):
                put_back.add(tp)
                if not self.app.should_stop:
                    first = unit[0] if isinstance(unit, list) else unit
                    await self._thread.call_thread(self._thread.rewind, tp, first.offset)
                continue
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            if not isinstance(unit, list):
                yield tp, self._to_message(tp, unit)
                continue
            message = self._to_batch(tp, unit)
            self._delivered[tp].append(message)
            left_at = self._thread.left_at.get(tp) if message.offset == last_offsets[found] else None
            self._delivered_to[tp] = message.offset + 1 if left_at is None else left_at
            yield tp, message

    def _in_units(self, fetched: Mapping[TP, list[Any]]) -> dict[TP, list[Any]]:
        size = self._delivery.records_per_batch
        return {
            tp: [records[start : start + size] for start in range(0, len(records), size)]
            if self._in_batches(tp)
            else records
            for tp, records in fetched.items()
        }

    def _note_empty(self, fetched: Mapping[TP, list[Any]]) -> None:
        # A partition can move on without records: an empty one that got its first position, a transaction's marker.
        if self._gate is Gate.OPEN:
            for tp, position in self._thread.left_at.items():
                if position is not None and tp not in fetched and self._in_batches(tp):
                    self._delivered_to[tp] = position

    def _may_deliver(self, tp: TP, active: set[TP] | None) -> bool:
        return (
            self.flow_active
            and (active is None or tp in active or tp in self._buffered_partitions)
            and (active is None or self._gate is Gate.OPEN or not self._in_batches(tp))
            and self._thread.is_current(tp)
        )

    def _to_batch(self, tp: TP, records: list[Any]) -> ConsumerMessage:
        last = records[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            {},  # headers and keys are the records' own
            None,
            cast(bytes, records),
            None,
            0,
            len(records),
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:  # noqa: PLR0917 - Faust's signature
        # Between batches, compaction and transaction markers leave holes; a prefix of batches needs no record of them.
        if not self._in_batches(tp):
            await super()._add_gap(tp, offset_from, offset_to)

    # -- the gate ------------------------------------------------------------------------------------------------

    def _reset_state(self) -> None:
        self._gate = Gate.CLOSED
        super()._reset_state()

    def stop_flow(self) -> None:
        """Block delivery; the inputs stay blocked until recovery has sought them and resumed the flow."""
        self._gate = Gate.CLOSED
        super().stop_flow()

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume fetching; of inputs only once they have been sought."""
        resumed = set(tps)
        super().resume_partitions(resumed)
        if self._gate is Gate.CLOSED and any(map(self._in_batches, resumed)):
            self._gate = Gate.RESUMED

    async def perform_seek(self) -> None:
        """Seek to the committed offsets: whatever was delivered before will be delivered again."""
        self._delivered.clear()
        self._prefix_end.clear()
        self._delivered_to.clear()
        await super().perform_seek()
        if self._gate is Gate.RESUMED:
            self._gate = Gate.SOUGHT

    def resume_flow(self) -> None:
        """Allow delivery; Faust clears the agents' queues just before, so the gate may open only now."""
        super().resume_flow()
        if self._gate is Gate.SOUGHT:
            self._gate = Gate.OPEN

    # -- acknowledging and committing ----------------------------------------------------------------------------

    def ack(self, message: Message) -> bool:
        """Mark a message as done; True if it was not before."""
        if message.topic not in self._delivery.topics:
            return super().ack(message)
        with ack_lock:
            if message.acked:
                return False
            message.acked = True
            self._unacked_messages.discard(message)
            self._n_acked += 1
        notify(self._waiting_for_ack)
        return True

    def _filter_tps_with_pending_acks(self, topics: TPorTopicSet | None = None) -> Iterator[TP]:
        # The stream's own acknowledgement writes to Faust's lists, too; for inputs the delivered batches are the truth.
        yield from (tp for tp in super()._filter_tps_with_pending_acks(topics) if not self._in_batches(tp))
        for tp in list(self._delivered):
            if topics is None or tp in topics or tp.topic in topics:
                yield tp

    def _new_offset(self, tp: TP) -> int | None:
        if not self._in_batches(tp):
            return super()._new_offset(tp)
        self._acked.pop(tp, None)
        self._acked_index.pop(tp, None)
        batches = self._delivered[tp]
        # A batch the agent never got can be marked as acknowledged: a stream that skips while the flow is off does so.
        while batches and batches[0].acked and batches[0].tracked:
            self._prefix_end[tp] = batches.popleft().offset + 1
        return self._prefix_end.get(tp)

    async def wait_empty(self) -> None:
        """Let the application settle, then commit what it acknowledged; Faust calls this before it stops streams."""
        if self._thread.has_consumer:  # a start that failed early has nothing to settle
            await self._settle(frozenset(tp for tp in self.assignment() if self._in_batches(tp)))

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Settle and commit before Faust forgets what was acknowledged."""
        inputs = frozenset(tp for tp in revoked if self._in_batches(tp))
        if inputs and not self.app.should_stop:
            self.stop_flow()
            self.app.flow_control.suspend()
            self.app.flow_control.clear()
            await self._settle(inputs)
        for tp in revoked:
            self._held.discard(tp)
            self._delivered.pop(tp, None)
            self._prefix_end.pop(tp, None)
            self._delivered_to.pop(tp, None)
        await super().on_partitions_revoked(revoked)

    async def _settle(self, tps: frozenset[TP]) -> None:
        if self._delivery.settle is not None and tps:
            try:
                await asyncio.wait_for(self._delivery.settle(tps), self._delivery.settle_timeout_s)
            except TimeoutError:
                self.log.error("not settled within %s s: %r", self._delivery.settle_timeout_s, tps)
        # A commit under way was composed before the last acknowledgements.
        await self.maybe_wait_for_commit_to_finish()
        await self.commit_and_end_transactions()
