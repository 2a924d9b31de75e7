"""A partition that only counts: needstream's shell around the smallest possible step.

In come arrivals, out come what the counting job says and one small snapshot per touched customer. Merge order, offsets
and the partition's own record are those of the real partition. The invariant it protects: transport, lane, changelog
and sends do exactly what they do for the real one.
"""

from collections.abc import Container, Iterator, Sequence

from needstream.bench import job
from needstream.models.scorer import Scorer
from needstream.schemas import state as states
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.emissions import Emission
from needstream.streams.pipeline.partition import Partition, StateStore


class CountingPartition(Partition):
    """One counter per customer; a step of it never fails, so nothing is ever rolled back."""

    def __init__(self, topics: Sequence[str], definitions: Definitions, *, scorer: Scorer, store: StateStore) -> None:
        super().__init__(topics, definitions, scorer=scorer, store=store)
        self._stored = store
        self._counts: dict[str, int] = {}

    def admit(self, customer_id: str, stored: bytes) -> None:
        """Take note of a stored snapshot: only the partition's own says something."""
        if customer_id == states.PARTITION_KEY:
            super().admit(customer_id, stored)

    def advance(self, at_end: Container[str], *, most: int = 2**62) -> Iterator[Emission]:
        """Count what may be counted, in order."""
        released = self.merger.release(at_end)
        counts, stored, observe = self._counts, self._stored, self.watermark.observe
        for _ in range(most):
            arrival = next(released, None)
            if arrival is None:
                return
            key = arrival.key
            count = counts.get(key)
            if count is None:
                count = int(stored.get(key) or 0)
            counts[key] = count = count + 1
            observe(arrival.at_ms)
            if count % job.SAID_EVERY == 0:
                yield job.milestone(count, arrival)

    def flush(self) -> dict[str, bytes | None]:
        """The counts that changed, and the partition's own record."""
        snapshots: dict[str, bytes | None] = {key: b"%d" % count for key, count in self._counts.items()}
        self._counts = {}
        if snapshots:
            snapshots[states.PARTITION_KEY] = states.partition_snapshot(self.watermark.newest_ms, self.watermark.at_ms)
        return snapshots
