"""Real brokers, started once a session, and Faust apps built per test.

NEEDSTREAM_TEST_BROKERS names the brokers, separated by commas (`embedded`, `apache`); the tests of this folder run on
each of them. A named broker that cannot start fails its tests: it does not skip them.
"""

import asyncio
import os
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiokafka
import faust
import pytest
from faust.types import TP, EventT
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from needstream.streams import brokers, transport

BROKERS = os.environ.get("NEEDSTREAM_TEST_BROKERS", "embedded").split(",")
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for test in items:
        if HERE in test.path.parents:
            test.add_marker(pytest.mark.kafka)


@pytest.fixture(scope="session", params=BROKERS)
def broker(request: pytest.FixtureRequest) -> Iterator[brokers.Broker]:
    with brokers.choose(request.param) as started:
        yield started


@pytest.fixture
def cluster(broker: brokers.Broker) -> "Cluster":
    return Cluster(broker)


@pytest.fixture
def cluster_of() -> "type[Cluster]":
    """Make the cluster of a broker the test starts itself."""
    return Cluster


def unique(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:12]}"


@dataclass
class Cluster:
    """A running broker and what a test does to it; `group` is the test's own consumer group."""

    broker: brokers.Broker
    group: str = field(default_factory=lambda: unique("group"))

    @property
    def bootstrap(self) -> str:
        return self.broker.bootstrap

    @contextmanager
    def admin(self) -> Iterator[KafkaAdminClient]:
        client = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            yield client
        finally:
            client.close()

    def create(self, name: str, partitions: int = 1, **configuration: str) -> str:
        settings = {key.replace("_", "."): value for key, value in configuration.items()}
        with self.admin() as admin:
            admin.create_topics([NewTopic(name, partitions, 1, topic_configs=settings)], wait_for_metadata=True)
        return name

    def new_topic(self, partitions: int = 1) -> str:
        return self.create(unique("events"), partitions)

    async def produce(
        self, topic: str, values: Iterable[bytes], *, partition: int = 0, key: bytes | None = None
    ) -> None:
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=self.bootstrap) as producer:
            sent = [await producer.send(topic, value, key=key, partition=partition) for value in values]
            await asyncio.gather(*sent)

    async def read(self, topic: str, count: int, *, partition: int = 0) -> list[Any]:
        """Return the first `count` records of a partition."""
        async with aiokafka.AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, auto_offset_reset="earliest"
        ) as consumer:
            consumer.assign([aiokafka.TopicPartition(topic, partition)])
            return [await asyncio.wait_for(consumer.getone(), 10.0) for _ in range(count)]

    async def commit(self, topic: str, offset: int, *, partition: int = 0) -> None:
        async with self._member() as consumer:
            tp = aiokafka.TopicPartition(topic, partition)
            consumer.assign([tp])
            await consumer.commit({tp: offset})

    async def committed(self, topic: str, *, partition: int = 0) -> int | None:
        async with self._member() as consumer:
            found: int | None = await consumer.committed(aiokafka.TopicPartition(topic, partition))
            return found

    def _member(self) -> aiokafka.AIOKafkaConsumer:
        return aiokafka.AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=self.group, enable_auto_commit=False
        )

    @asynccontextmanager
    async def taker(self, *topics: str, **options: Any) -> AsyncIterator["Taker"]:
        """Run an app of the test's group for the time of the block."""
        with tempfile.TemporaryDirectory() as folder:
            running = Taker(self, topics, folder=folder, **options)
            await running.app.start()
            try:
                yield running
            finally:
                await running.app.stop()

    def app(self, folder: str, **settings: Any) -> faust.App:
        """Build an app of the test's group; it commits when a test says so, at a rebalance, and at the end."""
        options: dict[str, Any] = {
            "broker": transport.url(self.bootstrap),
            "datadir": folder,
            "web_enabled": False,
            "topic_disable_leader": True,
            "topic_replication_factor": 1,
            "store": "memory://",
            "table_standby_replicas": 0,
            "broker_session_timeout": 6.0,
            "broker_heartbeat_interval": 0.5,
            "broker_commit_interval": 60.0,
        }
        return faust.App(self.group, **(options | settings))


class Taker:
    """An app with one agent: it keeps what it is given and does with it what `on_event` says, which may be nothing."""

    def __init__(
        self,
        cluster: Cluster,
        topics: Iterable[str],
        *,
        folder: str,
        on_event: Callable[[EventT[Any]], Awaitable[None] | None] | None = None,
        settings: Mapping[str, Any] | None = None,
        **delivery: Any,
    ) -> None:
        self.events: list[EventT[Any]] = []
        self.app = cluster.app(folder, **(settings or {}))
        transport.install(self.app, topics, **delivery)

        @self.app.agent(transport.topic(self.app, topics))
        async def take(stream: Any) -> None:
            async for event in stream.noack().events():
                self.events.append(event)
                if on_event is not None and (done := on_event(event)) is not None:
                    await done

    @property
    def consumer(self) -> transport.BatchConsumer:
        return transport.consumer(self.app)

    @property
    def records(self) -> list[Any]:
        return [record for event in self.events for record in event.value]

    def values(self) -> list[bytes]:
        return [record.value for record in self.records]

    def by_partition(self) -> dict[TP, list[int]]:
        """Return the offsets of each partition in the order they came."""
        offsets: defaultdict[TP, list[int]] = defaultdict(list)
        for event in self.events:
            offsets[event.message.tp].extend(record.offset for record in event.value)
        return dict(offsets)

    async def until(self, happened: Callable[[], object], timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not happened():
            if time.monotonic() > deadline:
                msg = f"did not happen within {timeout_s} s; {len(self.records)} records so far"
                raise TimeoutError(msg)
            await asyncio.sleep(0.02)
