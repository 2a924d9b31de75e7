"""Quix Streams on the benchmark's job: the input topics concatenated, one state per customer in its RocksDB store.

In come the task of the command line and the input topics; out go the outputs, Quix's own changelog topic and the
report. The invariant it protects: a record counts as durable when Quix has committed the checkpoint it belongs to,
that is when outputs and changelog are acknowledged, offsets committed and the local store flushed.

What was chosen, and why:

- ``concat`` of one dataframe per topic: Quix's own way to one state across co-partitioned topics. It also merges
  the topics of a partition by timestamp, which is the order the records happened in.
- ``get_bytes`` and ``set_bytes``: the state is bytes already, so nothing is turned into JSON. Quix keeps what one
  checkpoint touched in memory and writes each customer once per checkpoint, to RocksDB and to the changelog.
- at-least-once with a changelog, the defaults; a checkpoint every ``CHECKPOINT_S`` seconds instead of Quix's five:
  it costs little, and the other contenders keep as little undone.
- The producer lingers, packs large batches and has room for a checkpoint's changelog; the consumer fetches ahead.
  Compression stays off, as it is for the other contenders.
- ``consumer_poll_timeout``: with concatenated topics it is how long a poll waits for a full buffer, one second by
  default, in which nothing is processed.
- ``broker_availability_timeout`` is off: it asks both clients after each record.
- The log is at warnings, and nothing is printed.
"""

import tempfile
from collections.abc import Iterable
from typing import Any

from quixstreams import Application, State, message_context
from quixstreams.models import Serializer, Topic, TopicConfig
from quixstreams.processing import ProcessingContext

from needstream.bench import contending, job

CHECKPOINT_S = 1.0
POLL_TIMEOUT_S = 0.05
BUFFERED_RECORDS = 10_000
"""Of a partition, and how many one poll asks for; Quix's default."""

CONSUMER = {
    "fetch.min.bytes": 65_536,
    "fetch.wait.max.ms": 50,
    "queued.min.messages": 100_000,
    "max.partition.fetch.bytes": 4_194_304,
}
PRODUCER = {
    "linger.ms": 50,
    "batch.size": 1_000_000,
    "batch.num.messages": 10_000,
    "queue.buffering.max.messages": 1_000_000,
    "compression.type": "none",
}
_STATE = "state"


class ValueOfOutput(Serializer):
    """Takes the value out of an output, whose topic and key Quix asks for separately."""

    def __call__(self, value: job.Output, *_: Any, **__: Any) -> bytes:
        """The bytes to send; none are a tombstone."""
        return value[2]  # type: ignore[return-value]  # the producer takes None


class Contender:
    """One run."""

    def __init__(self, task: contending.Task, state_folder: str) -> None:
        self._task = task
        self._job = job.Job.open(task.job, task.models)
        self._progress = contending.Progress(task)
        self._processed = 0
        self._outputs = 0
        self._app = Application(
            task.bootstrap,
            consumer_group=task.group,
            auto_offset_reset="earliest",
            commit_interval=CHECKPOINT_S,
            consumer_extra_config=CONSUMER,
            producer_extra_config=PRODUCER,
            consumer_poll_timeout=POLL_TIMEOUT_S,
            max_partition_buffer_size=BUFFERED_RECORDS,
            state_dir=state_folder,
            processing_guarantee="at-least-once",
            on_message_processed=self._count,
            broker_availability_timeout=0,
            loglevel="WARNING",
        )

    def run(self) -> None:
        """Process the task's events and write the report."""
        self._declare()
        _after_each_checkpoint(lambda: self._progress.durable(self._processed))
        self._app.run()
        self._progress.finish(
            outputs=self._outputs,
            notes=[f"Quix Streams makes states durable every {CHECKPOINT_S:.0f} s, each touched customer once."],
        )

    def _declare(self) -> None:
        config = TopicConfig(num_partitions=self._task.partitions, replication_factor=1)
        frames = [
            self._app.dataframe(
                self._app.topic(name, key_deserializer="bytes", value_deserializer="bytes", config=config)
            )
            for name in job.INPUT_TOPICS
        ]
        merged = frames[0]
        for frame in frames[1:]:
            merged = merged.concat(frame)
        topics = {
            name: self._app.topic(
                self._task.prefix + name, key_serializer="bytes", value_serializer=ValueOfOutput(), config=config
            )
            for name in job.OUTPUT_TOPICS
        }

        def chosen(said: job.Output, *_: Any) -> Topic:
            return topics[said[0]]

        said = merged.apply(self._apply, stateful=True, expand=True, metadata=True)
        said.set_headers(lambda output, *_: output[3]).to_topic(chosen, key=lambda output: output[1])

    def _apply(self, value: bytes, key: bytes, *context: Any) -> Iterable[job.Output]:
        state: State = context[-1]
        arrival = self._job.decode(message_context().topic, value, key)
        if arrival is None:
            return ()
        changed, said = self._job.apply(state.get_bytes(_STATE), arrival)
        state.set_bytes(_STATE, self._job.snapshot(changed))
        self._outputs += len(said)
        return said

    def _count(self, *_: Any) -> None:
        self._processed += 1
        if self._processed >= self._task.events:
            self._app.stop()


def _after_each_checkpoint(note: Any) -> None:
    """Have the times taken where a checkpoint is complete; Quix itself tells nobody."""
    commit = ProcessingContext.commit_checkpoint

    def commit_and_note(self: ProcessingContext, *given: Any, **named: Any) -> None:
        before = self.checkpoint
        commit(self, *given, **named)
        if self.checkpoint is not before:
            note()

    ProcessingContext.commit_checkpoint = commit_and_note


def main() -> None:
    """Run the task of the command line."""
    task = contending.task()
    with tempfile.TemporaryDirectory(prefix="state-", dir=task.report.parent) as folder:
        Contender(task, folder).run()


if __name__ == "__main__":
    main()
