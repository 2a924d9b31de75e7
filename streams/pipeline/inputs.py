"""What a step is given: an event with its origin, or the news that event time has passed."""

from typing import final

from msgspec import Struct

from needstream.schemas import codecs, times


class Arrival(Struct, frozen=True, gc=False):
    """A decoded event and where it came from.

    ``key`` is the key of the state it belongs to (``codecs.state_key``).
    """

    event: codecs.AnyMessage
    key: str
    at_ms: int
    topic: str
    partition: int
    offset: int


@final
class Tick(Struct, frozen=True):
    """Event time has reached ``at_ms`` without an event of this customer."""

    at_ms: int


def at_ms(event: codecs.AnyMessage) -> int:
    """The event time in milliseconds."""
    return times.event_time(event.event_time)


def arrival(
    event: codecs.AnyMessage, topic: str, *, offset: int, partition: int = 0, key: bytes | None = None
) -> Arrival:
    """The arrival of a decoded event; ``key`` is that of its record, where there is one."""
    return Arrival(event, codecs.state_key(event, key), times.event_time(event.event_time), topic, partition, offset)
