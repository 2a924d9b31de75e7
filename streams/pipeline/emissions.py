"""The closed union of everything a step can say."""

from msgspec import Struct

from needstream.models.scorer import Score
from needstream.schemas.identities import IdentityMessage
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


class SharedDeviceEvent(Struct, frozen=True):
    """An anonymous event of a device that several customers use: it is nobody's and changed nothing."""

    event_id: str


class PredictionMade(Struct, frozen=True):
    """Every model was asked about a customer: the features in the pack's order, and what each said."""

    features: tuple[float, ...]
    scores: dict[str, Score]


class CustomerErased(Struct, frozen=True, kw_only=True):
    """A customer asked to be forgotten: what was removed, and under which hash it is confirmed.

    ``examples_released`` labelled examples were released before; models may have learned from them.
    """

    customer_id: str
    event_id: str
    at_ms: int
    subject: str
    was_known: bool
    counters: int
    alarms: int
    predictions: int
    consents: int
    devices: int
    examples_released: int


Emission = (
    NeedSignal
    | Alert
    | Decision
    | ProfileSummary
    | LabelledExample
    | SessionClosed
    | DuplicateEvent
    | LateEvent
    | SharedDeviceEvent
    | PredictionMade
    | CustomerErased
    | IdentityMessage
)
