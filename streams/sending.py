"""Send many records packed per partition and return when every one is acknowledged.

Faust's own `topic.send` costs about 200 microseconds a record; here a partition's records share the batches of
aiokafka's builder, in the order they were given.

Invariant: when `send_packed` returns, every record is acknowledged, and the last record a partition holds of a key is
the last one given for it, retries included: after a failed batch everything from that batch on is sent again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

import aiokafka
from aiokafka.errors import KafkaError, KafkaTimeoutError
from faust.types import TP, AppT

from needstream.streams import transport

_LOG = logging.getLogger("needstream.sending")

#: Key, value, headers (a value may be None) and timestamp in milliseconds since the epoch; no timestamp means now.
Record: TypeAlias = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes | None]], int | None]
MayRepeat: TypeAlias = Callable[[int], Awaitable[bool]]

RETRIES = 5
FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 5.0
#: What a record adds to its key, value and headers: lengths, attributes, deltas.
RECORD_OVERHEAD_BYTES = 36
#: What a batch adds to its records.
BATCH_OVERHEAD_BYTES = 61


async def five_times(repeat: int) -> bool:
    """What is enough for a short fault of the broker."""
    return repeat <= RETRIES


class RecordTooLarge(ValueError):
    """Raised when a record cannot fit into any request; nothing of the call was sent."""


async def send_packed(
    app: AppT, records: Mapping[TP, Sequence[Record]], *, may_repeat: MayRepeat = five_times
) -> dict[TP, int]:
    """Send `records`, packed and in order for each partition, and wait for every acknowledgement.

    aiokafka repeats what it can for the producer's request timeout; what still fails with a retriable fault is sent
    again here while it `may_repeat`, with a doubling pause. A repeat can duplicate records that had arrived.

    Args:
        app: a started app.
        records: by topic-partition; the partition is the caller's choice.
        may_repeat: asked before each repeat for its number, from 1, and may take its time; five without it.

    Returns:
        For each topic-partition that was given records, the offset of the last one.

    Raises:
        RecordTooLarge: one record exceeds the producer's request size (`producer_max_request_size`).
        KafkaError: the broker refused records, or its fault outlasted the retries; some may have arrived.
    """
    limit = app.conf.producer_max_request_size
    for tp, given in records.items():
        for number, record in enumerate(given):
            if (size := _size(record)) > limit:
                msg = (
                    f"record {number} for {tp.topic}[{tp.partition}] has {size} bytes and "
                    f"producer_max_request_size is {limit}: make it smaller, or raise that and the topic's "
                    "max.message.bytes"
                )
                raise RecordTooLarge(msg)
    producer = transport.producer(app)
    places = [tp for tp, given in records.items() if given]
    outcomes = await asyncio.gather(
        *(_send_partition(producer, tp, records=records[tp], may_repeat=may_repeat) for tp in places),
        return_exceptions=True,
    )
    # Raised only now: no partition is still sending when the caller learns of a fault.
    last_offsets: dict[TP, int] = {}
    for tp, outcome in zip(places, outcomes, strict=True):
        if isinstance(outcome, BaseException):
            raise outcome
        last_offsets[tp] = outcome
    return last_offsets


async def _send_partition(
    producer: aiokafka.AIOKafkaProducer, tp: TP, *, records: Sequence[Record], may_repeat: MayRepeat
) -> int:
    """Send everything, what a fault stopped again, and return the last record's offset."""
    acknowledged = 0
    attempt = 0
    while True:
        try:
            return await _send_from(producer, tp, records=records[acknowledged:])
        except _Interrupted as fault:
            acknowledged += fault.acknowledged
            if not is_of_broker(fault.cause):
                raise fault.cause from None
            if attempt >= RETRIES:
                facts = {"topic": tp.topic, "partition": tp.partition, "cause": type(fault.cause).__name__}
                _LOG.warning("the broker does not take records; trying again", extra={"facts": facts})
            await asyncio.sleep(min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2**attempt))
            attempt += 1
            if not await may_repeat(attempt):
                raise fault.cause from None


def is_of_broker(fault: KafkaError) -> bool:
    """Whether the same records may be accepted later: no fault of theirs, nor of ours."""
    # What aiokafka could not deliver within the request timeout counts as not retriable there.
    return bool(fault.retriable) or isinstance(fault, KafkaTimeoutError)


class _Interrupted(Exception):
    def __init__(self, acknowledged: int, cause: KafkaError) -> None:
        super().__init__(acknowledged, cause)
        self.acknowledged = acknowledged
        self.cause = cause


async def _send_from(producer: aiokafka.AIOKafkaProducer, tp: TP, *, records: Sequence[Record]) -> int:
    """Send everything once and return the last record's offset; raise with how many came before the first failure."""
    pending: list[tuple[int, asyncio.Future[aiokafka.structs.RecordMetadata]]] = []
    fault: KafkaError | None = None
    start = 0
    while start < len(records):
        batch = producer.create_batch()
        end = start
        for key, value, headers, timestamp_ms in records[start:]:
            if batch.append(key=key, value=value, headers=list(headers), timestamp=timestamp_ms) is None:
                break
            end += 1
        # Closed, it is sent at once: the producer's linger is for records that come one by one.
        batch.close()
        try:
            pending.append((end - start, await producer.send_batch(batch, tp.topic, partition=tp.partition)))
        except KafkaError as error:
            fault = error
            break
        start = end
    acknowledged = 0
    last_offset = -1
    for outcome, (count, _) in zip(
        await asyncio.gather(*(future for _, future in pending), return_exceptions=True), pending, strict=True
    ):
        if isinstance(outcome, KafkaError):
            raise _Interrupted(acknowledged, outcome)
        if isinstance(outcome, BaseException):
            raise outcome
        acknowledged += count
        # A batch is acknowledged with the offset of its first record; its records stand one behind the other.
        last_offset = outcome.offset + count - 1
    if fault is not None:
        raise _Interrupted(acknowledged, fault)
    return last_offset


def _size(record: Record) -> int:
    key, value, headers, _ = record
    size = RECORD_OVERHEAD_BYTES + BATCH_OVERHEAD_BYTES
    if key:
        size += len(key)
    if value:
        size += len(value)
    for name, content in headers:
        size += 10 + (len(name) if name.isascii() else len(name.encode()))
        if content:
            size += len(content)
    return size
