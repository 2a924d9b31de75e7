"""One act of the demo: an embedded broker, a worker in a process of its own, a producer and a reader.

Everything between them goes over the Kafka protocol, as it would in production. A worker that dies
is started again and goes on from its changelog.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

import orjson
from kafka import KafkaConsumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from needstream.streams import brokers, producing, topic_admin, topics
from needstream.streams.brokers import members

PARTITIONS = 4
GROUP = "needstream-demo"
READ_TOPICS = (topics.NEED_SIGNALS, topics.CHURN_ALERTS, topics.ALERTS, topics.DECISIONS)
SHOWN_SIGNALS = 14
STOP_TIMEOUT_S = 30.0
THREAD_TIMEOUT_S = 5.0


class WorkerFailed(RuntimeError):
    """Raised when the worker stops by itself; carries the end of its log."""


@dataclass(kw_only=True)
class Progress:
    """What the view shows; written by the threads of a stage, read by the view."""

    title: str
    total: int = 0
    sent: int = 0
    event_time_ms: int = 0
    applied_ms: int = 0
    records: float = 0.0
    caught_up: bool = False
    restarts: int = 0
    started_s: float = field(default_factory=time.monotonic)
    first_signal_s: float | None = None
    signals: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=SHOWN_SIGNALS))
    by_scenario: Counter[str] = field(default_factory=Counter)
    suppressed: Counter[str] = field(default_factory=Counter)
    quality: dict[str, dict[str, float]] = field(default_factory=dict)


class Stage:
    """Context manager that runs one pack over one folder of events.

    Args:
        pack: name of the domain pack.
        source: folder of input files.
        output: folder for what the worker publishes, as ``<topic>.jsonl``.
        pace: how fast events are sent.
        progress: where to report.
    """

    def __init__(self, pack: str, source: Path, *, output: Path, pace: producing.Pace, progress: Progress) -> None:
        self.progress = progress
        self._pack = pack
        self._source = source
        self._output = output
        self._pace = pace
        self._port = _free_port()
        self._stack = ExitStack()
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failure: BaseException | None = None
        self._read_before = 0.0
        self._bootstrap = ""
        self._worker: subprocess.Popen[bytes] | None = None
        self._log = output / "worker.log"

    def __enter__(self) -> Self:
        """Start broker, worker, reader and producer."""
        self._output.mkdir(parents=True, exist_ok=True)
        self._bootstrap = self._stack.enter_context(brokers.choose("embedded")).bootstrap
        topic_admin.apply(self._bootstrap, PARTITIONS)
        self._start_worker()
        for work in (self._produce, self._read, self._watch):
            thread = threading.Thread(target=self._guarded, args=(work,), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_outcome: object) -> None:
        """Stop the worker in an orderly way, then the broker."""
        self._ending.set()
        for thread in self._threads:
            thread.join(THREAD_TIMEOUT_S)
        if self._worker is not None:
            self._worker.send_signal(signal.SIGTERM)
            try:
                self._worker.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._worker.kill()
                self._worker.wait()
        self._stack.close()

    @property
    def worker_pid(self) -> int:
        """The worker's process, for whoever wants to kill it."""
        return self._worker.pid if self._worker else 0

    @property
    def done(self) -> bool:
        """Whether everything was sent, applied and read back.

        Raises:
            WorkerFailed: the worker cannot be kept alive.
        """
        if self._failure is not None:
            raise self._failure
        return self._sent_all and self.progress.caught_up and time.monotonic() - self._read_s > 1.0

    _sent_all = False
    _read_s = 0.0

    def _guarded(self, work: Any) -> None:
        try:
            work()
        except Exception as error:
            if not self._ending.is_set():
                self._failure = error

    def _produce(self) -> None:
        progress = self.progress

        def on_progress(sent: int, at_ms: int) -> None:
            progress.sent, progress.event_time_ms = sent, at_ms
            if self._ending.is_set():
                raise InterruptedError

        with suppress(InterruptedError):
            producing.produce(
                self._bootstrap, producing.read_folder(self._source), pace=self._pace, on_progress=on_progress
            )
        self._sent_all = True

    def _read(self) -> None:
        consumer = KafkaConsumer(bootstrap_servers=self._bootstrap, group_id=None, enable_auto_commit=False)
        with ExitStack() as stack:
            stack.callback(consumer.close)
            files = {topic: stack.enter_context((self._output / f"{topic}.jsonl").open("wb")) for topic in READ_TOPICS}
            places = [TopicPartition(topic, number) for topic in READ_TOPICS for number in range(PARTITIONS)]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            seen: set[bytes] = set()
            while not self._ending.is_set():
                for place, records in consumer.poll(timeout_ms=200).items():
                    self._read_s = time.monotonic()
                    for record in records:
                        self._take(place.topic, record, file=files[place.topic], seen=seen)

    def _take(self, topic: str, record: Any, *, file: IO[bytes], seen: set[bytes]) -> None:
        """Keep a record once: after a crash the worker may send it again with the same id."""
        identity = dict(record.headers).get("ce_id", b"")
        if identity in seen:
            return
        seen.add(identity)
        file.write(record.value + b"\n")
        told = orjson.loads(record.value)
        progress = self.progress
        if topic == topics.DECISIONS:
            if told["verdict"] == "suppressed":
                progress.suppressed[told["gate"]] += 1
            return
        if progress.first_signal_s is None:
            progress.first_signal_s = time.monotonic() - progress.started_s
        progress.by_scenario[told["scenario"]] += 1
        progress.signals.append(told)

    def _watch(self) -> None:
        """Follow the worker's own figures, and start it again when it died."""
        while not self._ending.wait(0.5):
            code = self._worker.poll() if self._worker is not None else None
            if code is not None:
                self._restart(code)
                continue
            with suppress(OSError, ValueError):
                ready = orjson.loads(self._get("/ready"))
                self._take_metrics(self._get("/metrics").decode())
                self.progress.caught_up = bool(ready["caught_up"])

    def _restart(self, code: int) -> None:
        """Start a worker again that was killed; one that gave up by itself would do so again."""
        if code >= 0:
            message = f"the worker stopped with exit code {code}; its log ends with\n{self._log_tail()}"
            raise WorkerFailed(message)
        self.progress.caught_up = False
        self.progress.restarts += 1
        self._read_before = self.progress.records
        members.expel(self._bootstrap, GROUP)
        self._start_worker()

    def _take_metrics(self, exposition: str) -> None:
        records = 0.0
        watermarks_ms = []
        for family in text_string_to_metric_families(exposition):
            for sample in family.samples:
                if sample.name == "needstream_records_total":
                    records += sample.value
                elif sample.name == "needstream_watermark_timestamp_seconds":
                    watermarks_ms.append(round(sample.value * 1000))
                elif sample.name in ("needstream_model_quality_ratio", "needstream_model_examples"):
                    figures = self.progress.quality.setdefault(sample.labels["model"], {})
                    figures[sample.labels.get("measure", "examples")] = sample.value
        self.progress.records = min(self.progress.sent, self._read_before + records)
        self.progress.applied_ms = min(watermarks_ms, default=0)

    def _get(self, path: str) -> bytes:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                body: bytes = answer.read()
        except urllib.error.HTTPError as refused:
            body = refused.read()
        return body

    def _start_worker(self) -> None:
        environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("NEEDSTREAM_")},
            "NEEDSTREAM_BROKER": self._bootstrap,
            "NEEDSTREAM_APP_ID": GROUP,
            "NEEDSTREAM_PACK": self._pack,
            "NEEDSTREAM_WEB_PORT": str(self._port),
            "NEEDSTREAM_DATA_DIR": str(self._output / "state"),
            "NEEDSTREAM_ORDERING_WAIT": "250ms",
            "NEEDSTREAM_LOG_LEVEL": "WARNING",
        }
        program = "from needstream.streams.cli.main import run; run()"
        with self._log.open("ab") as log:
            self._worker = subprocess.Popen(
                [sys.executable, "-c", program, "worker"], env=environment, stdout=log, stderr=log
            )

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
