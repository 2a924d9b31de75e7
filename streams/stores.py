"""One partition's snapshots on this machine, in memory or in RocksDB, and how far they follow the changelog.

In come acknowledged snapshots with their changelog offset, and records read back from the changelog; out go snapshots
by customer. Invariant: snapshots and the offset they are good for change together, in one write; the offset never
covers a record of the changelog that is not in the store.
"""

import contextlib
import errno
import os
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import msgspec
import rocksdict
from msgspec import Struct

from needstream.schemas import state as states

#: Where Faust keeps the offset in a RocksDB of its own, and in the same format: decimal digits.
OFFSET_KEY = b"__faust\0offset__"
IN_STEP_KEY = b"__needstream\0in-step__"
CHANGELOG_KEY = b"__needstream\0changelog__"
_OWN_KEYS = frozenset({OFFSET_KEY, IN_STEP_KEY, CHANGELOG_KEY})

#: A file of this name in a store's folder: reading it failed, do not trust it again.
MARK = "DAMAGED"
WRITE_BUFFER_BYTES = 32 * 1024**2
CACHE_BYTES = 128 * 1024**2
"""Blocks of all partitions share one cache of this size."""
VERIFIED_AT_ONCE = 5_000

_CACHE = rocksdict.Cache(CACHE_BYTES)


class StoreRefused(RuntimeError):
    """Raised when local state cannot be used as things are; names the folder and what to do. Nothing was changed."""


class StoreDamaged(RuntimeError):
    """Raised when RocksDB cannot read what it wrote; names the folder. The changelog has everything."""


class Bookmark(Struct, frozen=True):
    """What a store says of itself.

    Attributes:
        through: the changelog offset through which everything is in; None for never.
        in_step_ms: when the store was last known to hold all of the changelog, milliseconds since the epoch.
        changelog: the topic's name and, if the cluster tells, its id.
    """

    through: int | None = None
    in_step_ms: int | None = None
    changelog: str = ""


class PartitionStore(ABC):
    """One partition's snapshots, by customer."""

    bookmark: Bookmark

    @abstractmethod
    def get(self, customer_id: str) -> bytes | None:
        """The stored snapshot, None for an unknown customer."""

    @abstractmethod
    def items(self) -> Iterator[tuple[str, bytes]]:
        """Every stored snapshot; raises at the end at the latest if some could not be read."""

    @abstractmethod
    def _put(self, records: Iterable[tuple[bytes, bytes | None]], bookmark: Bookmark) -> None:
        """Change snapshots and bookmark together."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is held; the store is of no use afterwards."""

    @property
    def is_new(self) -> bool:
        """Whether there is nothing in it that could be wrong."""
        return self.bookmark.through is None and next(self.items(), None) is None

    def write(self, snapshots: dict[str, bytes | None], through: int) -> None:
        """Take over what is acknowledged in the changelog; None removes a customer.

        The bookmark moves only if these are the records next to it. If others are in between, of a repeated send or of
        a worker that took this partition for its own, it stays, and the next restore reads them all.

        Args:
            snapshots: in the order they were sent, one record each.
            through: the changelog offset of the last one.
        """
        bookmark = self.bookmark
        follows = -1 if bookmark.through is None else bookmark.through
        if through - follows == len(snapshots):
            bookmark = Bookmark(through, _now_ms(), bookmark.changelog)
        self._put(((customer_id.encode(), stored) for customer_id, stored in snapshots.items()), bookmark)

    def take(self, records: Iterable[tuple[bytes, bytes | None]], through: int) -> None:
        """Take over records read from the changelog, in its order; ``through`` is the offset of the last one."""
        self._put(records, Bookmark(through, self.bookmark.in_step_ms, self.bookmark.changelog))

    def note_in_step(self, through: int | None, *, at_ms: int, changelog: str) -> None:
        """Note that the store held all of ``changelog`` at that time, which then ended with offset ``through``."""
        self._put((), Bookmark(through, at_ms, changelog))

    def verify(self) -> Iterator[int]:
        """Read everything once: checksums and versions; yields the count now and then, so that others get a turn.

        Raises:
            StoreDamaged: RocksDB cannot read it.
            StateVersionError: a state that this program cannot read.
        """
        for count, (_, stored) in enumerate(self.items(), 1):
            check_version(stored)
            if count % VERIFIED_AT_ONCE == 0:
                yield count


