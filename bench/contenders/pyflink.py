"""PyFlink on the benchmark's job: the inputs as a sorted table, a keyed process function with state, checkpoints.

In come the task of the command line and the input topics; out go the outputs, Flink's checkpoints and the report.
The invariant it protects: a record counts as durable when a checkpoint that was triggered after it is complete; the
sink has flushed by then.

What was chosen, and why:

- One process: Flink's own small cluster inside the program, one slot, as there is one core. CPU time is that of
  Python and Java together.
- Table connectors around a DataStream program. The Kafka connector of PyFlink's DataStreams gives values without
  keys, topics or timestamps and sends no headers; that of its tables does all of it, in Java.
- ``ORDER BY`` the record's timestamp, with the timestamp as watermark: Flink's own temporal sort merges the topics,
  in Java. Without it a backlog of one topic runs away from the others and most events come late.
- ``thread`` mode: Python inside the Java process, without sockets and serialisation between two processes; keyed
  state is read and written directly. ``key_by`` is a Python function of its own all the same.
- The state is bytes in a ``ValueState`` of the heap backend, the fastest for states that fit; checkpoints go to
  local files, at least once, every ``CHECKPOINT_S`` seconds. Flink has no changelog topic: its checkpoints hold the
  whole state each time.
- Object reuse is on, bundles are large, the producer lingers and packs large batches.
- The inputs are read up to where they end now: what the sort still holds leaves when they end.
"""

import contextlib
import mmap
import os
import socket
import struct
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from pyflink.common import Configuration, Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.datastream.state import ValueStateDescriptor
from pyflink.table import StreamTableEnvironment, Table

from needstream.bench import contending, job

CHECKPOINT_S = 1.0
LOOK_EVERY_S = 0.05
CONNECTOR = Path(sys.prefix) / "flink-sql-connector-kafka.jar"
"""Where ``environments`` puts the connector."""

_COUNTS = "<qq"
_SAID = Types.ROW_NAMED(
    ["topic", "said_key", "said", "headers"],
    [
        Types.STRING(),
        Types.PRIMITIVE_ARRAY(Types.BYTE()),
        Types.PRIMITIVE_ARRAY(Types.BYTE()),
        Types.MAP(Types.STRING(), Types.PRIMITIVE_ARRAY(Types.BYTE())),
    ],
)


class Counts:
    """How many records were processed and said: the function tells the program through a shared file."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:
            self._shared = mmap.mmap(file.fileno(), struct.calcsize(_COUNTS))

    @classmethod
    def create(cls, path: Path) -> "Counts":
        """A file with zeros."""
        path.write_bytes(bytes(struct.calcsize(_COUNTS)))
        return cls(str(path))

    def write(self, processed: int, outputs: int) -> None:
        """Replace both."""
        struct.pack_into(_COUNTS, self._shared, 0, processed, outputs)

    def read(self) -> tuple[int, int]:
        """Records processed, outputs said."""
        processed, outputs = struct.unpack_from(_COUNTS, self._shared, 0)
        return processed, outputs


class CustomerFunction(KeyedProcessFunction):  # type: ignore[misc]  # PyFlink ships no types
    """The state of the customer whose event it is given."""

    def __init__(self, task: contending.Task, counts: Path) -> None:
        self._name, self._prefix = task.job, task.prefix
        self._models = None if task.models is None else str(task.models)
        self._counts_path = str(counts)

    def open(self, runtime_context: RuntimeContext) -> None:
        """Called where it will work, before the first event."""
        self._job = job.Job.open(self._name, self._models)
        self._state = runtime_context.get_state(ValueStateDescriptor("state", Types.PICKLED_BYTE_ARRAY()))
        self._counts = Counts(self._counts_path)
        self._processed = self._outputs = 0

    def process_element(self, value: Row, _: Any) -> Iterator[Row]:
        """Apply an event; yields what is said."""
        customer, topic, event = value
        arrival = self._job.decode(topic, event, customer.encode())
        if arrival is not None:
            changed, said = self._job.apply(self._state.value(), arrival)
            self._state.update(self._job.snapshot(changed))
            self._outputs += len(said)
            for name, key, payload, headers in said:
                yield Row(self._prefix + name, key, payload, dict(headers))
        self._processed += 1
        self._counts.write(self._processed, self._outputs)


class Watch(contending.Progress):
    """Takes the times: of the warm-up at its first checkpoint, of the end when Flink has finished."""

    def __init__(self, task: contending.Task, counts: Counts, *, port: int) -> None:
        super().__init__(task)
        self._counts = counts
        self._url = f"http://127.0.0.1:{port}/jobs/"
        self._samples: list[tuple[float, int]] = []
        self._over = threading.Event()

    def start(self, job_id: str) -> None:
        """Look on from a thread until the warm-up is durable."""
        self._looking = threading.Thread(target=self._look, args=(job_id,), daemon=True)
        self._looking.start()

    def stop(self) -> None:
        """Look no more; from here on the times are taken by this thread alone."""
        self._over.set()
        self._looking.join()

    def _look(self, job_id: str) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            processed, _ = self._counts.read()
            self._samples.append((time.time(), processed))
            if processed < self._task.warm_up:
                continue
            durable = self._processed_at(self._newest_checkpoint_s(job_id))
            if durable >= self._task.warm_up:
                self.durable(durable)
                return

    def _newest_checkpoint_s(self, job_id: str) -> float:
        """When the newest complete checkpoint was triggered; 0 without one."""
        try:
            with urllib.request.urlopen(f"{self._url}{job_id}/checkpoints", timeout=5) as answer:
                newest = orjson.loads(answer.read())["latest"]["completed"]
        except OSError:
            return 0.0
        return 0.0 if newest is None else float(newest["trigger_timestamp"]) / 1000

    def _processed_at(self, moment_s: float) -> int:
        return max((processed for at_s, processed in self._samples if at_s <= moment_s), default=0)

    def _mark(self, count: int) -> None:
        self._marks.append({"events": count, "monotonic_s": time.monotonic(), "cpu_s": cpu_seconds_of_all()})


def cpu_seconds_of_all() -> float:
    """CPU seconds of this process and all below it, ended ones included: the Java process is not waited for."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            process = int(stat.parent.name)
            parents[process] = int(fields[1])
            ticks[process] = sum(map(int, fields[11:15]))
    ours, found = {os.getpid()}, True
    while found:
        found = {process for process, parent in parents.items() if parent in ours} - ours
        ours |= found
    return sum(ticks[process] for process in ours) / os.sysconf("SC_CLK_TCK")


