"""Bytewax on the benchmark's job: its Kafka connector or a source that merges, a stateful operator, recovery on.

In come the task of the command line and the input topics; out go the outputs, Bytewax's own recovery store (SQLite)
and the report. The invariant it protects: a record counts as durable when the epoch it belongs to is closed and in
the recovery store; outputs are acknowledged before that, because the sink flushes each batch.

What was chosen, and why:

- For counting, where order does not matter, the Kafka connector that comes with Bytewax, as most users would.
- For the other jobs a source of our own over ``FixedPartitionedSource``, the documented way to one: each of its
  partitions reads the five topics of one partition number and merges them by timestamp, with the offsets as its state.
  The connector reads each topic by itself, so that a backlog of one topic runs away from the others and most events
  come late; it also makes a frozen dataclass of eight fields for each record. ``bytewax_merged`` counts with this
  source, too: that is quicker than the connector, so both are shown.
- ``stateful_batch`` with the state as a live value, turned into bytes once per epoch in which a customer was
  touched: what ``snapshot`` is for. One call per customer and batch instead of one per event.
- Recovery with an epoch of ``EPOCH_S`` seconds, one recovery partition for the one worker. Bytewax keeps states on
  its own disk and has no changelog topic: less work than the others', and less durable.
- Large batches, because the sink of the connector waits for its acknowledgements after each batch. The producer
  does not linger: it is always flushed.
- One worker, as there is one core; the web server for inspecting dataflows is off.
"""

import os
import tempfile
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main
from confluent_kafka import Consumer, KafkaException, TopicPartition

from needstream.bench import contending, job, merging

EPOCH_S = 1.0
RECORDS_PER_BATCH = 5_000
POLL_S = 0.001
"""How long a poll may wait; what the connector of Bytewax waits, whose worker must not be held up."""

CONSUMER = {"enable.auto.commit": False, "fetch.wait.max.ms": 50, "max.partition.fetch.bytes": 4_194_304}
READER = {"fetch.wait.max.ms": "50", "max.partition.fetch.bytes": "4194304"}
PRODUCER = {"batch.size": "1000000", "queue.buffering.max.messages": "1000000"}

Change = tuple[str, bytes, bytes]
"""Topic, value and key of an input record."""

Offsets = dict[str, int]
"""Topic to the offset of the next record."""


class _Record:
    """What ``merging.InOrder`` asks of a record."""

    __slots__ = ("key", "offset", "timestamp", "value")

    def __init__(self, message: Any) -> None:
        self.timestamp = message.timestamp()[1]
        self.offset = message.offset()
        self.key = message.key()
        self.value = message.value()


class Contender:
    """One run: what all its steps share."""

    def __init__(self, task: contending.Task, *, is_merged: bool) -> None:
        self.task = task
        self.is_merged = is_merged
        self.job = job.Job.open(task.job, task.models)
        self.progress = contending.Progress(task)
        self.processed = 0
        self.outputs = 0
        self.closed_at = 0
        """How many records had been processed when an epoch was closed; 0 when that has been noted."""

    def run(self, recovery_folder: Path) -> None:
        """Process the task's events and write the report."""
        init_db_dir(recovery_folder, 1)
        cli_main(
            self._flow(),
            epoch_interval=timedelta(seconds=EPOCH_S),
            recovery_config=RecoveryConfig(str(recovery_folder)),
        )
        self.progress.durable(self.processed)
        self.progress.finish(
            outputs=self.outputs,
            notes=[
                "Bytewax keeps its states on the local disk, without a changelog topic.",
                f"Bytewax makes states durable once per epoch of {EPOCH_S:.0f} s, each touched customer once.",
            ],
        )

    def note_durable(self) -> None:
        """Note the epoch that was closed: what is called after it finds it in the recovery store."""
        if self.closed_at:
            self.progress.durable(self.closed_at)
            self.closed_at = 0

    def _flow(self) -> Dataflow:
        flow = Dataflow(f"bench_{self.task.job}")
        if self.is_merged:
            changes = op.input("inputs", flow, MergedSource(self))
        else:
            topics = [*job.INPUT_TOPICS]
            source = KafkaSource(
                [self.task.bootstrap], topics, tail=False, add_config=READER, batch_size=RECORDS_PER_BATCH
            )
            changes = op.map("changes", op.input("inputs", flow, source), _change)
        said = op.stateful_batch("customers", changes, lambda stored: CustomerLogic(self, stored))
        op.output("outputs", op.key_rm("values", said), KafkaSink([self.task.bootstrap], None, PRODUCER))
        return flow


