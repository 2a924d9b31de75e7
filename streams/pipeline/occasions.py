"""What a decision is made from: a customer at a moment, and what is known to decide by."""

from msgspec import Struct

from needstream.models.scorer import Scorer
from needstream.schemas.state import CustomerState
from needstream.streams.pipeline.definitions import Definitions


class Knowledge(Struct, frozen=True):
    """The definitions of the pack, and the models as they were last published."""

    definitions: Definitions
    scorer: Scorer


class Occasion(Struct, frozen=True):
    """A customer's state at an event time, and the event (or alarm) that makes us look at it."""

    state: CustomerState
    at_ms: int
    trigger_event_id: str
    definitions: Definitions
    scorer: Scorer
