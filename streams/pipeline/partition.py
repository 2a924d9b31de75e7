"""One partition: its customers' states, their alarms, its merge order and its watermark.

The pure heart of both shells: the worker feeds it from Kafka, replay from files. States come from and go to a
``StateStore`` as bytes; between two calls of ``flush`` the touched ones are kept as values, so that each is written
once however many events it saw.
"""

from collections.abc import Container, Iterator, Sequence
from typing import Protocol

from needstream.models.scorer import Scorer
from needstream.schemas import state as states
from needstream.schemas.identities import History
from needstream.schemas.state import CustomerState
from needstream.streams.pipeline import deduplicator, erasure, identities, timers
from needstream.streams.pipeline.alarms import NEVER_MS, Alarms
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.emissions import DuplicateEvent, Emission, LateEvent
from needstream.streams.pipeline.inputs import Arrival, Tick
from needstream.streams.pipeline.live_states import MOST_LIVE, LiveStates
from needstream.streams.pipeline.merger import Merger
from needstream.streams.pipeline.occasions import Knowledge
from needstream.streams.pipeline.parking import Parking
from needstream.streams.pipeline.step import step
from needstream.streams.pipeline.watermark import Watermark

_ALL = 2**62


class StateStore(Protocol):
    """Where states rest: state key to snapshot bytes."""

    def get(self, customer_id: str) -> bytes | None:
        """The stored snapshot, None for an unknown customer."""
        ...

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Every stored snapshot."""
        ...


class Partition:
    """Applies inputs in merge order and rings alarms as event time passes.

    A partition over a store that is not empty must ``admit`` every stored snapshot before it applies anything.

    Args:
        topics: what is merged, in merge rank.
        store: read only; the shell writes what ``flush`` returns before it asks for the next emission, or gives the
            partition up.
        most_live: how many stored states stay decoded.
    """

    def __init__(
        self,
        topics: Sequence[str],
        definitions: Definitions,
        *,
        scorer: Scorer,
        store: StateStore,
        most_live: int = MOST_LIVE,
    ) -> None:
        self.definitions = definitions
        self.merger = Merger(topics, definitions.allowed_lateness_ms)
        self.watermark = Watermark(definitions.allowed_lateness_ms)
        self.in_work: Arrival | None = None
        self._knowledge = Knowledge(definitions, scorer)
        self._live = LiveStates(store, most=most_live)
        self._touched: dict[str, CustomerState | None] = {}
        self._alarms = Alarms()
        self._parking = Parking()
        self._taken: list[Arrival] = []
        self._rung: set[str] = set()
        self._flushed_at = (self.watermark.newest_ms, self.watermark.at_ms)
        self._dropped: set[tuple[str, int]] = set()

    def admit(self, customer_id: str, stored: bytes) -> None:
        """Take note of a stored snapshot: its alarms ring when their time comes.

        Time goes on from where it was when the last round was complete. A crash may have kept some snapshots of the
        round after it; their customers' times say nothing about what the others have still to be given again.

        Raises:
            StateVersionError: the snapshot cannot be read.
        """
        if customer_id == states.PARTITION_KEY:
            reached = states.restore_partition(stored)
            self.watermark.newest_ms, self.watermark.at_ms = reached.newest_ms, reached.watermark_ms
            self._flushed_at = (reached.newest_ms, reached.watermark_ms)
            return
        self._schedule(customer_id, states.restore(stored))

    def push(self, arrival: Arrival) -> None:
        """Take in a decoded event; ``advance`` applies it when its turn has come."""
        self.merger.push(arrival)

    def advance(self, at_end: Container[str], *, most: int = _ALL) -> Iterator[Emission]:
        """Apply what may be applied, in order, with the alarms in between.

        The iterator does the work: take everything it yields before the next call of any method but ``push``.

        Args:
            at_end: the topics that have nothing more to read now.
            most: take at most so many steps, each an event or an alarm; the rest stays for the next call.
        """
        released = self.merger.release(at_end)
        watermark, alarms, parking, taken = self.watermark, self._alarms, self._parking, self._taken
        for _ in range(most):
            self.in_work = None
            if watermark.at_ms is not None and alarms.next_ms <= watermark.at_ms:
                alarm = alarms.pop_due(watermark.at_ms)
                if alarm is not None:
                    yield from self._ring(*alarm)
                    continue
            arrival = next(released, None)
            if arrival is None:
                return
            taken.append(arrival)
            if arrival.key in parking.customers or self._dropped or type(arrival.event) is History:
                emissions = self._take(arrival)
            else:
                emissions = self._apply(arrival)
            if emissions:
                yield from emissions
            watermark.observe(arrival.at_ms)
        self.in_work = None

    def tick(self, at_ms: int) -> None:
        """Let event time pass to ``at_ms`` without events, as an idle partition needs; alarms ring in ``advance``.

        Time does not pass events that are still held back; their alarms ring before them.
        """
        earliest_ms = self.merger.earliest_ms
        self.watermark.tick(at_ms if earliest_ms is None else min(at_ms, earliest_ms))

    @property
    def waiting(self) -> int:
        """How many events are held back, for merge order or for a visitor's history."""
        return len(self.merger) + len(self._parking)

    @property
    def is_ringing(self) -> bool:
        """Whether an alarm is due now."""
        return self.watermark.at_ms is not None and self._alarms.next_ms <= self.watermark.at_ms

    @property
    def awaiting(self) -> list[str]:
        """The customers whose events wait for a visitor's history."""
        return self._parking.keys()

    def stop_awaiting(self, customer_id: str) -> list[Emission]:
        """Go on without the history a customer's events wait for; one that comes later is still taken in."""
        state = self._state(customer_id)
        if state is not None:
            self._live.take_out(customer_id)
            identities.stop_awaiting(state)
            self._keep(customer_id, state)
        return self._go_on(customer_id)

    def waiting_from(self, topic: str) -> int | None:
        """The lowest offset of the topic that is still held back, None without any."""
        held = (self.merger.waiting_from(topic), self._parking.waiting_from(topic))
        return min((offset for offset in held if offset is not None), default=None)

    def flush(self) -> dict[str, bytes | None]:
        """Snapshots of every customer touched since the last flush; None for one that need not be kept.

        The last one is the partition's own: where it is stored, all before it are.
        """
        settled_to: dict[int, int] = {}
        snapshots: dict[str, bytes | None] = {}
        for customer_id, state in self._touched.items():
            if state is None:
                snapshots[customer_id] = None
                continue
            for origin, known in state.applied.items():
                if len(known) == 1:
                    continue  # folded already
                if origin not in settled_to:
                    settled_to[origin] = self._settled_to(states.ORIGINS[origin])
                deduplicator.settle(state, origin, settled_to=settled_to[origin])
            snapshots[customer_id] = states.snapshot(state)
            self._live.keep(customer_id, state)
        if snapshots:
            snapshots[states.PARTITION_KEY] = self._own_snapshot()
        self._touched = {}
        self._taken, self._rung = [], set()
        self._flushed_at = (self.watermark.newest_ms, self.watermark.at_ms)
        return snapshots

    def _settled_to(self, topic: str) -> int:
        """The offset before which every record of the topic has been read and waits for nothing.

        After a crash a state may hold records that come only now: what has not been read again yet settles nothing.
        """
        waiting_from, read_to = self.waiting_from(topic), self.merger.read_to(topic)
        return read_to if waiting_from is None else min(waiting_from, read_to)

    def _own_snapshot(self) -> bytes:
        """How far time has come, but not past an event that waits for a history: a crash has it read again."""
        newest_ms, watermark_ms, parked_ms = self.watermark.newest_ms, self.watermark.at_ms, self._parking.earliest_ms
        if parked_ms is not None and newest_ms is not None and watermark_ms is not None:
            newest_ms = min(newest_ms, parked_ms)
            watermark_ms = min(watermark_ms, parked_ms - self.definitions.allowed_lateness_ms)
        return states.partition_snapshot(newest_ms, watermark_ms)

    def rollback(self) -> None:
        """Undo everything since the last flush: what was applied is held back again, as after a crash."""
        self.watermark.newest_ms, self.watermark.at_ms = self._flushed_at
        concerned = {*self._touched, *self._rung, *self._parking.keys(), *(arrival.key for arrival in self._taken)}
        again = [*self._taken, *self._parking.clear()]
        self._touched, self._taken, self._rung = {}, [], set()
        for customer_id in sorted(concerned):
            state = self._state(customer_id)
            if state is not None:
                self._schedule(customer_id, state)
        for arrival in {(arrival.topic, arrival.offset): arrival for arrival in again}.values():
            self.merger.push(arrival)

    def drop(self, arrival: Arrival) -> None:
        """Never apply this record: it makes the step fail each time."""
        self._dropped.add((arrival.topic, arrival.offset))

    def _take(self, arrival: Arrival) -> list[Emission]:
        if (arrival.topic, arrival.offset) in self._dropped:
            return []
        if not isinstance(arrival.event, History):
            if arrival.key in self._parking:
                self._parking.park(arrival)
                return []
            return self._apply(arrival)
        return [*self._apply(arrival), *self._go_on(arrival.key)]

    def _go_on(self, customer_id: str) -> list[Emission]:
        """Apply what waited for the customer, as far as nothing else must be waited for."""
        emissions: list[Emission] = []
        state = self._state(customer_id)
        if state is not None and identities.is_awaiting(state):
            return emissions
        parked = self._parking.leave(customer_id)
        self._taken += parked
        for place, arrival in enumerate(parked):
            if customer_id in self._parking:
                self._parking.park(*parked[place:])
                break
            emissions += self._apply(arrival)
        if state is not None and customer_id not in self._parking:
            self._schedule(customer_id, state)
        return emissions

    def _apply(self, arrival: Arrival) -> list[Emission]:
        self.in_work = arrival
        key, origin, offset = arrival.key, states.PLACES[arrival.topic], arrival.offset
        touched = self._touched.get(key)
        state = touched or self._state(key) or self._newcomer(arrival)
        # What happened before the erasure belongs to what was to be forgotten.
        if arrival.at_ms < state.erased_ms and not deduplicator.applied(state, origin, offset=offset):
            return [LateEvent(arrival.event.event_id, state.erased_ms - arrival.at_ms)]
        if not deduplicator.mark_applied(state, origin, offset=offset):
            return [DuplicateEvent(arrival.event.event_id)]
        if touched is None:
            self._live.take_out(key)
        changed, emissions = step(state, arrival, knowledge=self._knowledge)
        if changed is not None and changed is touched:
            self._schedule(key, changed)
            return emissions
        if changed is not None:
            self._keep(changed.customer_id, changed)
        if changed is None or changed.customer_id != key:
            # What remains of somebody erased has a key of its own, and is stored before the rest is removed: a crash
            # in between erases again, the other way round it would not know what to keep out.
            self._touched.pop(key, None)
            self._keep(key, None)
        return emissions

    def _newcomer(self, arrival: Arrival) -> CustomerState:
        marker = self._state(erasure.marker_key(arrival.key))
        return erasure.reborn(arrival.key, arrival.at_ms, marker=marker)

    def _ring(self, due_ms: int, customer_id: str) -> list[Emission]:
        self._rung.add(customer_id)
        if customer_id in self._parking:
            return []  # rings when the customer's events go on
        state = self._state(customer_id)
        if state is None:
            return []
        if not timers.is_due(state, due_ms):
            self._schedule(customer_id, state)
            return []
        self._live.take_out(customer_id)
        changed, emissions = step(state, Tick(due_ms), knowledge=self._knowledge)
        self._keep(customer_id, changed)
        return emissions

    def _state(self, customer_id: str) -> CustomerState | None:
        if customer_id in self._touched:
            return self._touched[customer_id]
        return self._live.get(customer_id)

    def _keep(self, customer_id: str, state: CustomerState | None) -> None:
        self._touched[customer_id] = state
        if state is not None:
            self._schedule(customer_id, state)

    def _schedule(self, customer_id: str, state: CustomerState) -> None:
        if state.devices and identities.is_awaiting(state):
            self._parking.enter(customer_id)
            return
        known_ms = self._alarms.due_ms.get(customer_id, NEVER_MS)
        # Mostly an alarm was put off: the customer is woken too early once, and looked at then.
        if timers.is_due(state, known_ms - 1) and (due_ms := timers.next_due_ms(state)) is not None:
            self._alarms.schedule(customer_id, due_ms)