def run(task: contending.Task, scratch: Path) -> None:
    """Do the task."""
    counts_file = scratch / "counts"
    counts = Counts.create(counts_file)
    port = _free_port()
    environment = StreamExecutionEnvironment.get_execution_environment(_configuration(port, scratch))
    tables = StreamTableEnvironment.create(environment)
    changes = tables.to_data_stream(_inputs(tables, task))
    said = changes.key_by(lambda change: change[0], Types.STRING()).process(CustomerFunction(task, counts_file), _SAID)
    _declare_outputs(tables, task)
    statements = tables.create_statement_set()
    statements.add_insert("outputs", tables.from_data_stream(said))
    statements.attach_as_datastream()
    watch = Watch(task, counts, port=port)
    running = environment.execute_async(f"bench-{task.job}")
    watch.start(str(running.get_job_id()))
    running.get_job_execution_result().result()
    watch.stop()
    processed, outputs = counts.read()
    watch.durable(processed)
    watch.finish(
        outputs=outputs,
        notes=[
            "PyFlink keeps its states in checkpoints on the local disk, without a changelog topic.",
            f"PyFlink makes states durable every {CHECKPOINT_S:.0f} s.",
            "PyFlink's Java virtual machine shares the one core with its compiler and garbage collector.",
        ],
    )


def _configuration(port: int, scratch: Path) -> Configuration:
    configuration = Configuration()
    for name, value in {
        "pipeline.jars": CONNECTOR.as_uri(),
        "pipeline.object-reuse": "true",
        "parallelism.default": "1",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "python.execution-mode": "thread",
        "python.fn-execution.bundle.size": "10000",
        "python.fn-execution.bundle.time": "100",
        "python.state.cache-size": "100000",
        "state.backend.type": "hashmap",
        "execution.checkpointing.interval": f"{CHECKPOINT_S * 1000:.0f} ms",
        "execution.checkpointing.mode": "AT_LEAST_ONCE",
        "execution.checkpointing.dir": (scratch / "checkpoints").as_uri(),
        "restart-strategy.type": "none",
        "rest.port": str(port),
        "rest.bind-port": str(port),
    }.items():
        configuration.set_string(name, value)
    return configuration


def _inputs(tables: StreamTableEnvironment, task: contending.Task) -> Table:
    tables.execute_sql(f"""
        CREATE TABLE inputs (
            customer STRING,
            event BYTES,
            topic STRING METADATA VIRTUAL,
            sent_at TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
            WATERMARK FOR sent_at AS sent_at
        ) WITH (
            'connector' = 'kafka',
            'topic' = '{";".join(job.INPUT_TOPICS)}',
            'properties.bootstrap.servers' = '{task.bootstrap}',
            'properties.group.id' = '{task.group}',
            'scan.startup.mode' = 'earliest-offset',
            'scan.bounded.mode' = 'latest-offset',
            'key.format' = 'raw', 'key.fields' = 'customer',
            'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY'
        )""")
    return tables.sql_query("SELECT customer, topic, event FROM inputs ORDER BY sent_at")


def _declare_outputs(tables: StreamTableEnvironment, task: contending.Task) -> None:
    tables.execute_sql(f"""
        CREATE TABLE outputs (
            topic STRING METADATA,
            said_key BYTES,
            said BYTES,
            headers MAP<STRING, BYTES> METADATA
        ) WITH (
            'connector' = 'kafka',
            'topic' = '{";".join(task.prefix + topic for topic in job.OUTPUT_TOPICS)}',
            'properties.bootstrap.servers' = '{task.bootstrap}',
            'properties.linger.ms' = '50', 'properties.batch.size' = '1000000',
            'sink.delivery-guarantee' = 'at-least-once',
            'key.format' = 'raw', 'key.fields' = 'said_key',
            'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY'
        )""")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Run the task of the command line."""
    task = contending.task()
    # Java starts a Python of its own, which does not know this one's environment.
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    with tempfile.TemporaryDirectory(prefix="flink-", dir=task.report.parent) as scratch:
        run(task, Path(scratch))


if __name__ == "__main__":
    main()
