"""Stock Faust, as its documentation writes it: an agent per event, a table, one send per output; stock settings.

It does not merge its inputs: topics are read side by side, and what one is ahead of another counts as late.
"""

import asyncio
import os
import sys
from typing import Any

import faust

from needstream.bench import contending, job

NOTES = (
    "inputs are not merged, so what is behind its customer's clock counts as late and says less",
    "durable only after the flush at the end; before, sends are under way",
)


def build(task: contending.Task, done: asyncio.Event) -> faust.App:
    """The app; ``done`` is set once all events are durable and reported."""
    work = job.Job.open(task.job, task.models)
    progress = contending.Progress(task)
    app = faust.App(
        task.group,
        broker=f"kafka://{task.bootstrap}",
        store="memory://",
        topic_partitions=task.partitions,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        key_serializer="raw",
        value_serializer="raw",
    )
    source = app.topic(*job.INPUT_TOPICS, key_type=bytes, value_type=bytes)
    sinks = {name: app.topic(task.prefix + name, key_type=bytes, value_type=bytes) for name in job.OUTPUT_TOPICS}
    table: Any = app.Table("states", key_type=bytes, value_type=bytes, partitions=task.partitions)
    counts = {"done": 0, "outputs": 0}

    @app.agent(source)
    async def apply(stream: Any) -> None:
        async for event in stream.events():
            counts["done"] += 1
            arrival = work.decode(event.message.topic, event.value, event.key)
            if arrival is not None:
                state, said = work.apply(table.get(event.key), arrival)
                table[event.key] = work.snapshot(state)
                for name, key, value, headers in said:
                    await sinks[name].send(key=key, value=value, headers=dict(headers))
                counts["outputs"] += len(said)
            if counts["done"] == task.events:
                await app.producer.flush()
            if progress.durable(counts["done"]) and not done.is_set():
                progress.finish(outputs=counts["outputs"], snapshots=counts["done"], notes=NOTES)
                done.set()

    return app


async def run(task: contending.Task) -> None:
    """Do the task."""
    done = asyncio.Event()
    app = build(task, done)
    await app.start()
    await done.wait()
    # The report is written; stopping in order would only take time.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(run(contending.task()))
