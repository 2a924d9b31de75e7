"""A worker as a user runs it, in a process of its own, and what can be seen of it from outside.

In come settings; out go how many records it has read and applied, its processor time and its memory. The invariant it
protects: looking costs the worker no more than a scrape of its metrics now and then.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import orjson

from needstream.bench import job, processes
from needstream.streams.brokers.local import free_port

LOOK_EVERY_S = 0.4
STOPPED_WITHIN_S = 60.0
PROGRAM = ("-c", "from needstream.streams.cli.main import run; run()", "worker")
_MB = 1024


class Memory(msgspec.Struct, frozen=True):
    """Memory of a process in MB: resident, the anonymous part of it, and the most there ever was."""

    rss_mb: float
    anonymous_mb: float
    peak_mb: float


class WorkerProcess:
    """A started worker."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, *, log: Path) -> None:
        self.process = process
        self.cpu = processes.CpuCurve(process.pid)
        self.log = log
        self._port = port

    def page(self, path: str) -> bytes:
        """A page; empty while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=10) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return b""
        except OSError:
            return b""

    def applied(self) -> int:
        """How many records were read and no longer wait; 0 until its partitions are open."""
        told = self.page("/ready")
        if not told:
            return 0
        return int(self.records() - orjson.loads(told)["waiting"])

    def records(self) -> float:
        """How many records were read."""
        lines = self.page("/metrics").decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("needstream_records_total{"))

    def assigned(self) -> int:
        """How many partitions it has, all of them open; 0 before."""
        told = self.page("/ready")
        return int(orjson.loads(told)["open"]) if told else 0

    def is_caught_up(self) -> bool:
        """Whether everything there is was applied."""
        told = self.page("/ready")
        return bool(told) and bool(orjson.loads(told)["caught_up"])

    def is_ready(self) -> bool:
        """Whether it has partitions and all of them are open."""
        return bool(self.page("/ready"))

    def require(self) -> None:
        """Return if it still runs.

        Raises:
            ContenderFailed: it ended.
        """
        if self.process.poll() is not None:
            msg = f"the worker ended with exit code {self.process.returncode}; {processes.tail(self.log)}"
            raise processes.ContenderFailed(msg)

    def await_applied(self, records: int, *, within_s: float) -> None:
        """Return once it has applied so many records since it started and has caught up."""
        deadline_s = time.monotonic() + within_s
        while not (self.is_caught_up() and self.applied() >= records):
            self.require()
            if time.monotonic() > deadline_s:
                msg = f"{self.applied():,} of {records:,} records within {within_s:.0f} s; {processes.tail(self.log)}"
                raise processes.ContenderFailed(msg)
            time.sleep(LOOK_EVERY_S)

    def await_ready(self, *, within_s: float) -> None:
        """Return once its partitions are open."""
        deadline_s = time.monotonic() + within_s
        while not self.is_ready():
            self.require()
            if time.monotonic() > deadline_s:
                msg = f"not ready within {within_s:.0f} s; {processes.tail(self.log)}"
                raise processes.ContenderFailed(msg)
            time.sleep(LOOK_EVERY_S)

    def memory(self) -> Memory:
        """What it takes now."""
        return memory(self.process.pid)

    def stop(self) -> None:
        """Ask it to end and wait."""
        self.cpu.stop()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOPPED_WITHIN_S)


@contextlib.contextmanager
def started(
    folder: Path, settings: Mapping[str, str], *, core: int | None = None, program: Sequence[str] = PROGRAM
) -> Iterator[WorkerProcess]:
    """A running worker, ended in any case.

    Args:
        folder: for its log and its states.
        settings: NEEDSTREAM_ variables; address of the web server, data folder and log level are set here.
        core: where it runs; anywhere without it.
        program: what its interpreter runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    log = folder / "worker.log"
    given = {
        "NEEDSTREAM_WEB_PORT": str(port),
        "NEEDSTREAM_DATA_DIR": str(folder / "state"),
        "NEEDSTREAM_LOG_LEVEL": "WARNING",
        "NEEDSTREAM_MODEL_KEY": job.KEY.decode(),
        **settings,
    }
    with processes.started([sys.executable, *program], core, log=log, settings=given) as process:
        worker = WorkerProcess(process, port, log=log)
        try:
            yield worker
        finally:
            worker.stop()


def end_in_order() -> None:
    """From now on SIGTERM ends this process as Ctrl-C does, so that what it has started is ended with it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def memory(pid: int) -> Memory:
    """What a process takes now, from /proc."""
    found = dict.fromkeys(("VmRSS", "RssAnon", "VmHWM"), 0.0)
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        field, _, value = line.partition(":")
        if field in found:
            found[field] = round(int(value.split()[0]) / _MB, 1)
    return Memory(found["VmRSS"], found["RssAnon"], found["VmHWM"])


def children() -> list[int]:
    """The processes this one has started and that still run."""
    own = os.getpid()
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]) == own:
                found.append(int(stat.parent.name))
    return sorted(found)
