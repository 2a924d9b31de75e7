"""Takes a partition's steps so that a record which makes them fail does not stop the others for ever.

In comes a partition and what may leave its merger; out goes what the steps said. A failed part is taken back and tried
again step by step; a record that fails every time is given back as a poison pill and never applied. The invariant it
protects: what is applied is what would have been applied without the pill.
"""

import logging
from collections.abc import Container, Iterable

from msgspec import Struct

from needstream.schemas.state import StateVersionError
from needstream.streams.pipeline.emissions import Emission
from needstream.streams.pipeline.inputs import Arrival
from needstream.streams.pipeline.partition import Partition
from needstream.streams.stores import StoreDamaged, StoreRefused

STEPS_PER_ROUND = 1_000
"""The most events and alarms of one round: bounds memory, and how long other lanes must wait."""

ATTEMPTS = 3
"""How often a record may make its step fail before it is given up."""

NOT_THE_RECORD = (StoreDamaged, StoreRefused, StateVersionError, MemoryError, OSError)
"""What the states' storage or the machine has to answer for, whatever record met it."""

_LOG = logging.getLogger("needstream.steps")


class Pill(Struct, frozen=True):
    """A record that made its step fail each time, and the class of the error."""

    arrival: Arrival
    cause: str


class Taken(Struct, frozen=True):
    """What came of one attempt; after a failed one nothing was said and nothing has changed.

    Attributes:
        is_cut: whether the round was full; there may be more to do at once.
    """

    emitted: list[Emission]
    is_cut: bool = False
    has_failed: bool = False
    pill: Pill | None = None


class Steps:
    """The steps of one partition."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._failures: dict[tuple[str, int], int] = {}
        #: How many records are to be taken one by one.
        self._careful = 0

    def take(self, at_end: Container[str], expired: Iterable[str] = ()) -> Taken:
        """Take a round's steps, or a single one where a step failed before.

        Args:
            at_end: the inputs that have nothing more to read now.
            expired: customers who wait for a visitor's history no longer.

        Raises:
            Exception: a step failed that no record caused, such as an alarm, or the storage failed.
        """
        partition = self._partition
        held = len(partition.merger)
        emitted: list[Emission] = []
        try:
            for customer_id in expired:
                emitted += partition.stop_awaiting(customer_id)
            emitted += partition.advance(at_end, most=1 if self._careful else STEPS_PER_ROUND)
        except NOT_THE_RECORD:
            raise
        except Exception as error:
            culprit = partition.in_work
            released = held - len(partition.merger)
            if culprit is None:
                raise
            partition.rollback()
            self._careful = max(self._careful, released)
            return Taken([], has_failed=True, pill=self._blame(culprit, error))
        is_cut = bool(self._careful) or partition.is_ringing or held - len(partition.merger) >= STEPS_PER_ROUND
        self._careful = max(0, self._careful - held + len(partition.merger))
        return Taken(emitted, is_cut=is_cut)

    def _blame(self, culprit: Arrival, error: Exception) -> Pill | None:
        place = (culprit.topic, culprit.offset)
        failures = self._failures.pop(place, 0) + 1
        facts = {"topic": culprit.topic, "partition": culprit.partition, "offset": culprit.offset, "attempt": failures}
        _LOG.warning("a record made its step fail", extra={"facts": facts}, exc_info=error)
        if failures < ATTEMPTS:
            self._failures[place] = failures
            return None
        self._partition.drop(culprit)
        return Pill(culprit, type(error).__name__)
