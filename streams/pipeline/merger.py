"""Merges the inputs of one partition into event-time order.

In the manner of Kafka Streams (KIP-353, KIP-695) the smallest timestamp goes first, and an input that is known to lag
is waited for while one that has been read to its end is not. Within the allowed lateness the order is that of event
time, whatever the order of arrival: an event leaves once every input that is not at its end has passed it by the
allowed lateness. A backlog is thus replayed in event-time order for any number of partitions. A live stream is not held
up: what had arrived when all inputs were read to their ends is ripe a moment later, however busy they are.
"""

from collections.abc import Container, Iterator, Sequence
from heapq import heappop, heappush

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
        self._inputs = {topic: _Input(rank) for rank, topic in enumerate(topics)}
        self._allowed_lateness_ms = allowed_lateness_ms
        self._most_waiting = most_waiting
        self._waiting: list[tuple[int, int, str, int, Arrival]] = []
        self._pushed = 0
        self._ripe_through = 0
        self._ripe = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def earliest_ms(self) -> int | None:
        """Event time of the earliest record that is held back, None without any."""
        return self._waiting[0][0] if self._waiting else None

    def push(self, arrival: Arrival) -> None:
        """Take an arrival in."""
        at_ms, offset, source = arrival.at_ms, arrival.offset, self._inputs[arrival.topic]
        self._pushed = number = self._pushed + 1
        heappush(self._waiting, (at_ms, source.rank, arrival.event.event_id, number, arrival))
        heappush(source.came, offset)
        if at_ms > source.newest_ms:  # noqa: PLR1730  # half as long as a call of max, for every record
            source.newest_ms = at_ms
        if offset >= source.read_to:
            source.read_to = offset + 1

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
        waiting, inputs = self._waiting, self._inputs
        while waiting and (
            frontier_ms is None or waiting[0][0] < frontier_ms or self._ripe or len(waiting) > self._most_waiting
        ):
            _, _, _, number, arrival = heappop(waiting)
            if number <= self._ripe_through:
                self._ripe -= 1
            heappush(inputs[arrival.topic].went, arrival.offset)
            yield arrival

    def waiting_from(self, topic: str) -> int | None:
        """The lowest offset of the topic that is still held back, None without any."""
        return self._inputs[topic].lowest()

    def read_to(self, topic: str) -> int:
        """The offset behind the newest record taken in, 0 before the first."""
        source = self._inputs.get(topic)
        return source.read_to if source is not None else 0

    def ahead(self, at_end: Container[str]) -> frozenset[str]:
        """The topics read further, by more than the lateness, than the slowest one that is still waited for.

        Args:
            at_end: the topics that have nothing more to read now; nobody waits for them.
        """
        lagging_ms = [max(-1, source.newest_ms) for topic, source in self._inputs.items() if topic not in at_end]
        if not lagging_ms:
            return frozenset()
        limit_ms = min(lagging_ms) + self._allowed_lateness_ms
        return frozenset(topic for topic, source in self._inputs.items() if source.newest_ms > limit_ms)

    def _frontier_ms(self, at_end: Container[str]) -> int | None:
        """Event time everything before which may leave; None when everything may."""
        newest_ms = [source.newest_ms for topic, source in self._inputs.items() if topic not in at_end]
        return min(newest_ms) - self._allowed_lateness_ms if newest_ms else None


class _Input:
    """What has come of one topic: its newest event time, and a bag of the offsets that are held back.

    The bag knows its lowest: two heaps, what came in and what went out again.
    """

    __slots__ = ("came", "newest_ms", "rank", "read_to", "went")

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.newest_ms = _BEFORE_EVERYTHING_MS
        self.read_to = 0
        self.came: list[int] = []
        self.went: list[int] = []

    def lowest(self) -> int | None:
        """The lowest offset in the bag, None if it is empty."""
        came, went = self.came, self.went
        while went and went[0] == came[0]:
            heappop(went)
            heappop(came)
        return came[0] if came else None
