"""A broker that runs as a child process of ours: free port, own process group, never left behind.

It ends with us three ways: `close` (or the context manager), `atexit`, and on Linux the kernel's parent-death signal,
which also covers a parent that is killed. Standard output and error go to `broker.log` in the data directory.
"""

import atexit
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from needstream.streams.brokers import interface

HOST = "127.0.0.1"
LOG_TAIL_LINES = 15
STOP_TIMEOUT_S = 15.0
PR_SET_PDEATHSIG = 1


class LocalBroker(interface.Broker):
    """Base of the brokers we start ourselves; the port and the data survive `stop` and `kill`."""

    #: How long a start may take until the first answered metadata request.
    start_timeout_s: float = 30.0

    def __init__(self, directory: Path | None = None) -> None:
        self._temporary = directory is None
        self.directory: Path = Path(tempfile.mkdtemp(prefix="needstream-broker-")) if directory is None else directory
        self._port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    @property
    def port(self) -> int:
        """The port clients connect to, chosen on first use and then kept."""
        if self._port is None:
            self._port = free_port()
        return self._port

    @property
    def bootstrap(self) -> str:
        """The address clients connect to, `127.0.0.1:port`."""
        return f"{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """The broker's own output, appended over restarts."""
        return self.directory / "broker.log"

    @property
    def running(self) -> bool:
        """Tell whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @abstractmethod
    def prepare(self) -> Sequence[str]:
        """Get everything ready on disk and return the command that runs the broker in the foreground."""

    def start(self) -> str:
        """Start the process, wait for its first answer and return `bootstrap`; does nothing when it runs already."""
        if self.running:
            return self.bootstrap
        self.directory.mkdir(parents=True, exist_ok=True)
        command = self.prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent(),  # noqa: PLW1509 - only calls into the C library
            )
        if not interface.await_answer(self.bootstrap, self.start_timeout_s, alive=lambda: self.running):
            code = self._process.poll()
            happened = f"exited with code {code}" if code is not None else f"gave no answer in {self.start_timeout_s} s"
            self.kill()
            msg = f"the {self.name} broker at {self.bootstrap} {happened}; the end of {self.log} says:\n{self.tail()}"
            raise interface.BrokerUnavailable(msg)
        return self.bootstrap

    def stop(self) -> None:
        """Ask the process to end (SIGTERM) and wait; after 15 s it is killed."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process as a power cut would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop, and remove the data directory when it was a temporary one."""
        self.stop()
        atexit.unregister(self.close)
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def tail(self) -> str:
        """Return the last lines of the log."""
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
        return "(no log)"

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        # The child leads its own group: what it started ends with it.
        for number in (how, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT_S)
                return


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _end_with_parent() -> Callable[[], None] | None:
    # The kernel sends the signal when the *thread* that forked ends, so this is only right on the main thread.
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
