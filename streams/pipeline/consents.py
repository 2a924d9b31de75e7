"""What a customer has decided on each purpose, as it rests in the state: in places of fixed lists.

In go and out come the words of the events. Of two decisions on a purpose the one with the later event time holds.
"""

from needstream.schemas.events import ConsentStatus, Purpose
from needstream.schemas.state import PURPOSES, STATUSES, CustomerState

_BY_NAME = sorted(range(len(PURPOSES)), key=PURPOSES.__getitem__)


def take(state: CustomerState, purpose: Purpose, *, status: ConsentStatus, at_ms: int) -> None:
    """Note a decision, unless a newer one is known."""
    place = PURPOSES.index(purpose)
    known = state.consents.get(place)
    if known is None or at_ms >= known[1]:
        state.consents[place] = (STATUSES.index(status), at_ms)


def status(state: CustomerState, purpose: Purpose) -> ConsentStatus | None:
    """What was decided, None if nothing was."""
    known = state.consents.get(PURPOSES.index(purpose))
    return None if known is None else STATUSES[known[0]]


def decisions(state: CustomerState) -> dict[str, tuple[ConsentStatus, int]]:
    """Every decision and when it was made, by purpose in the order of their names."""
    known = state.consents
    return {PURPOSES[place]: (STATUSES[known[place][0]], known[place][1]) for place in _BY_NAME if place in known}
