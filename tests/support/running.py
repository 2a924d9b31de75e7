"""A worker in a process of its own, as a user runs it, and what it published."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from kafka import KafkaConsumer, TopicPartition

from needstream.streams import topics

CAUGHT_UP_WITHIN_S = 120.0
STOPPED_WITHIN_S = 30.0


class RunningWorker:
    """A started worker process and its pages."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.log = log
        self._port = port

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of a page; status 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read()
        except OSError:
            return 0, b""

    def records(self) -> float:
        """Return how many records it has read."""
        lines = self.get("/metrics")[1].decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("needstream_records_total{"))

    def await_caught_up(self, records: int) -> None:
        """Return once it has read at least `records` and applied all of them."""
        deadline = time.monotonic() + CAUGHT_UP_WITHIN_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            status, body = self.get("/ready")
            if status == 200 and orjson.loads(body)["caught_up"] and self.records() >= records:
                return
            time.sleep(0.2)
        raise AssertionError(self.log.read_text()[-4000:])

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOPPED_WITHIN_S)


@contextlib.contextmanager
def worker(
    bootstrap: str, directory: Path, *, before: str = "", name: str = "worker", **settings: str
) -> Iterator[RunningWorker]:
    """Run `needstream worker`; settings are the lower-case names of the environment's.

    Its log is `<name>.log` in the directory; `before` is what its process does first.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {variable: given for variable, given in os.environ.items() if not variable.startswith("NEEDSTREAM_")}
    chosen = {"broker": bootstrap, "web_port": str(port), "data_dir": str(directory / "state"), **settings}
    environment |= {f"NEEDSTREAM_{variable.upper()}": given for variable, given in chosen.items()}
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / f"{name}.log"
    program = f"{before}\nfrom needstream.streams.cli.main import run; run()"
    with log.open("ab") as lines:
        process = subprocess.Popen(
            [sys.executable, "-c", program, "worker"], env=environment, stdout=lines, stderr=lines
        )
    try:
        yield RunningWorker(process, port, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def published(bootstrap: str, topic: str) -> list[Any]:
    """Return every record of a topic, oldest first within a partition."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
    try:
        places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends = consumer.end_offsets(places)
        found: list[Any] = []
        while any(consumer.position(place) < ends[place] for place in places):
            for records in consumer.poll(timeout_ms=500).values():
                found.extend(records)
    finally:
        consumer.close()
    return found


def by_id(values: list[bytes], identity: str) -> dict[str, Any]:
    """Return payloads by id without what depends on processing time."""
    rows = [orjson.loads(value) for value in values]
    return {row[identity]: {name: part for name, part in row.items() if name != "decided_at"} for row in rows}


IDENTITIES = {
    topics.NEED_SIGNALS: "signal_id",
    topics.CHURN_ALERTS: "signal_id",
    topics.ALERTS: "signal_id",
    topics.DECISIONS: "decision_id",
    topics.LABELLED_EXAMPLES: "example_id",
}
