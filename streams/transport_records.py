"""Record batches whose headers may have names that are not UTF-8: Kafka carries them, aiokafka's parser refuses them.

In comes what a consumer of the batch transport fetched; out go the same batches in the same order. aiokafka's compiled
parser reads them; from the first record it refuses for a name, the rest of that batch is read by aiokafka's Python
parser, which decodes names as `NAME_ERRORS` says.

Invariant: such a name costs nothing but itself. Key, value, timestamp, the other headers and all other records are as
without it. Private names of aiokafka are used here and in `transport_thread` only.
"""

from collections.abc import Iterator
from itertools import islice
from types import FunctionType, MethodType
from typing import Any

import aiokafka
from aiokafka.record import default_records, memory_records

NAME_ERRORS = "backslashreplace"
"""A byte that is no UTF-8 becomes four characters, such as ``\\xff``: the name stays text that shows what it was."""


def read_any_header_name(consumer: aiokafka.AIOKafkaConsumer) -> None:
    """Let a started aiokafka consumer give back records whatever bytes the names of their headers are.

    Other consumers of the process stay as they are.
    """
    fetcher = consumer._fetcher
    fetch = type(fetcher)._proc_fetch_request
    # The fetcher asks its module for the parser: a copy of the function with a module of its own asks for ours.
    own: Any = FunctionType(
        fetch.__code__,
        {**fetch.__globals__, "MemoryRecords": AnyRecords},
        fetch.__name__,
        fetch.__defaults__,
        fetch.__closure__,
    )
    fetcher._proc_fetch_request = MethodType(own, fetcher)


class AnyRecords:
    """aiokafka's `MemoryRecords`: the batches of one partition in one answer."""

    def __init__(self, fetched: bytes) -> None:
        self._batches: Any = memory_records._MemoryRecordsPy(fetched)

    def has_next(self) -> bool:
        """Whether there is another batch."""
        return bool(self._batches.has_next())

    def size_in_bytes(self) -> int:
        """The size of the answer, with what may be a part of a batch at its end."""
        return int(self._batches.size_in_bytes())

    def next_batch(self) -> Any:
        """The next batch; None behind the last one."""
        raw = self._batches._next_slice
        batch = self._batches.next_batch()
        # Records of the older formats have no headers.
        return _AnyBatch(batch, raw) if isinstance(batch, default_records.DefaultRecordBatch) else batch


class _AnyBatch:
    """A batch read by the compiled parser for as long as that can."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._batch:
                read += 1
                yield record
        except UnicodeDecodeError:
            pass
        else:
            return
        yield from islice(_tolerant(self._raw), read, None)


def _tolerant(raw: memoryview) -> Iterator[Any]:
    """All records of a batch by the Python parser; it takes a name out of its buffer and asks that part to decode."""
    batch: Any = default_records._DefaultRecordBatchPy(raw)
    batch._maybe_uncompress()
    batch._buffer = _Buffer(batch._buffer)
    return iter(batch)


class _Part(bytearray):
    def decode(self, encoding: str = "utf-8", errors: str = NAME_ERRORS) -> str:
        return super().decode(encoding, errors)


class _Buffer(bytearray):
    def __getitem__(self, place: Any) -> Any:
        found: Any = super().__getitem__(place)
        return _Part(found) if isinstance(place, slice) else found
