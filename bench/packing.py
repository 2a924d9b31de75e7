"""Sends many records in packed batches, as quickly as a broker takes them.

In come records with their places, out go offsets' worth of acknowledged records. The invariant it protects: the records
of one place keep their order, and at the end every one is acknowledged.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

import aiokafka

BATCH_BYTES = 500_000
_MOST_PENDING = 64

Placed = tuple[str, int, bytes, bytes]
"""Topic, partition, key, value."""


def send(bootstrap: str, records: Iterable[Placed]) -> tuple[int, int]:
    """Send everything, stamped with the present; return how many records and how many bytes of values."""
    return asyncio.run(_send(bootstrap, records))


async def _send(bootstrap: str, records: Iterable[Placed]) -> tuple[int, int]:
    count = size = 0
    async with aiokafka.AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", max_batch_size=BATCH_BYTES, max_request_size=4 * BATCH_BYTES
    ) as producer:
        batches: dict[tuple[str, int], Any] = {}
        pending: deque[Any] = deque()

        async def give(place: tuple[str, int]) -> None:
            batch = batches.pop(place)
            batch.close()
            pending.append(await producer.send_batch(batch, place[0], partition=place[1]))
            while len(pending) > _MOST_PENDING:
                await pending.popleft()

        for topic, partition, key, value in records:
            place = topic, partition
            batch = batches.get(place)
            if batch is None:
                batch = batches[place] = producer.create_batch()
            if batch.append(key=key, value=value, timestamp=None) is None:
                await give(place)
                batches[place] = batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=None)
            count += 1
            size += len(value)
        for place in list(batches):
            await give(place)
        await asyncio.gather(*pending)
    return count, size
