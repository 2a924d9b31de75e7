"""Real brokers, started once a session, and Faust apps built per test.

NEEDSTREAM_TEST_BROKERS names the brokers, separated by commas (`embedded`, `apache`); every test of this folder runs on each.
A named broker that cannot start fails its tests: it does not skip them.
"""

import asyncio
import itertools
import os
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
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
def admin(broker: brokers.Broker) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    yield client
    client.close()


@pytest.fixture
def new_topic(admin: KafkaAdminClient) -> Callable[..., str]:
    """Create a topic with a name of its own."""

    def create(partitions: int = 1, **configuration: str) -> str:
        name = f"events-{uuid.uuid4().hex[:12]}"
        settings = {key.replace("_", "."): value for key, value in configuration.items()}
        admin.create_topics([NewTopic(name, partitions, 1, topic_configs=settings)], wait_for_metadata=True)
        return name

    return create


class Clients:
    """What a test does to a broker besides the app: produce, read back, ask for commits."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    async def produce(self, topic: str, values: Iterable[bytes], *, partition: int = 0, key: bytes | None = None) -> None:
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=self.bootstrap) as producer:
            sent = [await producer.send(topic, value, key=key, partition=partition) for value in values]
            await asyncio.gather(*sent)

    async def committed(self, group: str, topic: str, partition: int = 0) -> int | None:
        async with aiokafka.AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=group, enable_auto_commit=False
        ) as consumer:
            found: int | None = await consumer.committed(aiokafka.TopicPartition(topic, partition))
            return found

    async def read(self, topic: str, count: int, partition: int = 0) -> list[Any]:
        """Return the first `count` records of a partition."""
        async with aiokafka.AIOKafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest") as consumer:
            consumer.assign([aiokafka.TopicPartition(topic, partition)])
            return [await asyncio.wait_for(consumer.getone(), 10.0) for _ in range(count)]


@pytest.fixture
def clients(broker: brokers.Broker) -> Clients:
    return Clients(broker.bootstrap)


class Taker:
    """A Faust app with one agent on some input topics; it keeps what it is given and acknowledges as `on_event` says."""

    def __init__(
        self,
        bootstrap: str,
        topics: Iterable[str],
        *,
        group: str,
        on_event: Callable[[EventT[Any]], Awaitable[None] | None] | None = None,
        settle: Any = None,
        records_per_batch: int = 500,
        **settings: Any,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.topics = list(topics)
        self.events: list[EventT[Any]] = []
        options: dict[str, Any] = {
            "broker": transport.url(bootstrap),
            "datadir": self._folder.name,
            "web_enabled": False,
            "topic_disable_leader": True,
            "store": "memory://",
            "topic_partitions": 1,
            "topic_replication_factor": 1,
            "table_standby_replicas": 0,
            "broker_session_timeout": 6.0,
            "broker_heartbeat_interval": 0.5,
            "broker_commit_interval": 60.0,  # only when a test says so, at a rebalance, and at the end
        }
        self.app = faust.App(group, **(options | settings))
        transport.install(self.app, self.topics, records_per_batch=records_per_batch, settle=settle)

        @self.app.agent(transport.topic(self.app, self.topics), name=f"take-{group}")
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

    async def start(self) -> None:
        await self.app.start()

    async def stop(self) -> None:
        await self.app.stop()
        self._folder.cleanup()


@pytest.fixture
def taker(broker: brokers.Broker) -> Callable[..., Any]:
    """Return a context manager that runs an app for the time of its block."""

    @asynccontextmanager
    async def run(topics: Iterable[str], group: str, **options: Any) -> AsyncIterator[Taker]:
        running = Taker(broker.bootstrap, topics, group=group, **options)
        await running.start()
        try:
            yield running
        finally:
            await running.stop()

    return run


_numbers = itertools.count()


@pytest.fixture
def group() -> str:
    return f"group-{next(_numbers)}-{uuid.uuid4().hex[:8]}"
