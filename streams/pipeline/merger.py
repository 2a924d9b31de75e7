"""Merges the inputs of one partition into event-time order.

In the manner of Kafka Streams (KIP-353, KIP-695) the smallest timestamp goes first, and an input that is known to lag
is waited for while one that has been read to its end is not. Within the allowed lateness the order is that of event
time, whatever the order of arrival: an event leaves once every input that is not at its end has passed it by the
allowed lateness. A backlog is thus replayed in event-time order for any number of partitions. A live stream is not held
up: what had arrived when all inputs were read to their ends is ripe a moment later, however busy they are.
"""

from bisect import insort
from collections.abc import Container, Iterator, Sequence
from itertools import chain, islice

from needstream.streams.pipeline.inputs import Arrival

_BEFORE_EVERYTHING_MS = -(2**62)

_FEW = 32
"""One arrival among this many that wait is put in its place by itself; more are sorted in."""

_Entry = tuple[int, int, str, int, Arrival]
"""What an arrival is ordered by, its number, and itself."""


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
        #: In order; the first ``_gone`` have left already.
        self._waiting: list[_Entry] = []
        self._gone = 0
        #: In order of arrival, until the order matters.
        self._came: list[_Entry] = []
        self._lowest: dict[str, int] = {}
        self._lowest_when = (0, 0)
        self._pushed = 0
        self._ripe_through = 0
        self._ripe = 0

    def __len__(self) -> int:
        return len(self._waiting) - self._gone + len(self._came)

    @property
    def earliest_ms(self) -> int | None:
        """Event time of the earliest record that is held back, None without any."""
        self._put_in_order()
        return self._waiting[self._gone][0] if len(self) else None

    def push(self, arrival: Arrival) -> None:
        """Take an arrival in."""
        at_ms, offset, source = arrival.at_ms, arrival.offset, self._inputs[arrival.topic]
        self._pushed = number = self._pushed + 1
        self._came.append((at_ms, source.rank, arrival.event.event_id, number, arrival))
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
            self._ripe = sum(number <= through for _, _, _, number, _ in self._held())

    def release(self, at_end: Container[str]) -> Iterator[Arrival]:
        """What can no longer be overtaken, in order; what the caller does not take stays held back.

        Args:
            at_end: the topics that have nothing more to read now.
        """
        frontier_ms, waiting = self._frontier_ms(at_end), self._waiting
        while True:
            if self._came:
                self._put_in_order()
            gone = self._gone
            if gone == len(waiting):
                break
            at_ms, _, _, number, arrival = waiting[gone]
            may_leave = frontier_ms is None or at_ms < frontier_ms
            if not (may_leave or self._ripe or len(waiting) - gone > self._most_waiting):
                break
            self._gone = gone + 1
            if number <= self._ripe_through:
                self._ripe -= 1
            yield arrival
        self._put_in_order()

    def waiting_from(self, topic: str) -> int | None:
        """The lowest offset of the topic that is still held back, None without any."""
        when = (self._pushed, len(self))
        if when != self._lowest_when:
            # One look at all that waits, once or twice in a round, costs less than accounts of every offset.
            self._lowest, self._lowest_when = {}, when
            for *_, arrival in self._held():
                known = self._lowest.get(arrival.topic)
                if known is None or arrival.offset < known:
                    self._lowest[arrival.topic] = arrival.offset
        return self._lowest.get(topic)

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

    def _held(self) -> Iterator[_Entry]:
        """Everything that waits, in no order."""
        return chain(islice(self._waiting, self._gone, None), self._came)

    def _put_in_order(self) -> None:
        """Give every arrival its place among those that wait, and forget those that left."""
        waiting, came = self._waiting, self._came
        are_many = len(came) * _FEW > len(waiting)
        # Now and then is enough: the rest moves up each time.
        if are_many or self._gone * 2 > len(waiting):
            del waiting[: self._gone]
            self._gone = 0
        if are_many:
            waiting += came
            waiting.sort()
        else:
            for entry in came:
                insort(waiting, entry, self._gone)
        came.clear()


class _Input:
    """What has come of one topic: its newest event time, and how far it has been read."""

    __slots__ = ("newest_ms", "rank", "read_to")

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.newest_ms = _BEFORE_EVERYTHING_MS
        self.read_to = 0
