"""Messages between partitions about who an anonymous visitor is (``identities.v1``).

The history of a visitor rests where the anonymous id belongs, the customer's state where the customer id belongs. A
``Link`` asks for the history, a ``History`` brings it, ``Forwarded`` brings what the visitor's device says later
without a login, ``Forgotten`` follows an erasure. All are keyed by whom they are for.
"""

from typing import Annotated, final

import msgspec
from msgspec import Meta

from needstream.schemas import events
from needstream.schemas.parts import Session

BY_KEY = -1
"""A target partition that nobody has told: the one its key belongs to."""

Place = Annotated[int, Meta(ge=BY_KEY, le=2**31 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Numbers = Annotated[list[float], Meta(min_length=1, max_length=16)]


@final
class Link(events.Event, frozen=True, kw_only=True, tag_field="event_type", tag="link"):
    """Asks a visitor's partition for the history; ``reply_to`` is the customer's partition."""

    customer_id: events.Identifier
    anonymous_id: events.Identifier
    reply_to: Place


@final
class History(events.Event, frozen=True, kw_only=True, omit_defaults=True, tag_field="event_type", tag="history"):
    """What is known of a visitor, for the customer it turned out to be; empty if there is none or it is not given.

    Attributes:
        reply_to: the customer's partition.
        first_ms: when the visitor was first seen; 0 without a history.
        counters: decayed counts by fact, as in a customer's state.
        session: the open session window.
        refusals: purposes that were denied or revoked, and when.
        home_currency: what decayed amounts are in, empty without any.
    """

    customer_id: events.Identifier
    anonymous_id: events.Identifier
    reply_to: Place
    first_ms: Count = 0
    counters: Annotated[dict[str, Numbers], Meta(max_length=1024)] = msgspec.field(default_factory=dict)
    session: Session | None = None
    refusals: Annotated[dict[str, Count], Meta(max_length=16)] = msgspec.field(default_factory=dict)
    home_currency: Annotated[str, Meta(max_length=3)] = ""
    suspect_until_ms: Count = 0

    @property
    def identified_by(self) -> str:
        """The id of the ``identify`` that asked for it."""
        return self.event_id.removesuffix(_HISTORY)


@final
class Forwarded(events.Event, frozen=True, kw_only=True, omit_defaults=True, tag_field="event_type", tag="forwarded"):
    """An event of a device whose owner is known; exactly one of the five is there.

    ``number`` counts the events forwarded from this device, from 1.
    """

    customer_id: events.Identifier
    anonymous_id: events.Identifier
    reply_to: Place
    number: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    click: events.Click | None = None
    transaction: events.Transaction | None = None
    feedback: events.Feedback | None = None
    customer: events.CustomerEvent | None = None
    outcome: events.Outcome | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the message holds an event."""
        return any(event is not None for event in self._held)

    def said(self) -> events.AnyEvent:
        """The event as the customer's own."""
        event = next(event for event in self._held if event is not None)
        return msgspec.structs.replace(event, customer_id=self.customer_id)

    @property
    def _held(self) -> tuple[events.AnyEvent | None, ...]:
        return (self.click, self.transaction, self.feedback, self.customer, self.outcome)


@final
class Forgotten(events.Event, frozen=True, kw_only=True, tag_field="event_type", tag="forgotten"):
    """Tells a visitor's partition that the owner was erased."""

    anonymous_id: events.Identifier


IdentityMessage = Link | History | Forwarded | Forgotten


def history_id(link_id: str) -> str:
    """The event id of the answer to a question."""
    return f"{link_id}{_HISTORY}"


def forwarded(event: events.AnyEvent, *, customer_id: str, anonymous_id: str, reply_to: int, number: int) -> Forwarded:
    """The message that brings ``event`` to the owner of the device."""
    field = next(name for kind, name in _FIELDS if isinstance(event, kind))
    return Forwarded(
        event_id=event.event_id,
        event_time=event.event_time,
        customer_id=customer_id,
        anonymous_id=anonymous_id,
        reply_to=reply_to,
        number=number,
        **{field: event},  # type: ignore[arg-type]  # the field that takes this kind of event
    )


_HISTORY = "/history"
_FIELDS: tuple[tuple[type[events.Event], str], ...] = (
    (events.Click, "click"),
    (events.Transaction, "transaction"),
    (events.Feedback, "feedback"),
    (events.Outcome, "outcome"),
    (events.Event, "customer"),
)
