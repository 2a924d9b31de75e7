"""What the work costs by itself: needstream's partition over the same bytes in memory, without broker and framework.

Decode, merge order, batches of 500 for each partition, states from and to bytes, outputs encoded. No contender can be
faster with this step, and what needstream takes beyond it is its shell.
"""

import asyncio
import json
import time
from typing import Any

from needstream.bench import contending, job, stand
from needstream.bench.counting import CountingPartition
from needstream.models.scorer import Scorer
from needstream.streams import decoding, outgoing, topics
from needstream.streams.packs import loader
from needstream.streams.pipeline.emissions import Emission
from needstream.streams.pipeline.inputs import Arrival
from needstream.streams.pipeline.partition import Partition
from needstream.streams.replay import MemoryStore

BATCH = 500


class Lane:
    """One partition and its store."""

    def __init__(self, number: int, partition: Partition, *, store: MemoryStore, addresses: outgoing.Addresses) -> None:
        self.partition = partition
        self.said: list[Any] = []
        self.snapshots = 0
        self._number = number
        self._store = store
        self._addresses = addresses

    def apply(self, records: list[Any], latest_ms: int) -> None:
        """One batch, through to the bytes that would be sent."""
        for record in records:
            arrival = decoding.arrival(record, latest_ms=latest_ms)
            if isinstance(arrival, Arrival):
                self.partition.push(arrival)
        self.flush(list(self.partition.advance(frozenset(topics.MERGED))))

    def flush(self, emitted: list[Emission]) -> None:
        """Encode what was said and write the snapshots."""
        by_place = outgoing.addressed(emitted, (), sender=self._number, addresses=self._addresses)
        for place, given in by_place.items():
            self.said += [(place.topic, written) for written in given]
        snapshots = self.partition.flush()
        self.snapshots += max(0, len(snapshots) - 1)
        self._store.write(snapshots)


def run(task: contending.Task) -> None:
    """Do the task."""
    work = job.Job.open(task.job, task.models)
    found = asyncio.run(stand.read(task.bootstrap, job.INPUT_TOPICS))
    records = sorted(found, key=lambda record: record.timestamp)[: task.events]
    lanes = [_lane(number, work, partitions=task.partitions) for number in range(task.partitions)]
    batches = [
        (lane, [record for record in records if record.partition == number]) for number, lane in enumerate(lanes)
    ]
    progress = contending.Progress(task)
    latest_ms = time.time_ns() // 1_000_000
    done = start = 0
    while not progress.durable(done):
        for lane, own in batches:
            batch = own[start : start + BATCH]
            lane.apply(batch, latest_ms)
            done += len(batch)
        start += BATCH
    outputs = sum(len(lane.said) for lane in lanes)
    snapshots = sum(lane.snapshots for lane in lanes)
    # Not timed: as in the worker, the alarms of a partition that is behind the others ring when theirs do.
    latest_ms = max(lane.partition.watermark.at_ms or 0 for lane in lanes)
    for lane in lanes:
        lane.partition.tick(latest_ms)
        lane.flush(list(lane.partition.advance(frozenset(topics.MERGED))))
    said = task.report.with_suffix(".said")
    with said.open("w", encoding="utf-8") as file:
        for lane in lanes:
            for topic, (_, value, headers, _) in lane.said:
                identity = dict(headers)["ce_id"].decode()
                file.write(json.dumps([topic, identity, (value or b"").decode()]) + "\n")
    progress.finish(outputs=outputs, snapshots=snapshots, said=str(said))


def _lane(number: int, work: job.Job, *, partitions: int) -> Lane:
    store = MemoryStore()
    addresses = outgoing.Addresses(partitions=partitions)
    partition: Partition
    if isinstance(work, job.StepJob):
        partition = Partition(topics.MERGED, work.definitions, scorer=work.knowledge.scorer, store=store)
    else:
        definitions = loader.load("bank")
        partition = CountingPartition(topics.MERGED, definitions, scorer=Scorer(definitions.readiness()), store=store)
    return Lane(number, partition, store=store, addresses=addresses)


if __name__ == "__main__":
    run(contending.task())
