"""Merges the inputs of each partition number by record timestamp, for contenders that do not merge by themselves.

In come the fetched records of each topic and partition, out come records in the order they happened. The invariant it
protects: a record leaves only once every input of its partition number that has more to give shows what it has next.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol


class Timed(Protocol):
    """A record as the clients give it, with ``timestamp`` and ``offset`` as attributes."""

    timestamp: int
    offset: int


class InOrder:
    """What was fetched and may not leave yet.

    Args:
        ends: by topic and partition number the offset behind the last record.
    """

    def __init__(self, ends: Mapping[tuple[str, int], int]) -> None:
        self._left = {place: end for place, end in ends.items() if end > 0}
        self._waiting: dict[int, dict[str, deque[Any]]] = {}
        for topic, number in self._left:
            self._waiting.setdefault(number, {})[topic] = deque()

    def push(self, topic: str, number: int, *, records: list[Any]) -> None:
        """Take in what was fetched, in offset order."""
        self._waiting[number][topic].extend(records)

    def release(self, most: int) -> list[tuple[str, int, Any]]:
        """What may leave now, at most so many of each partition number, as topic, partition number and record."""
        released: list[tuple[str, int, Any]] = []
        for number, waiting in self._waiting.items():
            for _ in range(most):
                if not waiting or not all(waiting.values()):
                    break
                topic = min(waiting, key=lambda name: waiting[name][0].timestamp)
                record = waiting[topic].popleft()
                if record.offset + 1 >= self._left[topic, number]:
                    del waiting[topic]
                released.append((topic, number, record))
        return released
