"""Contenders as processes of their own, each pinned to one core, and what they cost.

In comes a command, out comes its report or why there is none. The invariant it protects: nothing that is started is
left behind, and a contender never shares its core with the broker where there are two.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = Path(".venv/contenders")
"""A contender with packages of its own has its virtual environment here, in a folder of its name."""

SAMPLE_EVERY_S = 0.02
_TAIL_CHARACTERS = 1_500
_ENDING = (signal.SIGTERM, signal.SIGINT)
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class ContenderFailed(RuntimeError):
    """Raised when a contender did not come to its end; the message has what it said last."""


def cores() -> tuple[int, int] | None:
    """The core of the broker and that of the contenders; None where processes cannot be pinned to two."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[-1]) if len(allowed) > 1 else None


def pin_here(core: int | None) -> None:
    """Keep this process, and all it starts from now on, on one core."""
    if core is not None:
        os.sched_setaffinity(0, {core})


@contextlib.contextmanager
def pinned_here(core: int | None) -> Iterator[None]:
    """The same for a while."""
    allowed = os.sched_getaffinity(0) if core is not None else set()
    pin_here(core)
    try:
        yield
    finally:
        if allowed:
            os.sched_setaffinity(0, allowed)


def environment_of(name: str) -> str:
    """The framework a contender is a variant of: its name up to an underscore."""
    return name.partition("_")[0]


def python_of(name: str) -> str:
    """The interpreter of a contender: that of its own environment, else this one."""
    own = ROOT / ENVIRONMENTS / environment_of(name) / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def missing(name: str) -> str | None:
    """Why a contender cannot run here; None if it can."""
    program = f"import importlib; importlib.import_module('needstream.bench.contenders.{name}')"
    tried = subprocess.run(
        [python_of(name), "-c", program],
        env=_environment({}),
        capture_output=True,
        text=True,
        check=False,
    )
    return None if tried.returncode == 0 else tried.stderr.strip().splitlines()[-1]


@contextlib.contextmanager
def ended_in_order() -> Iterator[None]:
    """For a while SIGTERM and SIGINT end this process as Ctrl-C does, so that what it has started is ended with it.

    Ctrl-C is no matter of course: a shell starts what runs in its background with SIGINT ignored. Only the first signal
    counts: a second one would break off what the first one has to end.
    """
    before = {number: signal.signal(number, _end) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextlib.contextmanager
def started(
    command: Sequence[str], core: int | None, *, log: Path, settings: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A running process on this core, in a process group of its own that is ended in any case."""
    with log.open("ab") as lines:
        process = subprocess.Popen(
            command, env=_environment(settings or {}), stdout=lines, stderr=lines, start_new_session=True
        )
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run(command: Sequence[str], core: int | None, *, log: Path, within_s: float) -> None:
    """Run a contender to its end.

    Raises:
        ContenderFailed: it failed, or took too long.
    """
    with started(command, core, log=log) as process:
        try:
            code = process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise ContenderFailed(f"not done within {within_s:.0f} s; {tail(log)}") from None  # noqa: EM102
    if code:
        raise ContenderFailed(f"exit code {code}; {tail(log)}")  # noqa: EM102


def tail(log: Path) -> str:
    """The end of what a process said."""
    return log.read_text(encoding="utf-8", errors="replace")[-_TAIL_CHARACTERS:].strip()


class CpuCurve:
    """CPU seconds of a process over time, read from /proc without disturbing it."""

    def __init__(self, pid: int) -> None:
        self._stat = Path(f"/proc/{pid}/stat")
        self._at_s: list[float] = []
        self._cpu_s: list[float] = []
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    def stop(self) -> None:
        """Sample no more."""
        self._over.set()
        self._sampler.join()

    def at(self, moment_s: float) -> float:
        """CPU seconds, all threads, at a moment of `time.time`, between two samples by a straight line."""
        place = bisect_left(self._at_s, moment_s)
        if place in {0, len(self._at_s)}:
            return self._cpu_s[min(place, len(self._cpu_s) - 1)]
        before_s, after_s = self._at_s[place - 1 : place + 1]
        share = (moment_s - before_s) / (after_s - before_s)
        return self._cpu_s[place - 1] + share * (self._cpu_s[place] - self._cpu_s[place - 1])

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_EVERY_S):
            try:
                fields = self._stat.read_text(encoding="ascii").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                return
            self._at_s.append(time.time())
            self._cpu_s.append((int(fields[11]) + int(fields[12])) * _TICK_S)


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's variables without needstream's, one thread for number crunching, and the settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEEDSTREAM_")}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**kept, **threads, "PYTHONPATH": path, **settings}
