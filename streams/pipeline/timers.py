"""Durable event-time timers: they live in the customer's state and ring without a new event."""

from needstream.schemas.state import FORGOTTEN, CustomerState, Timer

__all__ = ["FORGOTTEN", "LABEL", "SAMPLE", "SESSION", "arm", "cancel", "is_due", "next_due_ms", "pop_due"]

SESSION = "session"
SAMPLE = "sample"
LABEL = "label"


def arm(state: CustomerState, name: str, *, due_ms: int, armed_by: str) -> None:
    """Set the alarm, replacing one of the same name."""
    state.timers[name] = Timer(due_ms, armed_by)


def cancel(state: CustomerState, name: str) -> None:
    """Remove the alarm if it is set."""
    state.timers.pop(name, None)


def is_due(state: CustomerState, at_ms: int) -> bool:
    """Whether an alarm rings at or before ``at_ms``."""
    # Half of what the earliest of them costs to find, and nearly every event asks twice.
    for timer in state.timers.values():  # noqa: SIM110  # a generator would cost more than it looks through
        if timer.due_ms <= at_ms:
            return True
    return False


def next_due_ms(state: CustomerState) -> int | None:
    """When the earliest alarm rings, None without any."""
    timers = state.timers
    return min(timers.values()).due_ms if timers else None


def pop_due(state: CustomerState, at_ms: int) -> tuple[str, Timer] | None:
    """Take out the earliest alarm due at or before ``at_ms``; ties ring in order of name."""
    if not is_due(state, at_ms):
        return None
    timers = state.timers
    due_ms = min(timers.values()).due_ms
    name = min([name for name, timer in timers.items() if timer.due_ms == due_ms])
    return name, timers.pop(name)
