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
    timers = state.timers
    return min(timers.values()).due_ms if timers else None


def pop_due(state: CustomerState, at_ms: int) -> tuple[str, Timer] | None:
    """Take out the earliest alarm due at or before ``at_ms``; ties ring in order of name."""
    timers = state.timers
    if not timers or (due_ms := min(timers.values()).due_ms) > at_ms:
        return None
    name = min([name for name, timer in timers.items() if timer.due_ms == due_ms])
    return name, timers.pop(name)
