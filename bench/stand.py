"""The broker of a benchmark: topics made, the load sent once, topics read back and removed.

In come records, out come offsets and records. Record timestamps are a millisecond apart in the order of event times,
so that a framework can merge its inputs by them; they lie minutes in the past, which no retention minds.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import aiokafka
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError

from needstream.bench import contending, job
from needstream.bench.load import Record
from needstream.streams import outgoing, topic_admin, topics

PARTITIONS = topics.DEFAULT_PARTITIONS
LARGEST_BATCH_BYTES = 500_000
_COMPACTED = {"cleanup.policy": "compact"}


class Stand:
    """A running broker with needstream's topics on it."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        topic_admin.apply(bootstrap, PARTITIONS)

    def send(self, records: Sequence[Record]) -> None:
        """Send the load, each record to the partition of its key, and wait for every acknowledgement."""
        asyncio.run(_send(self.bootstrap, records))

    def prepare(self, prefix: str) -> None:
        """Make the output topics and the changelog of one contender's run."""
        made = [NewTopic(prefix + name, PARTITIONS, 1) for name in job.OUTPUT_TOPICS]
        made.append(NewTopic(prefix + contending.CHANGELOG, PARTITIONS, 1, topic_configs=_COMPACTED))
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            admin.create_topics(made)
        finally:
            admin.close()

    def remove(self, word: str) -> None:
        """Remove every topic with this word in its name: what one run wrote."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            names = [name for name in admin.list_topics() if word in name]
            with suppress(KafkaError):
                admin.delete_topics(names)
        finally:
            admin.close()

    def ends(self, names: Iterable[str]) -> dict[tuple[str, int], int]:
        """The offset behind the last record of each partition."""
        return asyncio.run(_ends(self.bootstrap, list(names)))

    def read(self, names: Iterable[str], *, since: dict[tuple[str, int], int] | None = None) -> list[Any]:
        """Every record of the topics, or what stands there since these offsets."""
        return asyncio.run(read(self.bootstrap, names, since=since))


async def _send(bootstrap: str, records: Sequence[Record]) -> None:
    addresses = outgoing.Addresses(partitions=PARTITIONS)
    first_ms = time.time_ns() // 1_000_000 - len(records) - 60_000
    async with aiokafka.AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", max_batch_size=LARGEST_BATCH_BYTES
    ) as producer:
        batches: dict[tuple[str, int], Any] = {}
        pending = []

        async def give(place: tuple[str, int]) -> None:
            batch = batches.pop(place)
            batch.close()
            pending.append(await producer.send_batch(batch, place[0], partition=place[1]))

        for number, record in enumerate(records):
            place = record.topic, addresses.of_key(record.key)
            given = {"key": record.key, "value": record.value, "timestamp": first_ms + number}
            if place not in batches:
                batches[place] = producer.create_batch()
            if batches[place].append(**given) is None:
                await give(place)
                batches[place] = producer.create_batch()
                batches[place].append(**given)
        for place in list(batches):
            await give(place)
        await asyncio.gather(*pending)


async def _ends(bootstrap: str, names: list[str]) -> dict[tuple[str, int], int]:
    places = [aiokafka.TopicPartition(name, number) for name in names for number in range(PARTITIONS)]
    async with aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        found = await consumer.end_offsets(places)
    return {(place.topic, place.partition): end for place, end in found.items()}


async def read(bootstrap: str, names: Iterable[str], *, since: dict[tuple[str, int], int] | None = None) -> list[Any]:
    """Every record that stands in the topics now, or since these offsets."""
    first = since or {}
    places = [aiokafka.TopicPartition(name, number) for name in names for number in range(PARTITIONS)]
    found: list[Any] = []
    async with aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        begins = await consumer.beginning_offsets(places)
        for place in places:
            consumer.seek(place, max(begins[place], first.get((place.topic, place.partition), 0)))
        left = {place for place in places if await consumer.position(place) < ends[place]}
        while left:
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                found += [record for record in records if record.offset < ends[place]]
            left = {place for place in left if await consumer.position(place) < ends[place]}
    return found
