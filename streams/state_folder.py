"""The folder of local state: who may use it, which partitions lie in it, and what happens to a damaged one.

In comes ``NEEDSTREAM_DATA_DIR``; out come opened stores. Invariant: one worker at a time, and nothing in a folder that
was damaged or went stale is ever read as state again.
"""

import fcntl
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import IO

from needstream.streams.stores import RocksPartition, StoreRefused

LOCK = "worker.lock"
ELSEWHERE = "or set NEEDSTREAM_DATA_DIR to another folder"


class StateFolder:
    """Local state below ``directory``, one folder per partition, where Faust would have it."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self._tables = directory / "v1" / "tables"
        self._name = name
        self._lock: IO[str] | None = None

    def prepare(self) -> None:
        """Make the folder, try to write in it, and keep it for this process until ``close``.

        Raises:
            StoreRefused: that is not possible; names the folder and what to do.
        """
        self.check()
        self._take()

    def check(self) -> None:
        """Make the folder and try to write in it; raises as ``prepare``."""
        try:
            self._tables.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._tables) as probe:
                # A full disk or quota shows with bytes, not with a name.
                probe.write(bytes(4096))
                probe.flush()
                os.fsync(probe.fileno())
        except (FileExistsError, NotADirectoryError):
            msg = f"NEEDSTREAM_DATA_DIR={self.directory} is not a folder, or part of it is a file: move the file away, "
            raise StoreRefused(msg + ELSEWHERE) from None
        except OSError as error:
            msg = f"NEEDSTREAM_DATA_DIR={self.directory} cannot be written to ({error.strerror}): correct that, "
            raise StoreRefused(msg + ELSEWHERE) from None

    def _take(self) -> None:
        lock = (self.directory / LOCK).open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            msg = (
                f"NEEDSTREAM_DATA_DIR={self.directory} is in use by another worker: stop that one, or give each worker "
                "a folder of its own"
            )
            raise StoreRefused(msg) from None
        self._lock = lock

    def close(self) -> None:
        """Let others use the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def path(self, partition: int) -> Path:
        """Where a partition's store is, or would be."""
        return self._tables / f"{self._name}-{partition}.db"

    def partitions(self) -> list[int]:
        """The partitions that have a store here."""
        pattern = re.compile(rf"{re.escape(self._name)}-(\d+)\.db")
        return sorted(int(found[1]) for path in self._tables.iterdir() if (found := pattern.fullmatch(path.name)))

    def open(self, partition: int) -> RocksPartition:
        """Open a partition's store, a new one if there is none; raises as the store does."""
        return RocksPartition(self.path(partition))

    def set_aside(self, partition: int) -> Path:
        """Move a damaged store out of the way, in place of one moved before, and return where it is."""
        path = self.path(partition)
        earlier = {
            int(found.name.rpartition("-")[2]): found
            for found in self._tables.glob(f"{path.name}.damaged-*")
            if found.name.rpartition("-")[2].isdigit()
        }
        aside = path.with_name(f"{path.name}.damaged-{max(earlier, default=0) + 1}")
        path.rename(aside)
        for found in earlier.values():
            shutil.rmtree(found)
        return aside

    def discard(self, partition: int) -> None:
        """Remove a partition's store."""
        path = self.path(partition)
        if path.exists():
            # Renamed first: half a removed store must not be opened if this process ends in between.
            gone = path.with_name(f"{path.name}.discarded")
            shutil.rmtree(gone, ignore_errors=True)
            path.rename(gone)
            shutil.rmtree(gone)
