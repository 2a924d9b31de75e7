"""Stored values: everything remembered of one customer, versioned because a changelog is a contract.

Structs are encoded as arrays: append fields with a default, never reorder or reuse one; a change
of meaning raises ``STATE_VERSION``. Nothing here grows with the number of events.
"""

import msgspec
from msgspec import Struct, field

from needstream.schemas import pending
from needstream.schemas.events import ConsentStatus, Purpose
from needstream.schemas.parts import Balance, Credit, Income, Payments, Session, Traits
from needstream.schemas.pending import Pending, Prediction

STATE_VERSION = 3
OLDEST_READ = 1
"""The oldest version that ``restore`` upgrades."""

FORGOTTEN = "forgotten"
"""Name of the alarm that removes what was remembered for a while only."""

RECENT_EVENT_IDS = 60
"""How many event ids are remembered per customer: the window in which a duplicate is recognised."""


RECENT_ID_BYTES = 6
"""How much of its hash is remembered of an event id; a customer's new event is taken for one of 60 once in 4e12."""

_RECENT_ID_BYTES_BEFORE = 8


ALARM_OF_SCENARIO = "a."
"""What the alarm of a scenario's absence is called before the scenario's key."""

_ALARM_OF_SCENARIO_BEFORE = "absence."

ORIGINS = (
    "clickstream.v1",
    "transactions.v1",
    "feedback.v1",
    "customers.v1",
    "outcomes.v1",
    "identities.v1",
)
"""Where states get their records from. A state names a topic by its place here: append, never reorder or remove.

The partition is that of the state itself.
"""

PURPOSES: tuple[Purpose, ...] = ("marketing", "profiling", "service", "analytics")
STATUSES: tuple[ConsentStatus, ...] = ("GRANTED", "DENIED", "REVOKED")
"""What consents are of, and what they say. A state names both by their places here: append, never reorder or remove."""

PLACES: dict[str, int] = {topic: place for place, topic in enumerate(ORIGINS)}
"""The place of each topic."""


class Timer(Struct, array_like=True, frozen=True, order=True, gc=False):
    """A durable alarm in event time; ``armed_by`` is the event id that set it. The earliest is the smallest."""

    due_ms: int
    armed_by: str


class Arming(Struct, array_like=True, gc=False):
    """Where one scenario or model stands: armed, or fired and waiting to be re-armed."""

    armed: bool = True
    fired: int = 0
    last_fired_ms: int = 0


class ClosedSession(Struct, array_like=True):
    """An anonymous visitor's last session, and the count of closed sessions before it closed."""

    session: Session
    count: list[float] | None


class Owner(Struct, array_like=True, gc=False):
    """Who identified on an anonymous visitor's device.

    Attributes:
        customer_id: the first who did.
        partition: where that customer's state is, -1 for where the id belongs.
        forwarded: how many events of the device have been passed on.
        shared: another customer identified there too: since then its anonymous events are nobody's.
    """

    customer_id: str
    partition: int
    forwarded: int = 0
    shared: bool = False


class CustomerState(Struct, array_like=True):
    """Everything remembered of one customer, or of one anonymous visitor.

    Attributes:
        clock_ms: the newest event time or timer applied; earlier arrivals are late.
        applied: per input, by its place in ``ORIGINS``, the offset through which everything of this customer
            is applied, followed by single offsets applied ahead of it.
        recent_ids: 6-byte hashes of the newest event ids, oldest first.
        counters: decayed counts and amounts by fact, as ``[at_ms, value per half-life ...]``.
        timers: alarms by name.
        active_ms: event time of the customer's last own activity, 0 before the first.
        suspect_until_ms, distress_until_ms: until when the customer counts as a bot, as distressed.
        spoken: event times of the newest signals by treatment, at most eight each.
        consents: by the purpose's place in ``PURPOSES`` its status's place in ``STATUSES``, and when it was stated.
        devices: per anonymous id the customer identified on, which of its messages are in: the number through which
            all are, followed by single numbers ahead of it (see ``pipeline.identities``).
        owner: of an anonymous visitor, who it turned out to be.
        closed: of an anonymous visitor, the session that closed last: a login may yet turn out to have continued it.
        erased_ms: the customer was erased then; what happened before is not remembered again.
        released: how many labelled examples of the customer have been released.
        payments: the habit of outgoing payments, None before the first.
        predictions: what was predicted and has still to be judged, packed (``schemas.pending``); ``shared`` is
            what all of them have in common.
        unusual: how unusual the customer's features were at the newest prediction, 0 to 1, 0 when nobody could tell.
    """

    version: int
    customer_id: str
    first_ms: int
    clock_ms: int
    applied: dict[int, list[int]] = field(default_factory=dict)
    recent_ids: bytes = b""
    session: Session | None = None
    counters: dict[str, list[float]] = field(default_factory=dict)
    balance: Balance | None = None
    income: Income | None = None
    credit: Credit | None = None
    traits: Traits = field(default_factory=Traits)
    consents: dict[int, tuple[int, int]] = field(default_factory=dict)
    timers: dict[str, Timer] = field(default_factory=dict)
    armings: dict[str, Arming] = field(default_factory=dict)
    predictions: list[Pending] = field(default_factory=list)
    active_ms: int = 0
    suspect_until_ms: int = 0
    distress_until_ms: int = 0
    spoken: dict[str, list[int]] = field(default_factory=dict)
    devices: dict[str, list[int]] = field(default_factory=dict)
    owner: Owner | None = None
    erased_ms: int = 0
    released: int = 0
    closed: ClosedSession | None = None
    payments: Payments | None = None
    unusual: float = 0.0
    shared: bytes = pending.NOTHING


