"""What a consumer of the batch transport fetched, as records: cheaper than aiokafka's own, and tolerant of any header.

In come fetched batches, out go their records in the same order. aiokafka's compiled parser reads them. Kafka carries
header names that are not UTF-8 and that parser refuses them: a batch with one is read by its Python parser, which
decodes names as `NAME_ERRORS` says.

Invariant: such a name costs nothing but itself. Key, value, timestamp, the other headers and all other records are as
without it. Private names of aiokafka are used here and in `transport_thread` only.
"""

from collections.abc import Iterator
from types import FunctionType, MethodType
from typing import Any

import aiokafka
from aiokafka.consumer import fetcher as fetching
from aiokafka.record import default_records, memory_records
from msgspec import Struct

NAME_ERRORS = "backslashreplace"
"""A byte that is no UTF-8 becomes four characters, such as ``\\xff``: the name stays text that shows what it was."""


class Received(Struct, gc=False):
    """A record as it was fetched, with the names of aiokafka's `ConsumerRecord`, which costs four times as much."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    @property
    def checksum(self) -> None:
        """None: only the oldest formats had one."""
        return

    @property
    def serialized_key_size(self) -> int:
        """Bytes of the key, -1 without one."""
        return -1 if self.key is None else len(self.key)

    @property
    def serialized_value_size(self) -> int:
        """Bytes of the value, -1 without one."""
        return -1 if self.value is None else len(self.value)


def receive(consumer: aiokafka.AIOKafkaConsumer) -> None:
    """Let a started aiokafka consumer give back `Received` records whatever bytes the names of their headers are.

    Other consumers of the process stay as they are.
    """
    fetcher = consumer._fetcher
    fetch = type(fetcher)._proc_fetch_request
    # The fetcher asks its module for its parsers: a copy of the function with a module of its own asks for ours.
    own: Any = FunctionType(
        fetch.__code__,
        {**fetch.__globals__, "MemoryRecords": AnyRecords, "PartitionRecords": ReceivedRecords},
        fetch.__name__,
        fetch.__defaults__,
        fetch.__closure__,
    )
    fetcher._proc_fetch_request = MethodType(own, fetcher)


class ReceivedRecords(fetching.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's records of one partition in one answer, made into `Received` ones."""

    def __iter__(self) -> Iterator[Any]:
        # Not through `__next__`, which is one more call for every record.
        records: Iterator[Any] = self._records_iterator
        return records

    def _consumer_record(self, tp: Any, record: Any) -> Received:
        headers = record.headers
        return Received(
            tp.topic,
            tp.partition,
            record.offset,
            record.timestamp,
            record.timestamp_type,
            record.key,
            record.value,
            tuple(headers) if headers else (),
        )


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
    """A batch read by the compiled parser if that can."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            return _tolerant(self._raw)


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
