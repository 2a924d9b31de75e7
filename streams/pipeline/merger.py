"""Merges the inputs of one partition into event-time order.

In the manner of Kafka Streams (KIP-353, KIP-695) the smallest timestamp goes first, and an input
that is known to lag is waited for while one that has been read to its end is not. Within the
allowed lateness the order is that of event time, whatever the order of arrival: an event leaves
once every input that is not at its end has passed it by the allowed lateness. A backlog is thus
replayed in event-time order for any number of partitions, and a live stream is not held up.
"""

import heapq
from collections import Counter
from collections.abc import Container, Iterator, Sequence

from needstream.streams.pipeline.inputs import Arrival


class Merger:
    """Holds back what may still be overtaken.

    Args:
        topics: the inputs; their order breaks ties of event time, the event id breaks the rest.
        allowed_lateness_ms: how far behind the newest event of its topic a record may be.
        most_waiting: beyond this many the oldest leave early, so that memory stays bounded.
    """

    def __init__(
        self, topics: Sequence[str], allowed_lateness_ms: int, *, most_waiting: int = 50_000
    ) -> None:
        self._rank = {topic: rank for rank, topic in enumerate(topics)}
        self._newest_ms: dict[str, int] = {}
        self._allowed_lateness_ms = allowed_lateness_ms
        self._most_waiting = most_waiting
        self._waiting: list[tuple[int, int, str, int, Arrival]] = []
        self._pushed = 0
        self._waiting_by_topic: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, arrival: Arrival) -> None:
        """Take an arrival in."""
        topic, at_ms = arrival.topic, arrival.at_ms
        self._pushed += 1
        entry = (at_ms, self._rank[topic], arrival.event.event_id, self._pushed, arrival)
        heapq.heappush(self._waiting, entry)
        self._waiting_by_topic[topic] += 1
        if at_ms > self._newest_ms.get(topic, at_ms - 1):
            self._newest_ms[topic] = at_ms

    def release(self, at_end: Container[str]) -> Iterator[Arrival]:
        """What can no longer be overtaken, in order.

        Args:
            at_end: the topics that have nothing more to read now.
        """
        frontier_ms = self._frontier_ms(at_end)
        waiting = self._waiting
        while waiting and (
            frontier_ms is None
            or waiting[0][0] < frontier_ms
            or len(waiting) > self._most_waiting
        ):
            arrival = heapq.heappop(waiting)[-1]
            self._waiting_by_topic[arrival.topic] -= 1
            yield arrival

    def waiting_from(self, topic: str) -> int | None:
        """The lowest offset of the topic that is still held back, None without any."""
        if not self._waiting_by_topic[topic]:
            return None
        return min(entry[-1].offset for entry in self._waiting if entry[-1].topic == topic)

    def ahead(self) -> frozenset[str]:
        """The topics that have been read further than the slowest one, by more than the lateness."""
        slowest_ms = min(self._newest_ms.get(topic, -1) for topic in self._rank)
        return frozenset(
            topic
            for topic, newest_ms in self._newest_ms.items()
            if newest_ms > slowest_ms + self._allowed_lateness_ms
        )

    def _frontier_ms(self, at_end: Container[str]) -> int | None:
        """Event time everything before which may leave; None when everything may."""
        behind = [
            self._newest_ms.get(topic) for topic in self._rank if topic not in at_end
        ]
        if not behind:
            return None
        known = [newest_ms for newest_ms in behind if newest_ms is not None]
        if len(known) < len(behind):
            return -(2**62)
        return min(known) - self._allowed_lateness_ms
