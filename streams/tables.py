"""The customer table: Faust assigns its partitions with the inputs', the states behind them are kept and restored here.

Faust declares the table, places its changelog's partitions beside the inputs' and waits for their recovery. The states
lie in `stores`, and what a store lacks is read from the changelog in bulk: Faust's own recovery takes each record
through its streams, and takes a store as it finds it. Faust's private names of its tables are used here and nowhere
else.

Invariant: a partition's inputs are delivered only once its store holds all of the changelog, and a store that may lack
a removal is never completed but made anew.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any

import faust
from aiokafka.errors import IllegalStateError
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from mode import Service

from needstream.streams import changelog
from needstream.streams.state_folder import StateFolder
from needstream.streams.stores import (
    Bookmark,
    MemoryPartition,
    PartitionStore,
    RocksPartition,
    StoreDamaged,
    check_version,
)

STANDBY_POLL_S = 2.0
REPORT_S = 10.0
NAME = changelog.TABLE
#: A store is made anew before the removals it lacks may have vanished; clocks and reading take their part of the time.
TRUSTED_SHARE = 0.9

_LOG = logging.getLogger("needstream.tables")


def stale(bookmark: Bookmark, extent: changelog.Extent, *, facts: changelog.Facts, now_ms: int) -> str | None:
    """Why a store must not be completed from the changelog but made anew; None if it may."""
    if bookmark.through is None:
        return "it does not say how far it follows the changelog"
    if bookmark.changelog and bookmark.changelog != facts.identity:
        return "it follows another changelog, or the changelog was made anew"
    if bookmark.through >= extent.end:
        return "it is ahead of the changelog, which was made anew or cut off"
    missed = bookmark.through + 1
    if missed < extent.begin:
        return "the changelog no longer has the records it lacks"
    trusted_ms = facts.delete_retention_ms * TRUSTED_SHARE
    if missed < extent.end and (bookmark.in_step_ms is None or now_ms - bookmark.in_step_ms >= trusted_ms):
        return "it was away for so long that removals it lacks may have vanished from the changelog"
    return None


class CustomerStates:
    """The stores of this worker's partitions.

    Args:
        broker: where the changelog is.
        app_id: names the changelog.
        folder: where stores lie; None keeps states in memory.
        partitions: how many partitions the inputs have.
    """

    def __init__(self, broker: str, app_id: str, *, folder: StateFolder | None, partitions: int) -> None:
        self.changelog = changelog.name(app_id)
        self.restored: dict[int, int] = {}
        self._broker = broker
        self._app_id = app_id
        self._folder = folder
        self._partitions = partitions
        self._facts = changelog.Facts(self.changelog, "", 0)
        self._open: dict[int, PartitionStore] = {}
        self._restoring = asyncio.Lock()

    async def prepare(self) -> None:
        """Before the app starts: make and check the topic, take the folder, read what is in it once.

        Raises:
            StoreRefused, TopicsRefused: a worker must not start like this; nothing was changed.
            StateVersionError: a state was written by a release this one does not know; nothing was changed.
        """
        if self._folder is not None:
            self._folder.prepare()
        self._facts = await asyncio.to_thread(
            changelog.require, self._broker, self._app_id, partitions=self._partitions
        )
        if self._folder is not None:
            for number in self._folder.partitions():
                (await self._open_verified(self._folder, number)).close()

    def partition(self, number: int) -> PartitionStore:
        """The store of a restored partition."""
        return self._open[number]

    async def restore(self, partitions: Iterable[int], *, keep: Iterable[int] = ()) -> None:
        """Complete the stores of these partitions from the changelog and close all others but those to ``keep``.

        While the broker is away it is tried again, for as long as this is awaited.

        Raises:
            StateVersionError: the changelog has a state that this program cannot read.
            KafkaError: a fault that waiting does not mend.
        """
        wanted, kept = sorted(set(partitions)), frozenset(keep)
        await changelog.outlasting(lambda: self._restore(wanted, kept))

    async def _restore(self, wanted: list[int], kept: frozenset[int]) -> None:
        async with self._restoring:
            for number in self._open.keys() - set(wanted) - kept:
                self._open.pop(number).close()
            async with changelog.reader(self._broker, self.changelog) as reader:
                at_ms = time.time_ns() // 1_000_000
                extents = await reader.extents(wanted)
                spans = {}
                for number, extent in extents.items():
                    through = (await self._trusted(number, extent, at_ms=at_ms)).bookmark.through
                    spans[number] = changelog.Extent(
                        extent.begin if through is None else max(extent.begin, through + 1), extent.end
                    )
                await self._read(reader, spans)
                for number, extent in extents.items():
                    through = extent.end - 1 if extent.end else None
                    self._open[number].note_in_step(through, at_ms=at_ms, changelog=self._facts.identity)

    def close(self) -> None:
        """Close every store and let others use the folder."""
        while self._open:
            self._open.popitem()[1].close()
        if self._folder is not None:
            self._folder.close()

    async def _read(self, reader: changelog.Reader, spans: dict[int, changelog.Extent]) -> None:
        counts = dict.fromkeys(spans, 0)
        started_s = reported_s = time.monotonic()
        async for number, records in reader.read(spans):
            if records:
                for record in records:
                    if record.value is not None:
                        check_version(record.value)
                self._open[number].take(((record.key, record.value) for record in records), records[-1].offset)
                counts[number] += len(records)
            if time.monotonic() - reported_s > REPORT_S:
                reported_s = time.monotonic()
                left = sum(span.end - (self._open[each].bookmark.through or 0) - 1 for each, span in spans.items())
                _LOG.info("restoring", extra={"facts": {"records": sum(counts.values()), "offsets_left": left}})
            await asyncio.sleep(0)
        for number, count in counts.items():
            self.restored[number] = self.restored.get(number, 0) + count
        if any(counts.values()):
            by_partition = {str(number): count for number, count in counts.items()}
            seconds = round(time.monotonic() - started_s, 1)
            _LOG.info("states restored", extra={"facts": {"records": by_partition, "seconds": seconds}})

    async def _trusted(self, number: int, extent: changelog.Extent, *, at_ms: int) -> PartitionStore:
        """The partition's open store, made anew if it is stale."""
        if number not in self._open:
            self._open[number] = await self._new_or_verified(number)
        store = self._open[number]
        why = stale(store.bookmark, extent, facts=self._facts, now_ms=at_ms)
        if why is not None and not store.is_new:
            _LOG.warning(
                "local store discarded and rebuilt from the changelog",
                extra={"facts": {"partition": number, "why": why}},
            )
            self._open.pop(number).close()
            if self._folder is not None:
                self._folder.discard(number)
            store = self._open[number] = await self._new_or_verified(number)
        return store

    async def _new_or_verified(self, number: int) -> PartitionStore:
        if self._folder is None:
            return MemoryPartition()
        if self._folder.path(number).exists():
            return await self._open_verified(self._folder, number)
        return self._folder.open(number)

    @staticmethod
    async def _open_verified(folder: StateFolder, number: int) -> RocksPartition:
        """A store all of which can be read; a damaged one is moved aside, and a new one begun in its place."""
        try:
            store = folder.open(number)
            try:
                for _ in store.verify():
                    await asyncio.sleep(0)
            except BaseException:
                store.close()
                raise
        except StoreDamaged as error:
            aside = folder.set_aside(number)
            _LOG.warning(
                "local store damaged; moved aside and rebuilt from the changelog",
                extra={"facts": {"folder": str(aside), "why": str(error)}},
            )
            return folder.open(number)
        return store