class _StateBefore(CustomerState, array_like=True):
    """A state of version 1 or 2.

    Inputs went by ``topic-partition``, consents by words, predictions held asks by name with 16 bits for every
    contestant, a mark of an event id took 8 bytes.
    """

    applied: dict[str, list[int]] = field(default_factory=dict)  # type: ignore[assignment]
    consents: dict[Purpose, tuple[ConsentStatus, int]] = field(default_factory=dict)  # type: ignore[assignment]
    predictions: list[Prediction] = field(default_factory=list)  # type: ignore[assignment]


class _Head(Struct, array_like=True):
    version: int


class PartitionState(Struct, array_like=True):
    """How far event time had come in a partition when the snapshots before this record were complete."""

    version: int
    newest_ms: int | None
    watermark_ms: int | None


class StateVersionError(ValueError):
    """Raised when stored bytes were written by a version this program does not know."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(CustomerState)
_DECODER_BEFORE = msgspec.msgpack.Decoder(_StateBefore)
_HEAD_DECODER = msgspec.msgpack.Decoder(_Head)
_PARTITION_DECODER = msgspec.msgpack.Decoder(PartitionState)

PARTITION_KEY = "partition\x1f"
"""Where a partition's own record rests among the customers'; no id can be equal to it, as ids are printable."""


def new_customer(customer_id: str, at_ms: int) -> CustomerState:
    """The state of a customer first seen at ``at_ms``."""
    return CustomerState(STATE_VERSION, customer_id, at_ms, at_ms)


def opened(state: CustomerState) -> list[Prediction]:
    """The pending predictions as they were made, with what has become of them since."""
    shared = pending.shared_in(state.shared)
    return [pending.opened(packed, shared) for packed in state.predictions]


def place_before(origin: str) -> int | None:
    """The place of a topic by what versions 1 and 2 called it, ``topic-partition``; None if it is no input."""
    return PLACES.get(origin.rpartition("-")[0])


def snapshot(state: CustomerState) -> bytes:
    """Bytes from which ``restore`` makes an equal state."""
    return _ENCODER.encode(state)


def partition_snapshot(newest_ms: int | None, watermark_ms: int | None) -> bytes:
    """Bytes from which ``restore_partition`` makes an equal record."""
    return _ENCODER.encode(PartitionState(STATE_VERSION, newest_ms, watermark_ms))


def restore_partition(stored: bytes) -> PartitionState:
    """The record in ``stored``.

    Raises:
        StateVersionError: written by another version, or no such record at all.
    """
    try:
        found = _PARTITION_DECODER.decode(stored)
    except (ValueError, RecursionError) as error:
        msg = f"stored partition record cannot be read: {error}"
        raise StateVersionError(msg) from error
    if not OLDEST_READ <= found.version <= STATE_VERSION:
        msg = (
            f"stored partition record has version {found.version}, this program reads {OLDEST_READ} to {STATE_VERSION}"
        )
        raise StateVersionError(msg)
    return found


def restore(stored: bytes) -> CustomerState:
    """The state in ``stored``.

    Raises:
        StateVersionError: written by another version, or no state at all.
    """
    try:
        state = _DECODER.decode(stored)
    except (ValueError, RecursionError):
        return _restored_from_before(stored)
    return state if state.version == STATE_VERSION else _restored_from_before(stored)


def _restored_from_before(stored: bytes) -> CustomerState:
    """The state of a version before this one, upgraded; what is neither is refused."""
    try:
        version = _HEAD_DECODER.decode(stored).version
        if OLDEST_READ <= version < STATE_VERSION:
            return _upgraded(_DECODER_BEFORE.decode(stored))
        if version == STATE_VERSION:
            _DECODER.decode(stored)  # fails again, and says why
    except (ValueError, RecursionError) as error:
        msg = f"stored customer state cannot be read: {error}"
        raise StateVersionError(msg) from error
    msg = (
        f"stored customer state has version {version}, this program reads {OLDEST_READ} to "
        f"{STATE_VERSION}; run the release that wrote it, or rebuild the state by replay"
    )
    raise StateVersionError(msg)


def _upgraded(before: _StateBefore) -> CustomerState:
    """A state of version 1 or 2: the fields it did not have yet are at their defaults."""
    if before.version == 1 and FORGOTTEN in before.timers:
        # Version 1 left a marker in the place of an erased customer, first seen at the time of the request.
        before.erased_ms = before.first_ms
    predictions: list[Pending] = []
    shared = pending.NOTHING
    for prediction in before.predictions:
        for ask in prediction.asks.values():
            ask.contestants = pending.squeezed(ask.contestants)
        packed, shared = pending.packed(prediction, shared)
        predictions.append(packed)
    ring = before.recent_ids
    marks = (ring[at : at + RECENT_ID_BYTES] for at in range(0, len(ring), _RECENT_ID_BYTES_BEFORE))
    fields = {name: getattr(before, name) for name in before.__struct_fields__}
    fields |= {"version": STATE_VERSION, "predictions": predictions, "shared": shared, "recent_ids": b"".join(marks)}
    places = ((place_before(origin), known) for origin, known in before.applied.items())
    fields["timers"] = {
        ALARM_OF_SCENARIO + name.removeprefix(_ALARM_OF_SCENARIO_BEFORE)
        if name.startswith(_ALARM_OF_SCENARIO_BEFORE)
        else name: timer
        for name, timer in before.timers.items()
    }
    fields["consents"] = {
        PURPOSES.index(purpose): (STATUSES.index(status), at_ms) for purpose, (status, at_ms) in before.consents.items()
    }
    fields["applied"] = {place: known for place, known in places if place is not None}
    return CustomerState(**fields)
