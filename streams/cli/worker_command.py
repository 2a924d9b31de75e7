"""``needstream worker``: the Faust worker against a broker."""

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping

import typer
from kafka import KafkaConsumer

from needstream.streams import input_offsets, logs, runtime, topic_admin, topics
from needstream.streams.cli.failures import FAILURES
from needstream.streams.settings import Settings, from_environment
from needstream.streams.stores import StoreDamaged

_LOG = logging.getLogger("needstream.worker")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("worker")(worker)


def worker() -> None:
    """Run the worker until SIGTERM or Ctrl-C; settings come from NEEDSTREAM_ variables (docs/settings.md).

    Topics must exist and be co-partitioned (see `needstream topics`).
    """
    settings = from_environment()
    logs.configure(settings.log_level)
    topic_admin.require(settings.broker)
    partitions = _input_partitions(settings.broker)
    expired = input_offsets.require(settings.broker, settings.app_id, learns=settings.models is None)
    try:
        loop_factory(settings, partitions, expired=expired)()
    except StoreDamaged as error:
        # Found while it ran and marked: a start moves it aside and rebuilds it. A second find is somebody's to look at.
        _LOG.warning("worker starts again", extra={"facts": {"why": str(error)}})
        loop_factory(settings, partitions, expired=expired)()


def _input_partitions(broker: str) -> int:
    """The partition count of the inputs, which `topic_admin.require` has found to be the same for all."""
    consumer = KafkaConsumer(bootstrap_servers=broker, group_id=None, enable_auto_commit=False)
    try:
        return len(consumer.partitions_for_topic(topics.CLICKSTREAM) or ())
    finally:
        consumer.close()


def loop_factory(settings: Settings, partitions: int, *, expired: Mapping[str, int]) -> Callable[[], None]:
    """A call that runs one worker on the fastest event loop there is.

    Args:
        settings: how to run.
        partitions: the partition count of the input topics.
        expired: how many records of each topic were removed unread, for the metrics.
    """
    from needstream.streams.app import Worker
    from needstream.streams.app import run as run_worker

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        worker = Worker(settings, partitions)
        runtime.settle_collector()
        for topic, count in expired.items():
            worker.metrics.expired_records.labels(topic).inc(count)
        await run_worker(worker, stop)

    def run() -> None:
        with asyncio.Runner(loop_factory=runtime.fastest_loop) as runner:
            try:
                runner.run(main())
            except FAILURES:
                raise
            except Exception as error:
                # The text of an unforeseen error may quote a record; the log names its class and its place.
                _LOG.exception("worker failed")
                raise typer.Exit(1) from error

    return run
