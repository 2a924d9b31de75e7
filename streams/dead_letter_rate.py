"""How much of each input topic is rejected lately, and when that becomes more than somebody wants to bear.

Counts of read and rejected records in, at most one `RateExceeded` for each excess out. No clock: lately means the last
so many records of the topic. The invariant it protects: an excess that lasts is told once.
"""

from collections import deque

from msgspec import Struct

LEAST_SEEN = 100
"""Below so many records a share says little; nothing is told."""


class RateExceeded(Struct, frozen=True):
    """The share of rejected records among the last ``seen`` ones of a topic has become larger than the limit."""

    topic: str
    rejected: int
    seen: int
    share: float


class DeadLetterRate:
    """Watches the topics it is told about, each on its own.

    A topic that exceeded the limit is told of again only after its share has been below half the limit.

    Args:
        limit: the share above which an excess is told; more than 0, at most 1. A share never exceeds 1, so 1 is silent.
        window: how many records of a topic count, the newest ones; at least ``LEAST_SEEN``.
    """

    def __init__(self, limit: float, window: int = 1000) -> None:
        if not 0 < limit <= 1:
            msg = f"the limit is a share, more than 0 and at most 1, not {limit}"
            raise ValueError(msg)
        if window < LEAST_SEEN:
            msg = f"the window must hold at least {LEAST_SEEN} records, not {window}"
            raise ValueError(msg)
        self._limit = limit
        self._window = window
        self._topics: dict[str, _Window] = {}

    def observe(self, topic: str, *, read: int, rejected: int) -> RateExceeded | None:
        """Count what was read since the last call and how much of that was rejected.

        Within one call the rejected records are taken to be spread evenly, so that a call larger than the window
        counts by its share.

        Returns:
            The excess, if this call began one.

        Raises:
            ValueError: fewer records read than rejected, or a negative count.
        """
        if not 0 <= rejected <= read:
            msg = f"{rejected} of {read} records cannot be rejected"
            raise ValueError(msg)
        seen = self._topics.setdefault(topic, _Window())
        seen.add(read, rejected, most=self._window)
        if seen.read < LEAST_SEEN:
            return None
        share = seen.rejected / seen.read
        if share > self._limit and seen.armed:
            seen.armed = False
            return RateExceeded(topic, round(seen.rejected), seen.read, share)
        if share < self._limit / 2:
            seen.armed = True
        return None

    def share(self, topic: str) -> float:
        """The share of rejected records among the last ones of a topic; 0 for one nothing was read of."""
        seen = self._topics.get(topic)
        return seen.rejected / seen.read if seen is not None and seen.read else 0.0


class _Window:
    """The newest records of a topic as runs of (read, rejected); rejected may be a fraction where a run was cut."""

    def __init__(self) -> None:
        self.armed = True
        self.read = 0
        self.rejected = 0.0
        self._runs: deque[tuple[int, float]] = deque()

    def add(self, read: int, rejected: float, *, most: int) -> None:
        if not read:
            return
        self._runs.append((read, rejected))
        self.read += read
        while self.read > most:
            oldest, oldest_rejected = self._runs.popleft()
            stays = max(0, oldest - (self.read - most))
            self.read -= oldest - stays
            if stays:
                self._runs.appendleft((stays, oldest_rejected * stays / oldest))
        # Summed anew: differences of fractions would drift.
        self.rejected = sum(part for _, part in self._runs)
