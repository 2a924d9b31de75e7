"""Workers as processes of their own, as a user runs them: started, asked, stopped, killed.

In: settings by their lower-case names. Out: processes, and what their pages say. Every process that was started here is
gone when its fleet closes. A worker that ends without being asked to is written down as a failure.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson

from needstream.streams.brokers import local

PROGRAM = "from needstream.streams.cli.main import run; run()"
STOP_WITHIN_S = 60.0
LOOK_S = 0.05
ASK_WITHIN_S = 5.0
LOG_LINES = 3
MOST_FAILURES = 8


class Hopeless(RuntimeError):
    """Raised when workers fail again and again; names the newest failure."""


class Worker:
    """One worker process; `slot` is its place in the fleet, which keeps its folder over restarts."""

    def __init__(self, slot: int, folder: Path, *, settings: dict[str, str]) -> None:
        self.slot = slot
        self.log = folder / f"worker-{slot}.log"
        self._port = local.free_port()
        chosen = {**settings, "web_port": str(self._port), "data_dir": str(folder / f"state-{slot}")}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NEEDSTREAM_")}
        environment |= {f"NEEDSTREAM_{name.upper()}": value for name, value in chosen.items()}
        self.started_s = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, "worker"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def ready(self) -> dict[str, Any]:
        """What `/ready` says; empty while nobody answers."""
        return _object(self._get("/ready"))

    def figure(self, name: str) -> float:
        """The sum of a metric over its labels; 0 while nobody answers."""
        lines = self._get("/metrics").decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait()

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int | None:
        """Send SIGTERM and return the exit code; None when it did not end in time and was killed."""
        self.ask_to_stop()
        try:
            return self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def last_words(self) -> str:
        """The end of its log, which names no customer."""
        lines = self.log.read_text(errors="replace").splitlines()
        return " | ".join(line[:300] for line in lines[-LOG_LINES:])

    def _get(self, path: str) -> bytes:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=ASK_WITHIN_S) as answer:
                body: bytes = answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                body = refused.read()
        except OSError:
            body = b""
        return body


@dataclass
class Fleet:
    """The running workers of a drill, and what went wrong with them."""

    folder: Path
    settings: dict[str, str]
    bury: Callable[[], object]
    """Called when a worker is gone without having left its group."""
    workers: list[Worker] = field(default_factory=list)
    starts: int = 0
    failures: list[str] = field(default_factory=list)
    most_failures: int = MOST_FAILURES

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_outcome: object) -> None:
        for worker in self.workers:
            if worker.code is None:
                worker.kill()

    def start(self) -> Worker:
        """Start one more worker in the lowest free slot."""
        taken = {worker.slot for worker in self.workers}
        worker = Worker(min(set(range(len(taken) + 1)) - taken), self.folder, settings=self.settings)
        self.workers.append(worker)
        self.starts += 1
        return worker

    def kill(self, worker: Worker) -> None:
        """SIGKILL; the slot is free again."""
        self.workers.remove(worker)
        worker.kill()
        self.bury()

    def stop(self, worker: Worker) -> None:
        """SIGTERM and wait; anything but exit code 0 is a failure.

        A process that is still loading its program may end by the signal itself: it has done nothing yet.
        """
        self.workers.remove(worker)
        allowed = (0,) if worker.ready() else (0, -signal.SIGTERM)
        code = worker.stop()
        self.bury()  # the embedded broker also forgets to tell the others of a leave that falls into a rebalance
        if code not in allowed:
            said = "did not stop in time" if code is None else f"stopped with exit code {code}"
            self.fail(f"worker {worker.slot} {said}: {worker.last_words()}")

    def revive(self) -> None:
        """Replace workers that ended by themselves, and write each down."""
        for worker in list(self.workers):
            if worker.code is not None:
                self.workers.remove(worker)
                told = worker.last_words()
                self.bury()
                self.fail(f"worker {worker.slot} ended by itself with exit code {worker.code}: {told}")
                self.start()

    def fail(self, failure: str) -> None:
        """Write a failure down.

        Raises:
            Hopeless: it is one too many.
        """
        self.failures.append(failure)
        if len(self.failures) > self.most_failures:
            msg = f"gave up after {len(self.failures)} failures, the newest: {failure}"
            raise Hopeless(msg)

    def wait(self, happened: Callable[[], object], timeout_s: float) -> bool:
        """Look again and again, reviving workers; tell whether it happened in time."""
        deadline = time.monotonic() + timeout_s
        while not happened():
            if time.monotonic() > deadline:
                return False
            self.revive()
            time.sleep(LOOK_S)
        return True


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
