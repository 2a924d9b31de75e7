"""Merges the inputs of one partition into event-time order.

In the manner of Kafka Streams (KIP-353, KIP-695) the smallest timestamp goes first, and an input that is known to lag
is waited for while one that has been read to its end is not. Within the allowed lateness the order is that of event
time, whatever the order of arrival: an event leaves once every input that is not at its end has passed it by the
allowed lateness. A backlog is thus replayed in event-time order for any number of partitions. A live stream is not held
up: what had arrived when all inputs were read to their ends is ripe a moment later, however busy they are.
"""

import heapq
from collections.abc import Container, Iterator, Sequence

from needstream.streams.pipeline.inputs import Arrival

_BEFORE_EVERYTHING_MS = -(2**62)


class Merger:
    """Holds back what may still be overtaken.

    Args:
        topics: the inputs; their order breaks ties of event time, the event id breaks the rest.
        allowed_lateness_ms: how far behind the newest event of its topic a record may be.
        most_waiting: beyond this many the oldest leave early, so that memory stays bounded.
    """

    def __init__(self, topics: Sequence[str], allowed_lateness_ms: int, *, most_waiting: int = 50_000) -> None:
        self._rank = {topic: rank for rank, topic in enumerate(topics)}
        self._newest_ms: dict[str, int] = {}
        self._allowed_lateness_ms = allowed_lateness_ms
        self._most_waiting = most_waiting
        self._waiting: list[tuple[int, int, str, int, Arrival]] = []
        self._pushed = 0
        self._ripe_through = 0
        self._ripe = 0
        self._offsets = {topic: Offsets() for topic in topics}

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def earliest_ms(self) -> int | None:
        """Event time of the earliest record that is held back, None without any."""
        return self._waiting[0][0] if self._waiting else None

    def push(self, arrival: Arrival) -> None:
        """Take an arrival in."""
        topic, at_ms = arrival.topic, arrival.at_ms
        self._pushed += 1
        entry = (at_ms, self._rank[topic], arrival.event.event_id, self._pushed, arrival)
        heapq.heappush(self._waiting, entry)
        self._offsets[topic].add(arrival.offset)
        newest_ms = self._newest_ms.get(topic)
        if newest_ms is None or at_ms > newest_ms:
            self._newest_ms[topic] = at_ms

    @property
    def pushed(self) -> int:
        """How many arrivals have been taken in so far: the number of the newest."""
        return self._pushed

    def ripen(self, through: int) -> None:
        """Let the arrivals up to number ``through`` leave, whatever the inputs say by now.

        What is earlier in event time leaves before them, even if it arrived after them.
        """
        if through > self._ripe_through:
            self._ripe_through = through
            self._ripe = sum(number <= through for _, _, _, number, _ in self._waiting)

    def release(self, at_end: Container[str]) -> Iterator[Arrival]:
        """What can no longer be overtaken, in order; what the caller does not take stays held back.

        Args:
            at_end: the topics that have nothing more to read now.
        """
        frontier_ms = self._frontier_ms(at_end)
        waiting = self._waiting
        while waiting and (
            frontier_ms is None or waiting[0][0] < frontier_ms or self._ripe or len(waiting) > self._most_waiting
        ):
            _, _, _, number, arrival = heapq.heappop(waiting)
            if number <= self._ripe_through:
                self._ripe -= 1
            self._offsets[arrival.topic].discard(arrival.offset)
            yield arrival

    def waiting_from(self, topic: str) -> int | None:
        """The lowest offset of the topic that is still held back, None without any."""
        return self._offsets[topic].lowest()

    def ahead(self, at_end: Container[str]) -> frozenset[str]:
        """The topics read further, by more than the lateness, than the slowest one that is still waited for.

        Args:
            at_end: the topics that have nothing more to read now; nobody waits for them.
        """
        lagging_ms = [self._newest_ms.get(topic, -1) for topic in self._rank if topic not in at_end]
        if not lagging_ms:
            return frozenset()
        limit_ms = min(lagging_ms) + self._allowed_lateness_ms
        return frozenset(topic for topic, newest_ms in self._newest_ms.items() if newest_ms > limit_ms)

    def _frontier_ms(self, at_end: Container[str]) -> int | None:
        """Event time everything before which may leave; None when everything may."""
        frontier_ms: int | None = None
        for topic in self._rank:
            if topic in at_end:
                continue
            newest_ms = self._newest_ms.get(topic)
            if newest_ms is None:
                return _BEFORE_EVERYTHING_MS
            if frontier_ms is None or newest_ms < frontier_ms:
                frontier_ms = newest_ms
        return None if frontier_ms is None else frontier_ms - self._allowed_lateness_ms


class Offsets:
    """A bag of offsets that knows its lowest: two heaps, what came in and what went out again."""

    def __init__(self) -> None:
        self._came: list[int] = []
        self._went: list[int] = []

    def add(self, offset: int) -> None:
        """Put an offset in."""
        heapq.heappush(self._came, offset)

    def discard(self, offset: int) -> None:
        """Take out an offset that was put in."""
        heapq.heappush(self._went, offset)

    def lowest(self) -> int | None:
        """The lowest offset in the bag, None if it is empty."""
        while self._went and self._went[0] == self._came[0]:
            heapq.heappop(self._went)
            heapq.heappop(self._came)
        return self._came[0] if self._came else None
