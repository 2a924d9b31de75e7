"""Durable event-time timers: they live in the customer's state and ring without a new event."""

from needstream.schemas.state import FORGOTTEN, CustomerState, Timer

__all__ = ["FORGOTTEN", "LABEL", "SAMPLE", "SESSION", "arm", "cancel", "next_due_ms", "pop_due"]

SESSION = "session"
SAMPLE = "sample"
LABEL = "label"


def arm(state: CustomerState, name: str, *, due_ms: int, armed_by: str) -> None:
    """Set the alarm, replacing one of the same name."""
    state.timers[name] = Timer(due_ms, armed_by)


def cancel(state: CustomerState, name: str) -> None:
    """Remove the alarm if it is set."""
    state.timers.pop(name, None)


def next_due_ms(state: CustomerState) -> int | None:
    """When the earliest alarm rings, None without any."""
    earliest: int | None = None
    for timer in state.timers.values():
        if earliest is None or timer.due_ms < earliest:
            earliest = timer.due_ms
    return earliest


def pop_due(state: CustomerState, at_ms: int) -> tuple[str, Timer] | None:
    """Take out the earliest alarm due at or before ``at_ms``; ties ring in order of name."""
    due: tuple[int, str] | None = None
    for name, timer in state.timers.items():
        if timer.due_ms <= at_ms and (due is None or (timer.due_ms, name) < due):
            due = (timer.due_ms, name)
    if due is None:
        return None
    return due[1], state.timers.pop(due[1])
