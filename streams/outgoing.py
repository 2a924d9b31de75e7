"""From what a round said to records by topic and partition, ready to be sent.

In come emissions and dead letters of one partition; out go records, in order for each place. The invariant it protects:
a key's records of a topic stand in one partition, whoever writes them.
"""

import time
import zlib
from collections import defaultdict
from collections.abc import Iterable

from faust.types import TP
from kafka.partitioner.default import murmur2
from msgspec import Struct

from needstream.schemas.dead_letters import DeadLetter
from needstream.schemas.times import rfc3339
from needstream.streams import outputs, sending, topics
from needstream.streams.pipeline.emissions import Emission
from needstream.streams.receipts import Receipts

_EXAMPLES = topics.LABELLED_EXAMPLES
"""By the name of their model, which is their key."""


class Addresses(Struct, frozen=True, kw_only=True):
    """What decides where a record goes, the same for all lanes and workers.

    Attributes:
        partitions: the partition count of the inputs, at least 1.
        receipts: writes the receipts of erasures; without it there are none.
    """

    partitions: int
    receipts: Receipts | None = None

    def of_model(self, name: str) -> int:
        """The partition of a model's labelled examples, and of what is decided of it."""
        return zlib.crc32(name.encode()) % self.partitions

    def of_key(self, key: bytes) -> int:
        """The partition of a key, where the default partitioner of the usual Kafka clients puts it."""
        hashed: int = murmur2(key)
        return (hashed & 0x7FFFFFFF) % self.partitions

    def of_record(self, written: outputs.Record, *, sender: int) -> int:
        """The partition of a record that the lane of partition ``sender`` wrote."""
        if written.partition is not None:
            return self.of_key(written.key) if written.partition == outputs.BY_KEY else written.partition
        return zlib.crc32(written.key) % self.partitions if written.topic == _EXAMPLES else sender


def addressed(
    emitted: Iterable[Emission], letters: Iterable[DeadLetter], *, sender: int, addresses: Addresses
) -> dict[TP, list[sending.Record]]:
    """The records of what the lane of partition ``sender`` said, by where they go."""
    decided_at = rfc3339(time.time_ns() // 1_000_000)
    by_place: defaultdict[tuple[str, int], list[sending.Record]] = defaultdict(list)
    receipts, of_record = addresses.receipts, addresses.of_record
    for emission in emitted:
        for written in outputs.records(emission, decided_at=decided_at, receipts=receipts):
            place = (written.topic, of_record(written, sender=sender))
            by_place[place].append((written.key, written.value, written.headers, None))
    for letter in letters:
        headers = outputs.dead_letter_headers(letter)
        by_place[topics.DEAD_LETTERS, sender].append((letter.key, letter.value, headers, letter.timestamp_ms))
    return {TP(*place): records for place, records in by_place.items()}
