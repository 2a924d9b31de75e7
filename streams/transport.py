"""The batch transport: Faust hands an agent one message for each fetched batch of an input partition.

Everything Faust does around the stream stays: agents, assignment, table recovery, sensors. Only the declared input
topics change: one message's value is the list of `Received` records that were fetched together (at most
`records_per_batch`, all of one topic-partition, in offset order) and its offset is the last record's. Changelog, reply
and other topics stay one message per record. An app opts in like this::

    app = faust.App("needstream", broker=transport.url("host:9092"), topic_disable_leader=True)
    transport.install(app, topics.INPUTS, settle=worker.settle)

    @app.agent(transport.topic(app, topics.INPUTS))
    async def take(stream):
        async for event in stream.noack().events():
            worker.add(event)  # event.value: the records; event.message.tp: where they came from

Messages are acknowledged by the application, whenever it is done with them and in any order: `event.ack()`, or
`app.consumer.ack(event.message)`. What is committed is only ever a prefix of the delivered batches of a partition: the
offset moves past a batch once it and every batch delivered before it are acknowledged, so neither a later batch that
was quicker nor one of another topic can carry the commit over unfinished work. A batch is not split: acknowledge it
after its last record is done.

An application that buffers keeps taking from the stream (one queue serves all partitions) and bounds its own buffers
with `consumer(app).hold(tp)` and `release(tp)`. To merge inputs it asks `consumer(app).position_is_at_end(tp)`.

Invariants, each with a test of its own in tests/kafka:
- nothing of an input is delivered between the start of a rebalance and the seek to the committed offsets;
- before partitions are given up (rebalance or stop) `settle` is awaited, then what is acknowledged is committed;
- an acknowledgement of a batch delivered before a rebalance counts for nothing after it;
- what was fetched and could not be delivered is fetched again.

Private names of Faust and aiokafka are used in this module, `transport_consumer`, `transport_thread` and
`transport_records` only.
"""

from collections.abc import Iterable
from typing import Any, cast

import aiokafka
import faust
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import AppT, Message

from needstream.streams.transport_consumer import BatchConsumer, Delivery, Settle, deliveries
from needstream.streams.transport_thread import rest_between_empty_fetches

__all__ = [
    "BatchConsumer",
    "BatchSchema",
    "Settle",
    "Transport",
    "consumer",
    "install",
    "producer",
    "rest_between_empty_fetches",
    "topic",
    "url",
]

SCHEME = "needstream"
RECORDS_PER_BATCH = 500
#: Batches that wait between the fetcher and the agent, over all partitions; what is beyond stays with the broker.
QUEUED_BATCHES = 16
SETTLE_TIMEOUT_S = 20.0


def url(bootstrap: str) -> str:
    """Return the broker URL that makes an app use this transport; `bootstrap` is `host:port[,host:port...]`."""
    return ";".join(f"{SCHEME}://{part}" for part in bootstrap.split(","))


def install(
    app: AppT,
    topics: Iterable[str],
    *,
    records_per_batch: int = RECORDS_PER_BATCH,
    settle: Settle | None = None,
    settle_timeout_s: float = SETTLE_TIMEOUT_S,
) -> None:
    """Declare which topics of `app` are delivered in batches; call it before the app starts.

    Args:
        app: an app whose broker is a `url` of this module.
        topics: the input topics.
        records_per_batch: the most records of one message; at least 1.
        settle: awaited before partitions are given up.
        settle_timeout_s: how long it may take; must stay below the group's rebalance timeout (60 s by default).
    """
    if records_per_batch < 1:
        msg = f"records_per_batch must be at least 1, not {records_per_batch}"
        raise ValueError(msg)
    deliveries[app] = Delivery(frozenset(topics), records_per_batch, settle, settle_timeout_s)


def topic(app: AppT, names: Iterable[str], *, queued_batches: int = QUEUED_BATCHES) -> Any:
    """Return the Faust topic an agent subscribes to for the batches of `names`."""
    return app.topic(*names, schema=BatchSchema(), maxsize=queued_batches)


def consumer(app: AppT) -> BatchConsumer:
    """Return the app's consumer with what this transport adds to it.

    Raises:
        TypeError: the app's broker URL does not name this transport.
    """
    found = app.consumer
    if not isinstance(found, BatchConsumer):
        msg = f"the app consumes through {type(found).__module__}, not through {SCHEME}://"
        raise TypeError(msg)
    return found


def producer(app: AppT) -> aiokafka.AIOKafkaProducer:
    """Return the aiokafka producer below the app's producer, which must have been started."""
    return cast(driver.Producer, app.producer)._ensure_producer()


class BatchSchema(faust.Schema[Any, Any]):
    """Pass the list of records through: decoding is the application's."""

    def loads_key(self, app: AppT, message: Message, **_options: Any) -> Any:
        """Return None: a batch has no key."""
        return

    def loads_value(self, app: AppT, message: Message, **_options: Any) -> Any:
        """Return the records."""
        return message.value


class Transport(driver.Transport):
    """Faust's aiokafka transport with the batch consumer."""

    Consumer = BatchConsumer


TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"
