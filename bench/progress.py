"""How far workers have come over time, and how busy the machine was: figures between two counts of events.

In come running workers, looked at a few times a second; out go times and figures between two looks by straight lines.
The invariant it protects: a span never begins before there was a look, nor before the moment it is allowed to.
"""

import os
import threading
import time
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

import msgspec

from needstream.bench.worker_process import LOOK_EVERY_S, WorkerProcess

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Span(msgspec.Struct, frozen=True):
    """What lies between two counts: events, times of `time.time`, and how long the machine's cores were busy."""

    events: float
    begin_s: float
    end_s: float
    busy_s: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end_s - self.begin_s


class Curve:
    """Values that never fall over time, with straight lines between."""

    def __init__(self) -> None:
        self.at_s: list[float] = []
        self.values: list[float] = []

    def add(self, at_s: float, value: float) -> None:
        """Add the next one."""
        self.at_s.append(at_s)
        self.values.append(max(value, self.values[-1] if self.values else value))

    def value(self, at_s: float) -> float:
        """The value at a time; the nearest end outside."""
        return _between(self.at_s, self.values, place=at_s)

    def reached_s(self, value: float) -> float:
        """When a value was reached.

        Raises:
            ValueError: it never was.
        """
        if not self.values or self.values[-1] < value:
            msg = f"{value:,.0f} events were never applied, only {max(self.values, default=0):,.0f}"
            raise ValueError(msg)
        return _between(self.values, self.at_s, place=value)


class Progress:
    """Looks at workers until it is stopped."""

    def __init__(self, workers: Sequence[WorkerProcess]) -> None:
        self.applied = Curve()
        self._busy = Curve()
        self._workers = workers
        self._over = threading.Event()
        self._looker = threading.Thread(target=self._look, daemon=True)
        self._looker.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._looker.join()

    def span(self, begin: float, end: float, *, not_before_s: float = 0.0) -> Span:
        """What lies between two counts of applied events.

        Raises:
            ValueError: it never came to so many, or nothing is left of the span.
        """
        begin_s = max(self.applied.reached_s(begin), not_before_s, self.applied.at_s[0])
        end_s = self.applied.reached_s(end)
        events = end - self.applied.value(begin_s)
        if end_s <= begin_s or events <= 0:
            msg = "everything was applied before it could be measured: more events are needed"
            raise ValueError(msg)
        return Span(events, begin_s, end_s, self._busy.value(end_s) - self._busy.value(begin_s))

    def _look(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            at_s = time.time()
            applied = sum(worker.applied() for worker in self._workers)
            at_s = (at_s + time.time()) / 2
            self.applied.add(at_s, applied)
            self._busy.add(at_s, busy_s())


def _between(places: Sequence[float], values: Sequence[float], *, place: float) -> float:
    number = bisect_left(places, place)
    if number in {0, len(places)}:
        return values[min(number, len(values) - 1)]
    share = (place - places[number - 1]) / (places[number] - places[number - 1])
    return values[number - 1] + share * (values[number] - values[number - 1])


def busy_s() -> float:
    """Seconds the machine's cores have worked since it started, for anybody."""
    user, nice, system, _, _, interrupts, soft = map(int, Path("/proc/stat").read_text(encoding="ascii").split()[1:8])
    return (user + nice + system + interrupts + soft) * _TICK_S
