"""The changelog topic of the customer states: made before the worker starts, checked, and read back in bulk.

In comes the broker; out go the topic's facts and its records, partition by partition in their order. Invariant: a
partition counts as read only once everything up to the end it had when asked for is given back.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiokafka
from aiokafka.errors import KafkaError
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import TopicAlreadyExistsError

from needstream.streams import sending, topic_admin, topics, transport
from needstream.streams.brokers import interface

TABLE = "customer-states"
HOUR_MS = 60 * 60 * 1000
LARGEST_BATCH_BYTES = 2_097_152

#: What an erased customer's records become subject to. A segment is closed after six hours at most, is compacted after
#: twelve at most, and what a newer record replaces is then gone; the mark of the removal itself stays a day longer, so
#: that a worker which was away for less can follow.
CONFIGURATION = {
    "cleanup.policy": "compact",
    "segment.ms": str(6 * HOUR_MS),
    "max.compaction.lag.ms": str(12 * HOUR_MS),
    "delete.retention.ms": str(24 * HOUR_MS),
    "min.cleanable.dirty.ratio": "0.1",
    "max.message.bytes": str(LARGEST_BATCH_BYTES),
}
#: Kafka's own value where a topic sets none.
_UNSET = {
    "cleanup.policy": "delete",
    "segment.ms": str(7 * 24 * HOUR_MS),
    "max.compaction.lag.ms": str(2**63 - 1),
    "delete.retention.ms": str(24 * HOUR_MS),
    "min.cleanable.dirty.ratio": "0.5",
    "max.message.bytes": "1048588",
}

SILENCE_S = 15.0
"""After so long without a record, it is said what is waited for."""
FETCH_WAIT_MS = 100
FETCH_BYTES = 4 * 1024**2
RECORDS_AT_ONCE = 2_000
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
"""Between two attempts to read while the broker is away."""


_LOG = logging.getLogger("needstream.changelog")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the topic when a worker starts; ``identity`` changes when it is made anew."""

    topic: str
    identity: str
    delete_retention_ms: int


@dataclass(frozen=True, slots=True)
class Extent:
    """A partition's first offset and the one after its last."""

    begin: int
    end: int


def name(app_id: str) -> str:
    """The topic's name."""
    return f"{app_id}-{TABLE}-changelog"


def require(broker: str, app_id: str, *, partitions: int) -> Facts:
    """Make the topic if it is missing, with as many replicas as the inputs have; return what it is like.

    Raises:
        TopicsRefused: it has another number of partitions, or is not compacted.
        ConnectionError: no broker answers.
    """
    topic = name(app_id)
    with _admin(broker) as admin:
        if topic not in admin.list_topics():
            with suppress(TopicAlreadyExistsError):
                request = NewTopic(topic, partitions, _replication(admin), topic_configs=CONFIGURATION)
                admin.create_topics([request])
            admin.wait_for_topics([topic], topic_admin.VISIBLE_TIMEOUT_MS)
        described, configuration = _existing(admin, topic)
    problems = _problems(topic, described=described, configuration=configuration, wanted=partitions)
    if fatal := [problem for problem in problems if problem.fatal]:
        raise topic_admin.TopicsRefused(fatal)
    retention_ms = int(configuration.get("delete.retention.ms", _UNSET["delete.retention.ms"]))
    return Facts(topic, f"{topic} {described.get('topic_id') or ''}".strip(), retention_ms)


def check(broker: str, app_id: str) -> list[topic_admin.Problem]:
    """Everything wrong with the topic; nothing is while it, or the inputs, do not exist.

    Raises:
        ConnectionError: no broker answers.
    """
    topic = name(app_id)
    with _admin(broker) as admin:
        if not {topic, topics.CLICKSTREAM} <= set(admin.list_topics()):
            return []
        wanted = len(admin.describe_topics([topics.CLICKSTREAM])[0]["partitions"])
        described, configuration = _existing(admin, topic)
    return list(_problems(topic, described=described, configuration=configuration, wanted=wanted))


