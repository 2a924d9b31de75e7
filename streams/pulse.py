"""Whether the consumer group is known to count this worker as a member, and so its partitions as its own.

In come the times of heartbeats the group's coordinator accepted; out goes a yes only while the group cannot have given
the partitions to somebody else: a worker that stood still for longer must ask again before it writes.
"""

import time
from collections.abc import Callable

MARGIN = 0.2
"""The share of the session that is not relied upon: clocks differ a little, and writing takes its time."""


class Pulse:
    """The newest heartbeat that was accepted.

    Args:
        session_s: after so many seconds without a heartbeat the coordinator gives the partitions away.
        generation: the group's generation as the client knows it; below 1 for none.
    """

    def __init__(self, session_s: float, generation: Callable[[], int]) -> None:
        self._lease_s = session_s * (1 - MARGIN)
        self._generation = generation
        self._accepted_s: float | None = None

    def accepted(self, sent_s: float) -> None:
        """Note that the coordinator accepted what was sent at this reading of the monotonic clock."""
        self._accepted_s = sent_s

    @property
    def generation(self) -> int:
        """The group's generation as the client knows it; below 1 for none."""
        return self._generation()

    @property
    def is_fresh(self) -> bool:
        """Whether the group cannot have given the partitions away yet."""
        return self._accepted_s is not None and time.monotonic() - self._accepted_s < self._lease_s
