"""Where a drill takes place: a fresh broker with the topics on it, a log, and the offsets of the consumer group.

In: a broker's name, partitions, records. Out: committed and end offsets, and everything that was published, as entries.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from typing import Any, Self

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from needstream.simulation.chaos.observations import Entry, Observation, compared_topics, observe
from needstream.streams import brokers, producing, tables, topic_admin, topics
from needstream.streams.brokers import members

GROUP = "needstream-chaos"
CHANGELOG = f"{GROUP}-{tables.NAME}-changelog"
FULL_SPEED = producing.Pace()
READ_WITHIN_S = 300.0


class Stand:
    """A broker of our own for one run."""

    def __init__(self, broker: str, partitions: int) -> None:
        self.broker = brokers.choose(broker)
        self.partitions = partitions
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start the broker and create the topics."""
        self._stack.enter_context(self.broker)
        topic_admin.apply(self.broker.bootstrap, self.partitions)
        return self

    def __exit__(self, *_outcome: object) -> None:
        """Stop the broker."""
        self._stack.close()

    @property
    def bootstrap(self) -> str:
        """The broker's address."""
        return self.broker.bootstrap

    def produce(
        self,
        lines: Sequence[producing.Outgoing],
        pace: producing.Pace = FULL_SPEED,
        *,
        on_progress: Callable[[int, int], None] = lambda *_: None,
    ) -> None:
        """Send the records and wait until all are acknowledged."""
        producing.produce(self.bootstrap, iter(lines), pace=pace, on_progress=on_progress)

    def bury(self) -> None:
        """Take a killed worker's membership away where the broker never would; the living join again."""
        if isinstance(self.broker, brokers.EmbeddedBroker):
            members.expel(self.bootstrap, GROUP)

    def committed(self) -> dict[TopicPartition, int]:
        """The committed offsets of the group; empty while the broker cannot say."""
        admin = None
        try:
            admin = KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=5_000)
            told = admin.list_group_offsets({GROUP: None}).get(GROUP) or {}
        except (KafkaError, OSError):
            return {}
        finally:
            if admin is not None:
                admin.close()
        return {place: each.offset for place, each in told.items() if each.offset >= 0}

    def committed_events(self) -> int:
        """How many records of the inputs the group has committed."""
        return sum(offset for place, offset in self.committed().items() if place.topic in topics.INPUTS)

    def ends(self, names: Iterable[str]) -> dict[TopicPartition, int]:
        """The end offset of every partition of the topics."""
        with _reader(self.bootstrap) as consumer:
            places = _places(consumer, names)
            return {place: int(end) for place, end in consumer.end_offsets(places).items()}

    def uncommitted(self, *, learning: bool) -> int:
        """How many records the group has not committed, of the inputs and of whatever else of ours it reads."""
        committed = self.committed()
        names = {*topics.INPUTS, *(place.topic for place in committed if place.topic in topics.BY_NAME)}
        if learning:
            names.add(topics.LABELLED_EXAMPLES)
        return sum(max(0, end - committed.get(place, 0)) for place, end in self.ends(names).items())

    def rewind(self, share: float) -> int:
        """Set every committed offset of the group, which must be empty, back to `share` of it (0 is the beginning).

        Returns:
            How many records will be delivered again.
        """
        told = {place: offset for place, offset in self.committed().items() if place.topic in topics.BY_NAME}
        targets = {place: int(offset * share) for place, offset in told.items()}
        with _reader(self.bootstrap, group_id=GROUP) as consumer:
            consumer.assign(list(targets))
            consumer.commit({place: OffsetAndMetadata(offset, "", -1) for place, offset in targets.items()})
        return sum(told.values()) - sum(targets.values())

    def observe(self) -> Observation:
        """Read back everything that was published."""
        names = [*topics.INPUTS, *compared_topics(), topics.MODEL_SNAPSHOTS]
        records = {name: self.read(name) for name in dict.fromkeys(names)}
        return observe(records, changelog=self.read(CHANGELOG))

    def read(self, topic: str) -> list[Entry]:
        """Return the records of a topic, partition by partition in order of offset; none of a topic that is missing.

        Raises:
            TimeoutError: the broker does not give them all.
        """
        with _reader(self.bootstrap) as consumer:
            places = _places(consumer, [topic])
            if not places:
                return []
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            ends = consumer.end_offsets(places)
            found: dict[TopicPartition, list[Any]] = {place: [] for place in places}
            deadline = time.monotonic() + READ_WITHIN_S
            while any(consumer.position(place) < ends[place] for place in places):
                for place, records in consumer.poll(timeout_ms=500).items():
                    found[place].extend(records)
                if time.monotonic() > deadline:
                    msg = f"{topic} was not read to its end within {READ_WITHIN_S:.0f} s"
                    raise TimeoutError(msg)
        return [
            Entry(each.key, each.value, dict(each.headers), f"{place.topic}-{place.partition}", each.offset)
            for place in places
            for each in found[place]
        ]


def _reader(bootstrap: str, group_id: str | None = None) -> Any:
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group_id, enable_auto_commit=False, max_poll_records=5_000
    )
    return closing(consumer)


def _places(consumer: Any, names: Iterable[str]) -> list[TopicPartition]:
    existing = consumer.topics()
    return [
        TopicPartition(name, number)
        for name in names
        if name in existing
        for number in sorted(consumer.partitions_for_topic(name) or ())
    ]
