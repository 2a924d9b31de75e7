"""needstream's worker around a partition that only counts; everything but the step is the worker's own.

Settings are the worker's environment variables.
"""

import asyncio
import signal

import uvloop

from needstream.bench.counting import CountingPartition
from needstream.streams import logs, runtime
from needstream.streams.app import Worker
from needstream.streams.app import run as run_worker
from needstream.streams.settings import from_environment
from needstream.streams.topic_admin import require
from needstream.streams.topics import DEFAULT_PARTITIONS


async def run(partitions: int = DEFAULT_PARTITIONS) -> None:
    """Run until SIGTERM."""
    settings = from_environment()
    logs.configure(settings.log_level)
    require(settings.broker)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    worker = Worker(settings, partitions, open_partition=CountingPartition)
    runtime.settle_collector()
    await run_worker(worker, stop)


if __name__ == "__main__":
    uvloop.run(run())
