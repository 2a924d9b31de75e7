"""Recognises events seen before: re-deliveries by offset, producer duplicates by event id.

At-least-once in, once counted. The ring of id hashes holds the newest ``RECENT_EVENT_IDS`` events of
a customer; a duplicate older than that is counted again, which is the stated window.
"""

import hashlib

from needstream.schemas.state import RECENT_EVENT_IDS, CustomerState

_HASH_BYTES = 8
_RING_BYTES = _HASH_BYTES * RECENT_EVENT_IDS


def seen(state: CustomerState, event_id: str) -> bool:
    """Whether the id is in the ring; if not, it is there afterwards."""
    mark = hashlib.blake2b(event_id.encode(), digest_size=_HASH_BYTES).digest()
    ring = state.recent_ids
    place = ring.find(mark)
    while place >= 0:
        if place % _HASH_BYTES == 0:
            return True
        place = ring.find(mark, place + 1)
    state.recent_ids = (ring + mark)[-_RING_BYTES:]
    return False


def applied(state: CustomerState, origin: str, offset: int) -> bool:
    """Whether record ``offset`` of ``origin`` (``topic-partition``) is in the state already."""
    through = state.applied.get(origin)
    return through is not None and (offset <= through[0] or offset in through[1:])


def mark_applied(state: CustomerState, origin: str, offset: int) -> None:
    """Note that a record is in the state, perhaps ahead of earlier ones still waiting."""
    through = state.applied.get(origin)
    if through is None:
        state.applied[origin] = [-1, offset]
    else:
        through.append(offset)


def settle(state: CustomerState, origin: str, waiting_from: int) -> None:
    """Fold offsets below ``waiting_from`` together: of this origin nothing earlier still waits."""
    through = state.applied.get(origin)
    if through is not None:
        ahead = [offset for offset in through[1:] if offset >= waiting_from]
        state.applied[origin] = [max(through[0], waiting_from - 1), *ahead]
