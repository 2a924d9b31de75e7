"""A bare confluent-kafka loop around the job: the fastest client there is, written in C.

As the bare aiokafka loop, it has nothing of what a framework is for.
"""

from typing import Any

import confluent_kafka

from needstream.bench import contending, job, merging

RECORDS_PER_POLL = 2_000
RECORDS_PER_ROUND = 500


class _Record:
    """What `merging.InOrder` asks of a record."""

    __slots__ = ("key", "offset", "timestamp", "value")

    def __init__(self, message: Any) -> None:
        self.timestamp = message.timestamp()[1]
        self.offset = message.offset()
        self.key = message.key()
        self.value = message.value()


def run(task: contending.Task) -> None:
    """Do the task."""
    work = job.Job.open(task.job, task.models)
    progress = contending.Progress(task)
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": task.bootstrap,
            "group.id": task.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": task.bootstrap,
            "acks": "all",
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
            "batch.size": 1_000_000,
        }
    )
    consumer.subscribe(list(job.INPUT_TOPICS))
    merged = merging.InOrder(_ends(consumer, task.partitions))
    failed: list[Any] = []

    def delivered(error: Any, _message: Any) -> None:
        if error is not None:
            failed.append(error)

    stored: dict[str, bytes] = {}
    done = outputs = snapshots = 0
    while not progress.durable(done):
        fetched: dict[tuple[str, int], list[_Record]] = {}
        for message in consumer.consume(RECORDS_PER_POLL, timeout=0.2):
            if message.error() is None:
                fetched.setdefault((message.topic(), message.partition()), []).append(_Record(message))
        for (topic, number), records in fetched.items():
            merged.push(topic, number, records=records)
        while released := merged.release(RECORDS_PER_ROUND):
            touched: dict[str, tuple[int, Any]] = {}
            offsets: dict[tuple[str, int], int] = {}
            for topic, number, record in released:
                offsets[topic, number] = record.offset + 1
                arrival = work.decode(topic, record.value, record.key)
                if arrival is None:
                    continue
                key = arrival.key
                known = touched[key][1] if key in touched else stored.get(key)
                state, said = work.apply(known, arrival)
                touched[key] = (number, state)
                outputs += len(said)
                for name, said_key, value, headers in said:
                    producer.produce(
                        task.prefix + name, value, said_key, partition=number, headers=headers, on_delivery=delivered
                    )
            producer.flush()
            for key, (number, state) in touched.items():
                snapshot = stored[key] = work.snapshot(state)
                producer.produce(task.changelog, snapshot, key.encode(), partition=number, on_delivery=delivered)
            producer.flush()
            if failed:
                raise RuntimeError(str(failed[0]))
            places = [confluent_kafka.TopicPartition(*place, offset) for place, offset in offsets.items()]
            consumer.commit(offsets=places, asynchronous=False)
            snapshots += len(touched)
            done += len(released)
            progress.durable(done)
    progress.finish(outputs=outputs, snapshots=snapshots)
    consumer.close()


def _ends(consumer: Any, partitions: int) -> dict[tuple[str, int], int]:
    """The offset behind the last record of each input."""
    return {
        (topic, number): consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, number), timeout=10.0)[1]
        for topic in job.INPUT_TOPICS
        for number in range(partitions)
    }


if __name__ == "__main__":
    run(contending.task())