class _Recovery(Recovery):
    """Faust's recovery, in which reading the changelog is the stores' business."""

    states: CustomerStates

    # The signals and steps are those of Faust's own, for a table of which nothing is missing.
    @Service.task
    async def _restart_recovery(self) -> None:
        following: asyncio.Future[None] | None = None
        while not self.should_stop:
            stopped = await self.wait_for_stopped(self.signal_recovery_start)  # type: ignore[arg-type]
            if following is not None:
                following.cancel()
            if stopped:
                break
            self.signal_recovery_start.clear()
            generation_id = self._generation_id
            actives = [tp.partition for tp in self.active_tps]
            standbys = [tp.partition for tp in self.standby_tps]
            try:
                self._set_recovery_started()
                await self._wait(self.states.restore(actives, keep=standbys))
                await self._wait(self.on_recovery_completed(generation_id))
            except (RebalanceAgain, IllegalStateError):
                continue
            except ServiceStopped:
                break
            if standbys:
                following = self.add_future(self._follow(standbys, actives))

    async def _follow(self, standbys: list[int], actives: list[int]) -> None:
        """Keep the stores of standby partitions up to date, until cancelled."""
        while not self.should_stop:
            await self.states.restore(standbys, keep=actives)
            self.tables.on_standbys_ready()
            await self.sleep(STANDBY_POLL_S)

    # Nothing of the changelog comes through Faust's consumer.
    @Service.task
    async def _slurp_changelogs(self) -> None:
        return

    @Service.task
    async def _publish_stats(self) -> None:
        return


def define(app: faust.App, states: CustomerStates, *, partitions: int) -> Any:
    """The table of ``app`` over ``states``; as many partitions as the inputs have."""
    table = app.Table(
        changelog.TABLE,
        key_type=bytes,
        value_type=bytes,
        partitions=partitions,
        help="One versioned snapshot per customer.",
    )
    manager: Any = app.tables
    manager._recovery = _Recovery(app, manager, beacon=manager.beacon)
    manager._recovery.states = states
    return table
