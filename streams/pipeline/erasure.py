"""Forgetting a customer, also against records that are delivered again.

An erased customer's state is removed. What remains for ``REMEMBERED_MS`` of event time is a marker under a hash of the
id: the time of the request, and which offsets are in already. Without it a re-delivery of older records would bring
back part of what was to be forgotten; with it even a late event from before the request does not.
"""

import hashlib

from needstream.schemas import codecs, events
from needstream.schemas import state as states
from needstream.schemas.identities import Forgotten
from needstream.schemas.state import CustomerState
from needstream.schemas.times import DAY_MS
from needstream.streams.pipeline import timers
from needstream.streams.pipeline.deduplicator import RING_MARK_BYTES
from needstream.streams.pipeline.emissions import CustomerErased

REMEMBERED_MS = 30 * DAY_MS
MARKER = "erased\x1f"
_HASH_BYTES = 16


def subject(key: str) -> str:
    """What stands for an erased customer: a hash of the id, 32 hex digits."""
    return hashlib.blake2b(key.encode(), digest_size=_HASH_BYTES, person=b"erased").hexdigest()


def marker_key(key: str) -> str:
    """Where the marker of an erased customer or visitor rests; no id can be equal to it, as ids are printable."""
    return f"{MARKER}{subject(key)}"


def erase(state: CustomerState, event_id: str, *, at_ms: int) -> CustomerState:
    """The marker that remains; it knows nothing of the customer but the hash."""
    marker = states.new_customer(marker_key(state.customer_id), max(at_ms, state.clock_ms, state.erased_ms))
    marker.erased_ms = marker.first_ms
    marker.applied = state.applied
    timers.arm(marker, timers.FORGOTTEN, due_ms=marker.erased_ms + REMEMBERED_MS, armed_by=event_id)
    return marker


def farewell(
    state: CustomerState, request: events.Erasure | Forgotten, *, at_ms: int
) -> list[CustomerErased | Forgotten]:
    """What is removed with this state, and the news for the partitions of the devices it was linked to."""
    others: list[CustomerErased | Forgotten] = [
        Forgotten(
            event_id=f"{request.event_id}/{place}",
            event_time=request.event_time,
            anonymous_id=device,
        )
        for place, device in enumerate(state.devices)
    ]
    if isinstance(request, Forgotten):
        return others
    removed = CustomerErased(
        customer_id=state.customer_id,
        event_id=request.event_id,
        at_ms=at_ms,
        subject=subject(state.customer_id),
        was_known=len(state.recent_ids) > RING_MARK_BYTES,
        counters=len(state.counters),
        alarms=len(state.timers),
        predictions=sum(len(prediction.places) for prediction in state.predictions),
        consents=len(state.consents),
        devices=len(state.devices),
        examples_released=state.released,
    )
    return [removed, *others]


def reborn(key: str, at_ms: int, *, marker: CustomerState | None) -> CustomerState:
    """The state of somebody not known yet, or not any more: a marker passes on what must not be applied again."""
    state = states.new_customer(key, at_ms)
    if marker is not None:
        state.erased_ms = marker.erased_ms
        state.applied = {origin: [*known] for origin, known in marker.applied.items()}
    return state


def is_over(state: CustomerState) -> bool:
    """Whether nothing is left but a marker or a visitor whose time has passed."""
    if timers.FORGOTTEN in state.timers:
        return False
    return state.customer_id.startswith((MARKER, codecs.VISITOR)) or not (state.recent_ids or state.timers)
