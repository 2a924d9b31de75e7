"""Forgetting a customer, also against records that are delivered again.

An erased customer's state is replaced by a marker: the id, the time of the request, and which offsets are in already.
Without it a re-delivery of older records would bring back part of what was to be forgotten. The marker goes away by
itself after ``REMEMBERED_MS`` of event time.
"""

from needstream.schemas import state as states
from needstream.schemas.state import CustomerState
from needstream.schemas.times import DAY_MS
from needstream.streams.pipeline import timers

REMEMBERED_MS = 30 * DAY_MS


def erase(state: CustomerState, event_id: str, *, at_ms: int) -> CustomerState:
    """The marker that takes the place of the state; what was applied before is forgotten too."""
    marker = states.new_customer(state.customer_id, max(at_ms, state.clock_ms))
    marker.applied = state.applied
    timers.arm(marker, timers.FORGOTTEN, due_ms=marker.first_ms + REMEMBERED_MS, armed_by=event_id)
    return marker


def precedes(state: CustomerState, at_ms: int) -> bool:
    """Whether something that happened at ``at_ms`` belongs to what was to be forgotten."""
    return timers.FORGOTTEN in state.timers and at_ms < state.first_ms


def is_over(state: CustomerState) -> bool:
    """Whether nothing but a marker is left whose time has passed: every event leaves its id in a state."""
    return not state.recent_ids and not state.timers
