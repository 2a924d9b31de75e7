"""What a step is given: an event with its origin, or the news that event time has passed."""

from msgspec import Struct

from needstream.schemas import events, times


class Arrival(Struct, frozen=True):
    """A decoded event and where it came from.

    ``key`` is the customer (or anonymous) id its state belongs to.
    """

    event: events.AnyEvent
    key: str
    at_ms: int
    topic: str
    partition: int
    offset: int


class Tick(Struct, frozen=True):
    """Event time has reached ``at_ms`` without an event of this customer."""

    at_ms: int


def at_ms(event: events.AnyEvent) -> int:
    """The event time in milliseconds."""
    return times.event_time(event.event_time)