def _change(message: Any) -> tuple[str, Change]:
    return message.key.decode(), (message.topic, message.value, message.key)


class MergedSource(FixedPartitionedSource[tuple[str, Change], Offsets]):
    """The input topics; one partition for each partition number."""

    def __init__(self, run: Contender) -> None:
        self._run = run

    def list_parts(self) -> list[str]:
        """The partition numbers."""
        return [str(number) for number in range(self._run.task.partitions)]

    def build_part(  # noqa: PLR0917 - as Bytewax calls it
        self, step_id: str, for_part: str, resume_state: Offsets | None
    ) -> "MergedPartition":
        """Start reading one of them, or go on."""
        return MergedPartition(self._run, int(for_part), resume_state=resume_state)


class MergedPartition(StatefulSourcePartition[tuple[str, Change], Offsets]):
    """One partition number of all input topics, merged by timestamp, up to where the topics end now."""

    def __init__(self, run: Contender, number: int, *, resume_state: Offsets | None) -> None:
        self._run = run
        self._next: Offsets = dict.fromkeys(job.INPUT_TOPICS, 0) | (resume_state or {})
        self._consumer = Consumer({"bootstrap.servers": run.task.bootstrap, "group.id": run.task.group, **CONSUMER})
        ends = {topic: self._consumer.get_watermark_offsets(TopicPartition(topic, number))[1] for topic in self._next}
        self._open = {topic: end for topic, end in ends.items() if end > self._next[topic]}
        self._merged = merging.InOrder({(topic, number): end for topic, end in self._open.items()})
        self._consumer.assign([TopicPartition(topic, number, self._next[topic]) for topic in self._open])

    def next_batch(self) -> Iterable[tuple[str, Change]]:
        """What may leave next, keyed by customer.

        Raises:
            StopIteration: everything has left.
        """
        run = self._run
        run.note_durable()
        if not self._open:
            raise StopIteration
        fetched: dict[tuple[str, int], list[_Record]] = {}
        for message in self._consumer.consume(RECORDS_PER_BATCH, POLL_S):
            if (error := message.error()) is not None:
                raise KafkaException(error)
            fetched.setdefault((message.topic(), message.partition()), []).append(_Record(message))
        for (topic, number), records in fetched.items():
            self._merged.push(topic, number, records=records)
        changes = []
        for topic, _, record in self._merged.release(RECORDS_PER_BATCH):
            changes.append((record.key.decode(), (topic, record.value, record.key)))
            self._next[topic] = record.offset + 1
        self._open = {topic: end for topic, end in self._open.items() if self._next[topic] < end}
        return changes

    def snapshot(self) -> Offsets:
        """Where to go on; asked for when an epoch is closed."""
        self._run.closed_at = self._run.processed
        return dict(self._next)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


class CustomerLogic(StatefulBatchLogic[Change, KafkaSinkMessage[bytes, bytes | None], bytes]):
    """The state of one customer."""

    def __init__(self, run: Contender, stored: bytes | None) -> None:
        self._run = run
        self._state = None if stored is None else run.job.restore(stored)

    def on_batch(self, values: list[Change]) -> tuple[Iterable[KafkaSinkMessage[bytes, bytes | None]], bool]:
        """Apply what happened to the customer."""
        run, state = self._run, self._state
        if not run.is_merged:
            run.note_durable()
        prefix = run.task.prefix
        messages: list[KafkaSinkMessage[bytes, bytes | None]] = []
        for topic, value, key in values:
            arrival = run.job.decode(topic, value, key)
            if arrival is None:
                continue
            state, said = run.job.apply(state, arrival)
            if said:
                messages += [KafkaSinkMessage(each[1], each[2], prefix + each[0], each[3]) for each in said]
        self._state = state
        run.processed += len(values)
        run.outputs += len(messages)
        return messages, self.RETAIN

    def snapshot(self) -> bytes:
        """The state as bytes; the live one goes on changing."""
        if not self._run.is_merged:
            self._run.closed_at = self._run.processed
        return self._run.job.snapshot(self._state)


def main(*, always_merged: bool = False) -> None:
    """Run the task of the command line."""
    os.environ["BYTEWAX_DATAFLOW_API_ENABLED"] = "false"
    task = contending.task()
    with tempfile.TemporaryDirectory(prefix="recovery-", dir=task.report.parent) as folder:
        os.chdir(folder)  # where Bytewax writes a description of the dataflow
        Contender(task, is_merged=always_merged or task.job != "count").run(Path(folder))


if __name__ == "__main__":
    main()
