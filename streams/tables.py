"""The customer table: a Faust table of snapshots, read per partition and written in packed batches.

Faust recovers it from its changelog; needstream writes the changelog itself, one record per touched
customer and round, and changes the local store once those are acknowledged. Faust's private names
of its stores are used here and nowhere else.
"""

from collections.abc import Iterator
from typing import Any

import faust

NAME = "customer-states"
_OFFSET_KEY = b"__faust\0offset__"


def define(app: faust.App, partitions: int) -> Any:
    """The table of ``app``; as many partitions as the inputs have."""
    return app.Table(
        NAME,
        key_type=bytes,
        value_type=bytes,
        partitions=partitions,
        options={"driver": "rocksdict"} if str(app.conf.store).startswith("rocksdb") else {},
        help="One versioned snapshot per customer.",
    )


class PartitionStore:
    """One partition's snapshots in the local store of a Faust table."""

    def __init__(self, table: Any, partition: int) -> None:
        self._store = table.data
        self._partition = partition
        self._in_memory = not hasattr(self._store, "_db_for_partition")

    def get(self, customer_id: str) -> bytes | None:
        """The stored snapshot, None for an unknown customer."""
        key = customer_id.encode()
        found: bytes | None
        if self._in_memory:
            found = self._store.data.get(key)
        else:
            found = self._store._db_for_partition(self._partition).get(key)
        return found

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Every stored snapshot of the partition."""
        if self._in_memory:
            partition_of = self._store._key_partition
            pairs = (
                (key, stored)
                for key, stored in list(self._store.data.items())
                if partition_of.get(key) == self._partition
            )
        else:
            pairs = iter(self._store._db_for_partition(self._partition).items())
        for key, stored in pairs:
            if key != _OFFSET_KEY and stored is not None:
                yield key.decode(), stored

    def write(self, snapshots: dict[str, bytes | None]) -> None:
        """Take over what is acknowledged in the changelog; None removes a customer."""
        for customer_id, stored in snapshots.items():
            key = customer_id.encode()
            if self._in_memory:
                if stored is None:
                    self._store.data.pop(key, None)
                    self._store._key_partition.pop(key, None)
                else:
                    self._store.data[key] = stored
                    self._store._key_partition[key] = self._partition
            else:
                opened = self._store._db_for_partition(self._partition)
                if stored is None:
                    opened.delete(key)
                else:
                    opened.put(key, stored)
