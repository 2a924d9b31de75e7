"""The closed union of everything a step can say."""

from msgspec import Struct

from needstream.schemas.signals import (
    Alert,
    Decision,
    LabelledExample,
    NeedSignal,
    ProfileSummary,
)


class SessionClosed(Struct, frozen=True):
    """A session window ended: the inactivity gap has passed."""

    customer_id: str
    started_ms: int
    ended_ms: int
    events: int


class DuplicateEvent(Struct, frozen=True):
    """An event id seen before within the window of ids; it changed nothing."""

    event_id: str


class LateEvent(Struct, frozen=True):
    """An event older than what was already applied; only its order-free part was applied."""

    event_id: str
    late_by_ms: int


class CustomerErased(Struct, frozen=True):
    """A customer asked to be forgotten: the state is gone."""

    customer_id: str
    event_id: str


Emission = (
    NeedSignal
    | Alert
    | Decision
    | ProfileSummary
    | LabelledExample
    | SessionClosed
    | DuplicateEvent
    | LateEvent
    | CustomerErased
)
