"""Whether a partition is still this worker's, from its lane's opening to its end.

In come what is known of the consumer group, and the news that the partition is given up; out goes a yes to wait for, or
an error. The invariant it protects: nothing is written for a partition that may be somebody else's.
"""

import asyncio
from typing import Protocol

ASK_EVERY_S = 0.05


class LaneAbandoned(RuntimeError):
    """Raised in a round that was still in work when its partition was no longer this worker's."""


class Membership(Protocol):
    """What is known of this worker's place in the consumer group."""

    @property
    def generation(self) -> int:
        """The group's generation; below 1 for none."""
        ...

    @property
    def is_fresh(self) -> bool:
        """Whether the group cannot have given the partitions away yet."""
        ...


class Ownership:
    """One lane's claim to its partition, under the group's generation at the time it is made.

    Attributes:
        is_ending: the partition is being given up; what is in work may be finished.
        is_over: it is given up; nothing of it may be written any more.
    """

    def __init__(self, number: int, membership: Membership) -> None:
        self.is_ending = False
        self.is_over = False
        self._number = number
        self._membership = membership
        self._generation = membership.generation

    @property
    def is_certain(self) -> bool:
        """Whether nobody else can have the partition now."""
        return not self.is_over and self._is_of_this_generation and self._membership.is_fresh

    async def confirm(self) -> None:
        """Return once the ownership is certain; a worker that stood still must hear from the group first.

        Raises:
            LaneAbandoned: the partition is given up, or the group has gone on without this worker.
        """
        while not self.is_certain:
            if self.is_over or self.is_ending or not self._is_of_this_generation:
                msg = f"partition {self._number} is no longer this worker's; what it had in work was not stored"
                raise LaneAbandoned(msg)
            await asyncio.sleep(ASK_EVERY_S)

    @property
    def _is_of_this_generation(self) -> bool:
        return self._membership.generation == self._generation
