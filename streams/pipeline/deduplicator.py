"""Recognises events seen before: re-deliveries by offset, producer duplicates by event id.

At-least-once in, once counted. The ring of id hashes holds the newest ``RECENT_EVENT_IDS`` events of a customer; a
duplicate older than that is counted again, which is the stated window.

Of each origin (a topic's place in ``state.ORIGINS``) a state keeps ``[through, ahead ...]``: everything of this
customer up to offset ``through`` is in the state, and so are the single offsets ``ahead``, which overtook earlier
records that still waited for their turn. They are in rising order.
"""

from bisect import bisect_left
from hashlib import blake2b

from needstream.schemas.state import RECENT_EVENT_IDS, RECENT_ID_BYTES, CustomerState

RING_MARK_BYTES = RECENT_ID_BYTES
"""How much of the ring one event id takes."""

_RING_BYTES = RING_MARK_BYTES * RECENT_EVENT_IDS
_HASH_BYTES = 8


def seen(state: CustomerState, event_id: str) -> bool:
    """Whether the id is in the ring; if not, it is there afterwards."""
    mark = blake2b(event_id.encode(), digest_size=_HASH_BYTES).digest()[:RING_MARK_BYTES]
    ring = state.recent_ids
    place = ring.find(mark)
    while place >= 0:
        if place % RING_MARK_BYTES == 0:
            return True
        place = ring.find(mark, place + 1)
    state.recent_ids = (ring + mark)[-_RING_BYTES:]
    return False


def applied(state: CustomerState, origin: int, *, offset: int) -> bool:
    """Whether record ``offset`` of ``origin`` is in the state already."""
    known = state.applied.get(origin)
    if known is None or offset > known[-1]:
        return False
    return offset <= known[0] or known[bisect_left(known, offset)] == offset


def mark_applied(state: CustomerState, origin: int, *, offset: int) -> bool:
    """Note that a record is in the state, perhaps ahead of earlier ones still waiting; False if it was already."""
    known = state.applied.get(origin)
    if known is None:
        state.applied[origin] = [-1, offset]
    elif offset > known[-1]:
        known.append(offset)
    else:
        place = bisect_left(known, offset)
        if place == 0 or known[place] == offset:
            return False
        known.insert(place, offset)
    return True


def settle(state: CustomerState, origin: int, *, settled_to: int) -> None:
    """Fold the offsets below ``settled_to`` together: of this origin nothing earlier has still to come."""
    known = state.applied[origin]
    if known[-1] < settled_to:
        state.applied[origin] = [known[-1]]
        return
    through = max(known[0], settled_to - 1)
    state.applied[origin] = [through, *(offset for offset in known[1:] if offset > through)]
