"""Compares what a consumer group has read with what its topics still hold, before a worker starts.

In comes the broker; out go findings, the fatal ones as a refusal, and how many records were removed unread. Invariant:
no record is committed over here, and a worker that would drop new records in silence does not start.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import msgspec
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata
from msgspec import Struct

from needstream.schemas import state as states
from needstream.streams import changelog, topics
from needstream.streams.changelog import Extent
from needstream.streams.offset_findings import Finding, OffsetsRefused, Standing, judge

COORDINATOR_WITHIN_S = 15.0
"""A new cluster makes its topic of committed offsets when it is asked for them first."""

_LOG = logging.getLogger("needstream.offsets")


def examine(broker: str, app_id: str, *, learns: bool) -> list[Finding]:
    """Every finding of an app on a broker whose topics exist; changes nothing."""
    with _clients(broker) as (admin, consumer):
        standings, changelogs = _look(broker, app_id, admin=admin, consumer=consumer, learns=learns)
    return judge(standings, changelogs, app_id=app_id)


def require(broker: str, app_id: str, *, learns: bool) -> Mapping[str, int]:
    """Return only if a worker may start: how many records of each topic were removed unread.

    Where the group has committed nothing yet, the partition's beginning is committed: from then on a missing commit
    means that the topic, or the group, was deleted.

    Args:
        broker: where the topics are; they exist.
        app_id: names the group and the changelog.
        learns: whether the worker reads labelled examples too.

    Raises:
        OffsetsRefused: with every fatal finding.
    """
    with _clients(broker) as (admin, consumer):
        standings, changelogs = _look(broker, app_id, admin=admin, consumer=consumer, learns=learns)
        findings = judge(standings, changelogs, app_id=app_id)
        if fatal := [finding for finding in findings if finding.fatal]:
            raise OffsetsRefused(fatal)
        beginnings = {
            TopicPartition(standing.topic, standing.partition): OffsetAndMetadata(standing.extent.begin, "", -1)
            for standing in standings
            if standing.committed is None
        }
        if beginnings:
            # Refused where the group has members: they commit what they read, and the next start does the rest.
            with suppress(KafkaError):
                admin.alter_group_offsets(app_id, beginnings)
    expired: Counter[str] = Counter()
    for finding in findings:
        _LOG.warning("%s", finding, extra={"facts": {"found": finding.kind.value, "records": finding.records}})
        expired[finding.topic] += finding.records
    return +expired


def _look(
    broker: str, app_id: str, *, admin: KafkaAdminClient, consumer: KafkaConsumer, learns: bool
) -> tuple[list[Standing], dict[int, Extent]]:
    changelogs = _extents(consumer, [changelog.name(app_id)])
    kept = {place.partition: extent for place, extent in changelogs.items()}
    extents = _extents(consumer, (*topics.MERGED, topics.LABELLED_EXAMPLES) if learns else topics.MERGED)
    committed = _committed(admin, app_id, places=list(extents))
    # Kafka forgets what was committed for a topic that is deleted. What is left to tell are the states themselves.
    doubtful = {place.partition for place in extents if committed[place] is None}
    spans = {number: extent for number, extent in kept.items() if number in doubtful and extent.begin < extent.end}
    known = asyncio.run(_applied(broker, changelog.name(app_id), spans=spans)) if spans else {}
    standings = [
        Standing(
            topic=place.topic,
            partition=place.partition,
            extent=extent,
            committed=committed[place],
            applied=known.get(f"{place.topic}-{place.partition}"),
        )
        for place, extent in extents.items()
    ]
    return standings, kept


def _extents(consumer: KafkaConsumer, names: Iterable[str]) -> dict[TopicPartition, Extent]:
    existing = consumer.topics()
    places = [
        TopicPartition(name, number)
        for name in names
        if name in existing
        for number in sorted(consumer.partitions_for_topic(name) or ())
    ]
    if not places:
        return {}
    begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    return {place: Extent(begins[place], ends[place]) for place in places}


def _committed(
    admin: KafkaAdminClient, app_id: str, *, places: Sequence[TopicPartition]
) -> dict[TopicPartition, int | None]:
    if not places:
        return {}
    deadline_s = time.monotonic() + COORDINATOR_WITHIN_S
    while True:
        try:
            found = admin.list_group_offsets({app_id: list(places)})[app_id]
            break
        except KafkaError as fault:
            if not fault.retriable or time.monotonic() > deadline_s:
                raise
            time.sleep(0.2)
    offsets = {place: found[place].offset if place in found else -1 for place in places}
    return {place: offset if offset >= 0 else None for place, offset in offsets.items()}


class _Applied(Struct, array_like=True):
    """The beginning of a stored customer state, whatever its version."""

    version: int
    customer_id: str
    first_ms: int
    clock_ms: int
    applied: dict[int | str, list[int]] = {}


_DECODER = msgspec.msgpack.Decoder(_Applied)


async def _applied(broker: str, topic: str, *, spans: Mapping[int, Extent]) -> dict[str, int]:
    """The highest offset of each place that a state in these spans of the changelog knows, as ``topic-partition``."""
    highest: dict[str, int] = {}
    async with changelog.reader(broker, topic) as reader:
        async for _, records in reader.read(spans):
            for record in records:
                if record.value is None or record.key == states.PARTITION_KEY.encode():
                    continue
                for merged, offsets in _origins(record.value):
                    origin = f"{merged}-{record.partition}"
                    highest[origin] = max(offsets[-1], highest.get(origin, -1))
    return highest


def _origins(stored: bytes) -> Iterator[tuple[str, list[int]]]:
    """The topics a state has applied records of, with the offsets; states before version 3 name them otherwise."""
    try:
        applied = _DECODER.decode(stored).applied
    except msgspec.MsgspecError:
        return  # the restore refuses it with what to do
    for origin, offsets in applied.items():
        place = states.place_before(origin) if isinstance(origin, str) else origin
        if place is not None and place < len(states.ORIGINS):
            yield states.ORIGINS[place], offsets


@contextmanager
def _clients(broker: str) -> Iterator[tuple[KafkaAdminClient, KafkaConsumer]]:
    servers = broker.split(",")
    admin = KafkaAdminClient(bootstrap_servers=servers, client_id="needstream-offsets")
    try:
        consumer = KafkaConsumer(bootstrap_servers=servers, group_id=None, enable_auto_commit=False)
        try:
            yield admin, consumer
        finally:
            consumer.close()
    finally:
        admin.close()
