"""Where the events of customers wait whose visitor's history is on its way.

Such a customer's events and alarms go on when the history has come, so that what is said does not depend on how fast
the visitor's partition answers. Nobody else waits.
"""

from collections.abc import Iterator

from needstream.streams.pipeline.inputs import Arrival


class Parking:
    """The waiting customers, and their events in merge order: ``customers``, to look at only."""

    def __init__(self) -> None:
        self.customers: dict[str, list[Arrival]] = {}

    def __contains__(self, customer_id: str) -> bool:
        return customer_id in self.customers

    def __len__(self) -> int:
        """How many events wait."""
        return sum(map(len, self.customers.values())) if self.customers else 0

    @property
    def earliest_ms(self) -> int | None:
        """Event time of the earliest event that waits, None without any."""
        return min((arrival.at_ms for arrivals in self.customers.values() for arrival in arrivals), default=None)

    def keys(self) -> list[str]:
        """The waiting customers, longest first."""
        return list(self.customers)

    def enter(self, customer_id: str) -> None:
        """Let the customer's events wait from now on."""
        self.customers.setdefault(customer_id, [])

    def park(self, *arrivals: Arrival) -> None:
        """Keep events of a waiting customer, behind those that wait already."""
        for arrival in arrivals:
            self.customers[arrival.key].append(arrival)

    def leave(self, customer_id: str) -> list[Arrival]:
        """Take out the customer, and what waited."""
        return self.customers.pop(customer_id, [])

    def clear(self) -> list[Arrival]:
        """Take out everything that waits."""
        parked, self.customers = self.customers, {}
        return [arrival for arrivals in parked.values() for arrival in arrivals]

    def waiting_from(self, topic: str) -> int | None:
        """The lowest offset of the topic that waits, None without any."""
        return min((arrival.offset for arrival in self._of(topic)), default=None)

    def _of(self, topic: str) -> Iterator[Arrival]:
        for arrivals in self.customers.values():
            yield from (arrival for arrival in arrivals if arrival.topic == topic)