def _problems(
    topic: str, *, described: Mapping[str, Any], configuration: Mapping[str, str], wanted: int
) -> Iterator[topic_admin.Problem]:
    count = len(described["partitions"])
    if count != wanted:
        yield topic_admin.Problem(
            topic_admin.ProblemKind.WRONG_PARTITIONS,
            (topic,),
            f"{topic} has {count} partitions and the inputs have {wanted}",
            "states are kept where their customer's events are. Give the inputs their former number, or start with "
            "another NEEDSTREAM_APP_ID, which reads all inputs from their beginning",
        )
    policy = configuration.get("cleanup.policy", _UNSET["cleanup.policy"])
    alter = f"kafka-configs --alter --entity-type topics --entity-name {topic} --add-config"
    if policy != CONFIGURATION["cleanup.policy"]:
        yield topic_admin.Problem(
            topic_admin.ProblemKind.WRONG_CLEANUP_POLICY,
            (topic,),
            f"{topic} has cleanup.policy={policy}, with which states vanish or all versions stay",
            f"{alter} cleanup.policy=compact",
        )
    weaker = [
        setting
        for setting in ("segment.ms", "max.compaction.lag.ms", "min.cleanable.dirty.ratio")
        if float(configuration.get(setting, _UNSET[setting])) > float(CONFIGURATION[setting])
    ]
    weaker += [
        setting
        for setting in ("delete.retention.ms", "max.message.bytes")
        if float(configuration.get(setting, _UNSET[setting])) < float(CONFIGURATION[setting])
    ]
    if weaker:
        found = ", ".join(f"{setting}={configuration.get(setting, _UNSET[setting])}" for setting in weaker)
        yield topic_admin.Problem(
            topic_admin.ProblemKind.DIFFERENT_RETENTION,
            (topic,),
            f"{topic} has {found}; erased customers may stay longer than promised, or stores be rebuilt more often",
            f"{alter} {','.join(f'{setting}={CONFIGURATION[setting]}' for setting in weaker)}",
        )


def _existing(admin: KafkaAdminClient, topic: str) -> tuple[dict[str, Any], dict[str, str]]:
    described = admin.describe_topics([topic])[0]
    configured = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    entries = configured.get("topic", {}).get(topic, {})
    return described, {setting: str(entry["value"]) for setting, entry in entries.items()}


def _replication(admin: KafkaAdminClient) -> int:
    described = admin.describe_topics([topics.CLICKSTREAM])[0]["partitions"]
    return max((len(partition["replica_nodes"]) for partition in described), default=1)


@contextmanager
def _admin(broker: str) -> Iterator[KafkaAdminClient]:
    if not interface.answers(broker):
        msg = f"no broker answers at {broker}: start one, or correct NEEDSTREAM_BROKER"
        raise ConnectionError(msg)
    admin = KafkaAdminClient(bootstrap_servers=broker.split(","), client_id="needstream-changelog")
    try:
        yield admin
    finally:
        admin.close()


class Reader:
    """Reads partitions of the topic in bulk, without a group."""

    def __init__(self, consumer: aiokafka.AIOKafkaConsumer, topic: str) -> None:
        self._consumer = consumer
        self._topic = topic

    async def extents(self, partitions: Iterable[int]) -> dict[int, Extent]:
        """Where each partition begins and ends now."""
        places = [aiokafka.TopicPartition(self._topic, number) for number in partitions]
        if not places:
            return {}
        ends = await self._consumer.end_offsets(places)
        begins = await self._consumer.beginning_offsets(places)
        return {place.partition: Extent(begins[place], ends[place]) for place in places}

    async def read(self, spans: Mapping[int, Extent]) -> AsyncIterator[tuple[int, list[Any]]]:
        """Yield the records of each partition's span in order, many at a time; consumer records of aiokafka.

        Compaction may have removed any of them but a partition's last: Kafka never compacts the newest segment.
        """
        consumer = self._consumer
        missing = {
            aiokafka.TopicPartition(self._topic, number): span.end
            for number, span in spans.items()
            if span.begin < span.end
        }
        consumer.assign(list(missing))
        for place in missing:
            consumer.seek(place, spans[place.partition].begin)
        heard_s = time.monotonic()
        while missing:
            fetched = await consumer.getmany(*missing, timeout_ms=2 * FETCH_WAIT_MS, max_records=RECORDS_AT_ONCE)
            for place, records in fetched.items():
                yield place.partition, [record for record in records if record.offset < missing[place]]
            for place in list(missing):
                if await consumer.position(place) >= missing[place]:
                    del missing[place]
            if fetched:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > SILENCE_S:
                heard_s = time.monotonic()
                waited_for = sorted(place.partition for place in missing)
                _LOG.warning("the broker sends no changelog records", extra={"facts": {"partitions": waited_for}})


@asynccontextmanager
async def reader(broker: str, topic: str) -> AsyncIterator[Reader]:
    """A reader of the topic for the time of the block."""
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=broker,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    try:
        await consumer.start()
        transport.rest_between_empty_fetches(consumer)
        yield Reader(consumer, topic)
    finally:
        await consumer.stop()


async def outlasting(
    work: Callable[[], Awaitable[None]], *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Do something that reads the topic, from its beginning again after each fault of the broker; one line says so.

    It ends when the work is done or whoever waits for it gives up: cancel it.

    Args:
        work: may be done again after any part of it.
        pause: waits for so many seconds.

    Raises:
        KafkaError: a fault that waiting does not mend.
    """
    faults = 0
    while True:
        try:
            return await work()
        except KafkaError as fault:
            if not sending.is_of_broker(fault):
                raise
            if not faults:
                facts = {"cause": type(fault).__name__}
                _LOG.warning("the changelog cannot be read; trying until it can", extra={"facts": facts})
        await pause(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(faults, 10)))
        faults += 1
