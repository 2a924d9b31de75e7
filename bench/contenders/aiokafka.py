"""A bare aiokafka loop around the job: poll, apply, changelog, outputs, acknowledgements, commit.

What somebody would write who wants speed and no framework: packed batches in both directions, uvloop. It has no
rebalancing with states, no dead letters, no metrics, no alarms of its own.
"""

import asyncio
from collections import defaultdict
from typing import Any

import aiokafka
import uvloop

from needstream.bench import contending, job, merging

RECORDS_PER_POLL = 2_000
RECORDS_PER_ROUND = 500
"""Of each partition, as many as needstream's transport delivers at once."""

BATCH_BYTES = 1_000_000
Places = dict[tuple[str, int], list[tuple[bytes, bytes | None, list[tuple[str, bytes]]]]]


async def run(task: contending.Task) -> None:
    """Do the task."""
    work = job.Job.open(task.job, task.models)
    progress = contending.Progress(task)
    consumer = aiokafka.AIOKafkaConsumer(
        *job.INPUT_TOPICS,
        bootstrap_servers=task.bootstrap,
        group_id=task.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=task.bootstrap, acks="all", max_batch_size=BATCH_BYTES, max_request_size=2 * BATCH_BYTES
    )
    await producer.start()
    await consumer.start()
    try:
        while not consumer.assignment():
            await asyncio.sleep(0.01)
        ends = await consumer.end_offsets(list(consumer.assignment()))
        merged = merging.InOrder({(place.topic, place.partition): end for place, end in ends.items()})
        stored: dict[str, bytes] = {}
        done = outputs = snapshots = 0
        while not progress.durable(done):
            for place, records in (await consumer.getmany(timeout_ms=200, max_records=RECORDS_PER_POLL)).items():
                merged.push(place.topic, place.partition, records=records)
            while released := merged.release(RECORDS_PER_ROUND):
                places: Places = defaultdict(list)
                touched: dict[str, tuple[int, Any]] = {}
                offsets: dict[Any, int] = {}
                for topic, number, record in released:
                    offsets[aiokafka.TopicPartition(topic, number)] = record.offset + 1
                    arrival = work.decode(topic, record.value, record.key)
                    if arrival is None:
                        continue
                    key = arrival.key
                    known = touched[key][1] if key in touched else stored.get(key)
                    state, said = work.apply(known, arrival)
                    touched[key] = (number, state)
                    outputs += len(said)
                    for name, said_key, value, headers in said:
                        places[task.prefix + name, number].append((said_key, value, headers))
                await _send(producer, places)
                changes: Places = defaultdict(list)
                for key, (number, state) in touched.items():
                    snapshot = stored[key] = work.snapshot(state)
                    changes[task.changelog, number].append((key.encode(), snapshot, []))
                await _send(producer, changes)
                await consumer.commit(offsets)
                snapshots += len(touched)
                done += len(released)
                progress.durable(done)
        progress.finish(outputs=outputs, snapshots=snapshots)
    finally:
        await consumer.stop()
        await producer.stop()


async def _send(producer: Any, places: Places) -> None:
    pending = []
    for (topic, number), given in places.items():
        batch = producer.create_batch()
        for key, value, headers in given:
            if batch.append(key=key, value=value, headers=headers, timestamp=None) is None:
                batch.close()
                pending.append(await producer.send_batch(batch, topic, partition=number))
                batch = producer.create_batch()
                batch.append(key=key, value=value, headers=headers, timestamp=None)
        batch.close()
        pending.append(await producer.send_batch(batch, topic, partition=number))
    await asyncio.gather(*pending)


if __name__ == "__main__":
    uvloop.run(run(contending.task()))
