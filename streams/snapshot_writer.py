"""Writes a partition's snapshots to the changelog, and undoes what somebody else has written there meanwhile.

In come flushed snapshots; out go acknowledged records and a changed local store. A worker that stood still for longer
than its session may, on waking up, still send what it had in hand, over the snapshots of the partition's new owner. The
owner sees that in the offsets: its own records stand one behind the other. The invariant this module protects: after
each call the changelog's newest record of every customer is the one in the owner's store.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from aiokafka.errors import KafkaError
from faust.types import TP
from msgspec import Struct

from needstream.streams import sending
from needstream.streams.metrics import Metrics
from needstream.streams.stores import PartitionStore

Keyed = tuple[bytes, bytes | None]
"""Key and value of a changelog record; None removes the customer."""

PAUSE_S = 1.0
"""Between two attempts to read while the broker is away."""

_LOG = logging.getLogger("needstream.snapshots")


class Found(Struct, frozen=True):
    """The records of a span of the changelog, in order, and the offset behind it."""

    records: list[Keyed]
    end: int


class Read(Protocol):
    """Reads a partition of the changelog."""

    def __call__(self, place: TP, begin: int, *, end: int | None) -> Awaitable[Found]:
        """From offset ``begin`` to before ``end``, None for all there is now."""
        ...


class ChangelogPartition:
    """A partition of the changelog on the broker.

    Args:
        place: topic and partition.
        send: sends records and returns the offset of the last one of each place.
        read: reads records of the place between two offsets.
        confirm: raises where the partition may not be this worker's any more.
    """

    def __init__(
        self,
        place: TP,
        *,
        send: Callable[[Mapping[TP, Sequence[sending.Record]]], Awaitable[Mapping[TP, int]]],
        read: Read,
        confirm: Callable[[], Awaitable[None]],
    ) -> None:
        self._place = place
        self._send = send
        self._read = read
        self._confirm = confirm

    async def append(self, records: Sequence[sending.Record]) -> int:
        """Send records while the partition is this worker's; raises where it is not, before or after."""
        await self._confirm()
        acknowledged = await self._send({self._place: records})
        await self._confirm()
        return acknowledged[self._place]

    async def read(self, begin: int, end: int | None) -> Found:
        """The records from offset ``begin`` to before ``end``, None for all there are now; outlasts faults."""
        while True:
            try:
                return await self._read(self._place, begin, end=end)
            except KafkaError as fault:
                if not sending.is_of_broker(fault):
                    raise
            await asyncio.sleep(PAUSE_S)
            await self._confirm()


class SnapshotWriter:
    """The one writer of a partition's snapshots, for as long as the partition is this worker's."""

    def __init__(self, number: int, store: PartitionStore, *, changelog: ChangelogPartition, metrics: Metrics) -> None:
        self._number = number
        self._store = store
        self._changelog = changelog
        self._metrics = metrics
        through = store.bookmark.through
        #: The offset of the next record, if nobody else writes.
        self._next = 0 if through is None else through + 1

    async def write(self, snapshots: Mapping[str, bytes | None]) -> None:
        """Append snapshots, None for a customer that need not be kept; then change the local store."""
        if not snapshots:
            return
        through = await self._append(snapshots)
        self._store.write(dict(snapshots), through)
        if through - self._next + 1 == len(snapshots):
            self._next = through + 1
        else:
            await self._mend(through + 1)

    async def check(self) -> None:
        """Undo what others wrote since the last write, as before the partition is given up."""
        await self._mend(None)

    async def _mend(self, end: int | None) -> None:
        """Write again what is not the store's among the newest records up to ``end``, until nobody is in between."""
        while True:
            found = await self._changelog.read(self._next, end)
            newest = {key.decode(): value for key, value in found.records}
            kept = {customer_id: self._store.get(customer_id) for customer_id in newest}
            strange = {customer_id: own for customer_id, own in kept.items() if own != newest[customer_id]}
            self._next = found.end
            if not strange:
                break
            self._metrics.fenced_writes.inc(len(strange))
            facts = {"partition": self._number, "customers": len(strange)}
            _LOG.warning("another worker's snapshots were overwritten with the owner's", extra={"facts": facts})
            end = await self._append(strange) + 1
        if self._next:
            self._store.take((), self._next - 1)

    async def _append(self, snapshots: Mapping[str, bytes | None]) -> int:
        records: list[sending.Record] = [
            (customer_id.encode(), stored, (), None) for customer_id, stored in snapshots.items()
        ]
        return await self._changelog.append(records)
