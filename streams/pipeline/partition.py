"""One partition: its customers' states, their alarms, its merge order and its watermark.

The pure heart of both shells: the worker feeds it from Kafka, replay from files. States come from and go to a
``StateStore`` as bytes; between two calls of ``flush`` the touched ones are kept as values, so that each is written
once however many events it saw.
"""

from collections.abc import Container, Iterator, Sequence
from itertools import islice
from typing import Protocol

from needstream.models.scorer import Scorer
from needstream.schemas import state as states
from needstream.schemas.state import CustomerState
from needstream.streams.pipeline import deduplicator, timers
from needstream.streams.pipeline.alarms import Alarms
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.emissions import DuplicateEvent, Emission
from needstream.streams.pipeline.inputs import Arrival, Tick
from needstream.streams.pipeline.merger import Merger
from needstream.streams.pipeline.occasions import Knowledge
from needstream.streams.pipeline.step import step
from needstream.streams.pipeline.watermark import Watermark


class StateStore(Protocol):
    """Where states rest: customer id to snapshot bytes."""

    def get(self, customer_id: str) -> bytes | None:
        """The stored snapshot, None for an unknown customer."""
        ...

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Every stored snapshot."""
        ...


class Partition:
    """Applies inputs in merge order and rings alarms as event time passes.

    Args:
        topics: the co-partitioned inputs, in merge rank.
        store: read only; the shell writes what ``flush`` returns before it asks for the next emission.
    """

    def __init__(self, topics: Sequence[str], definitions: Definitions, *, scorer: Scorer, store: StateStore) -> None:
        self.definitions = definitions
        self.merger = Merger(topics, definitions.allowed_lateness_ms)
        self.watermark = Watermark(definitions.allowed_lateness_ms)
        self._knowledge = Knowledge(definitions, scorer)
        self._store = store
        self._touched: dict[str, CustomerState | None] = {}
        self._alarms = Alarms()
        for customer_id, stored in store.items():
            state = states.restore(stored)
            self.watermark.observe(state.clock_ms)
            self._schedule(customer_id, state)

    def push(self, arrival: Arrival) -> None:
        """Take in a decoded event; ``advance`` applies it when its turn has come."""
        self.merger.push(arrival)

    def advance(self, at_end: Container[str], *, most: int | None = None) -> Iterator[Emission]:
        """Apply what may be applied, in order, with the alarms in between.

        The iterator does the work: take everything it yields before the next call of any method.

        Args:
            at_end: the topics that have nothing more to read now.
            most: apply at most so many events; the rest stays for the next call.
        """
        for arrival in islice(self.merger.release(at_end), most):
            yield from self._apply(arrival)
            yield from self._ring(self.watermark.observe(arrival.at_ms))

    def tick(self, at_ms: int) -> Iterator[Emission]:
        """Let event time pass to ``at_ms`` without events, as an idle partition needs.

        Time does not pass events that are still held back; their alarms ring before them, in ``advance``.
        """
        earliest_ms = self.merger.earliest_ms
        self.watermark.tick(at_ms if earliest_ms is None else min(at_ms, earliest_ms))
        if self.watermark.at_ms is not None:
            yield from self._ring(self.watermark.at_ms)

    def flush(self) -> dict[str, bytes | None]:
        """Snapshots of every customer touched since the last flush; None for one that need not be kept."""
        waiting_from: dict[str, int | None] = {}
        snapshots: dict[str, bytes | None] = {}
        for customer_id, state in self._touched.items():
            if state is None:
                snapshots[customer_id] = None
                continue
            for origin in state.applied:
                if origin not in waiting_from:
                    waiting_from[origin] = self.merger.waiting_from(origin.rpartition("-")[0])
                deduplicator.settle(state, origin, waiting_from=waiting_from[origin])
            snapshots[customer_id] = states.snapshot(state)
        self._touched = {}
        return snapshots

    def _apply(self, arrival: Arrival) -> list[Emission]:
        state = self._state(arrival.key) or states.new_customer(arrival.key, arrival.at_ms)
        origin = f"{arrival.topic}-{arrival.partition}"
        if deduplicator.applied(state, origin, offset=arrival.offset):
            return [DuplicateEvent(arrival.event.event_id)]
        changed, emissions = step(state, arrival, knowledge=self._knowledge)
        if changed is not None:
            deduplicator.mark_applied(changed, origin, offset=arrival.offset)
        self._keep(arrival.key, changed)
        return emissions

    def _ring(self, until_ms: int) -> Iterator[Emission]:
        while (alarm := self._alarms.pop_due(until_ms)) is not None:
            due_ms, customer_id = alarm
            state = self._state(customer_id)
            if state is None:
                continue
            next_ms = timers.next_due_ms(state)
            if next_ms is None or next_ms > due_ms:
                self._schedule(customer_id, state)
                continue
            changed, emissions = step(state, Tick(due_ms), knowledge=self._knowledge)
            self._keep(customer_id, changed)
            yield from emissions

    def _state(self, customer_id: str) -> CustomerState | None:
        if customer_id in self._touched:
            return self._touched[customer_id]
        stored = self._store.get(customer_id)
        return states.restore(stored) if stored is not None else None

    def _keep(self, customer_id: str, state: CustomerState | None) -> None:
        self._touched[customer_id] = state
        if state is not None:
            self._schedule(customer_id, state)

    def _schedule(self, customer_id: str, state: CustomerState) -> None:
        due_ms = timers.next_due_ms(state)
        if due_ms is not None:
            self._alarms.schedule(customer_id, due_ms)