class MemoryPartition(PartitionStore):
    """Snapshots in a dictionary; gone with the process."""

    def __init__(self) -> None:
        self.bookmark = Bookmark()
        self._stored: dict[bytes, bytes] = {}

    def get(self, customer_id: str) -> bytes | None:
        """The stored snapshot, None for an unknown customer."""
        return self._stored.get(customer_id.encode())

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Every stored snapshot."""
        for key, stored in list(self._stored.items()):
            yield key.decode(), stored

    def close(self) -> None:
        """Forget everything."""
        self._stored = {}

    def _put(self, records: Iterable[tuple[bytes, bytes | None]], bookmark: Bookmark) -> None:
        for key, stored in records:
            if stored is None:
                self._stored.pop(key, None)
            else:
                self._stored[key] = stored
        self.bookmark = bookmark


class RocksPartition(PartitionStore):
    """Snapshots in a RocksDB of their own.

    Raises:
        StoreDamaged: it cannot be opened, or was marked.
        StoreRefused: another process has it, the disk is full, or the like.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reading: weakref.WeakSet[Generator[tuple[str, bytes], None, None]] = weakref.WeakSet()
        if (path / MARK).exists():
            raise self._damaged(cause="it was marked while a worker ran")
        if next(path.glob("*.sst"), None) is not None and not (path / "CURRENT").exists():
            # RocksDB would begin a new, empty one among the old files.
            raise self._damaged(cause="its file CURRENT is missing")
        try:
            self._db = rocksdict.Rdict(str(path), options=_options())
            self.bookmark = self._read_bookmark()
        except Exception as error:  # rocksdict has no class of its own
            raise self._fault(error) from None

    def get(self, customer_id: str) -> bytes | None:
        """The stored snapshot, None for an unknown customer."""
        try:
            found: bytes | None = self._db.get(customer_id.encode())
        except Exception as error:  # rocksdict has no class of its own
            raise self._fault(error) from None
        return found

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Every stored snapshot, in the order of the customers' ids; ends when the store is closed."""
        reading = self._items()
        self._reading.add(reading)
        return reading

    def _items(self) -> Generator[tuple[str, bytes], None, None]:
        # Not `Rdict.items`: where a block cannot be read, that one ends as if there were no more.
        cursor = self._db.iter()
        cursor.seek_to_first()
        while cursor.valid():
            key = cursor.key()
            if key not in _OWN_KEYS:
                yield key.decode(), cursor.value()
            cursor.next()
        try:
            cursor.status()
        except Exception as error:  # rocksdict has no class of its own
            raise self._fault(error) from None

    def close(self) -> None:
        """Write out what is in memory and release the folder."""
        # Whoever still reads would keep RocksDB open, and with it the lock on the folder.
        for reading in list(self._reading):
            reading.close()
        # On a full disk the last flush fails. What it would have written stands in RocksDB's own log, and in the
        # changelog: not worth an error that would stand before the one which stopped the worker.
        with contextlib.suppress(Exception):
            self._db.close()
        del self._db

    def _put(self, records: Iterable[tuple[bytes, bytes | None]], bookmark: Bookmark) -> None:
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, stored in records:
            if stored is None:
                batch.delete(key)
            else:
                batch.put(key, stored)
        if bookmark.through is not None:
            batch.put(OFFSET_KEY, b"%d" % bookmark.through)
        if bookmark.in_step_ms is not None:
            batch.put(IN_STEP_KEY, b"%d" % bookmark.in_step_ms)
        batch.put(CHANGELOG_KEY, bookmark.changelog.encode())
        try:
            self._db.write(batch)
        except Exception as error:  # rocksdict has no class of its own
            raise self._fault(error) from None
        self.bookmark = bookmark

    def _read_bookmark(self) -> Bookmark:
        through, in_step, changelog = (self._db.get(key) for key in (OFFSET_KEY, IN_STEP_KEY, CHANGELOG_KEY))
        return Bookmark(
            None if through is None else int(through),
            None if in_step is None else int(in_step),
            (changelog or b"").decode(),
        )

    def _fault(self, error: Exception) -> RuntimeError:
        told = str(error)
        if "lock hold by" in told or "While lock file" in told:
            return StoreRefused(
                f"{self.path} is in use by another process: stop that one, or give each worker its own "
                "NEEDSTREAM_DATA_DIR"
            )
        for number, remedy in _REMEDIES.items():
            if os.strerror(number) in told:
                return StoreRefused(f"{self.path}: {os.strerror(number)}: {remedy}")
        return self._damaged(cause=told.partition(":")[0])

    def _damaged(self, *, cause: str) -> StoreDamaged:
        with contextlib.suppress(OSError):  # the next start reads everything anyway
            (self.path / MARK).touch()
        return StoreDamaged(
            f"the local store {self.path} is damaged ({cause}); the next start moves it aside and rebuilds it from the "
            "changelog"
        )


_RESUME = "then start again; nothing is lost, the changelog has what is missing here"
_REMEDIES = {
    errno.ENOSPC: f"free some space, {_RESUME}",
    errno.EFBIG: f"raise the limit of file sizes (ulimit -f), {_RESUME}",
    errno.EDQUOT: f"raise the quota, {_RESUME}",
    errno.EROFS: f"mount it writable, {_RESUME}",
    errno.EACCES: f"give the worker's user the right to write there, {_RESUME}",
    errno.ENOMEM: f"give the worker more memory, {_RESUME}",
    errno.EMFILE: f"raise the limit of open files (ulimit -n), {_RESUME}",
    errno.EIO: f"look after the disk, {_RESUME}",
}


class _Head(Struct, array_like=True):
    version: int


_HEAD = msgspec.msgpack.Decoder(_Head)


def check_version(stored: bytes) -> None:
    """Return if this program reads states of that version; costs a fraction of reading one.

    Raises:
        StateVersionError: it does not; names both versions and what to do.
    """
    try:
        known = states.OLDEST_READ <= _HEAD.decode(stored).version <= states.STATE_VERSION
    except (ValueError, RecursionError):
        known = False
    if not known:
        states.restore(stored)


def _options() -> rocksdict.Options:
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_paranoid_checks(True)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_compression_type(rocksdict.DBCompressionType.lz4())
    options.set_keep_log_file_num(2)
    tables = rocksdict.BlockBasedOptions()
    tables.set_block_cache(_CACHE)
    tables.set_bloom_filter(10, block_based=False)
    options.set_block_based_table_factory(tables)
    return options


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
