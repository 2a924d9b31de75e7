"""When the inputs of a lane were last heard of, and what has waited long enough for the others to speak.

In come arrivals and the inputs that are read to their ends just now, each with a reading of a monotonic clock; out go
the silent inputs, and how many arrivals are ripe. The invariant it protects: an arrival ripens only a full wait after
every input was read to its end at least once since, so that nothing is left to read that could have preceded it.
"""

from collections import deque
from collections.abc import Iterable


class Hearing:
    """Listens to the inputs of one lane.

    Args:
        topics: the inputs.
        wait_s: how long one listens, in seconds.
        now_s: a reading of the monotonic clock, as in every method.
    """

    def __init__(self, topics: Iterable[str], *, wait_s: float, now_s: float) -> None:
        self._wait_s = wait_s
        self._heard_s = dict.fromkeys(topics, now_s)
        #: How many arrivals there were when an input was last read to its end.
        self._read = dict.fromkeys(self._heard_s, 0)
        #: When everything was read that could precede so many arrivals.
        self._moments: deque[tuple[float, int]] = deque()
        #: The arrivals that a moment was noted for.
        self._noted = 0

    def begin_anew(self, now_s: float) -> None:
        """Count every silence anew, as after a pause of the whole process."""
        self._heard_s = dict.fromkeys(self._heard_s, now_s)
        self._read = dict.fromkeys(self._heard_s, 0)
        self._moments.clear()
        self._noted = 0

    @property
    def awaits(self) -> bool:
        """Whether something was noted that is not ripe yet, or has not been asked for."""
        return bool(self._moments)

    def heard(self, topic: str, *, now_s: float) -> None:
        """Note that records came."""
        self._heard_s[topic] = now_s

    def read_to_end(self, topics: Iterable[str], arrivals: int, *, now_s: float) -> bool:
        """Note inputs that are read to their ends, after so many arrivals of all; whether more are waited with now."""
        for topic in topics:
            self._read[topic] = arrivals
        before_all = min(self._read.values())
        if self._noted >= before_all:
            return False
        self._noted = before_all
        self._moments.append((now_s, before_all))
        return True

    def silent(self, now_s: float) -> frozenset[str]:
        """The inputs that were silent for the whole wait."""
        return frozenset(topic for topic, heard_s in self._heard_s.items() if now_s - heard_s >= self._wait_s)

    def silent_s(self, now_s: float) -> float:
        """For how long no input spoke, in seconds."""
        return now_s - max(self._heard_s.values())

    def ripe_through(self, now_s: float) -> int | None:
        """Up to which arrival, counted from 1, everything has waited; None if nothing new has."""
        ripe = None
        while self._moments and now_s - self._moments[0][0] >= self._wait_s:
            ripe = self._moments.popleft()[1]
        return ripe
