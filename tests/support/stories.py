"""Runs events through partitions the way a shell does, and keeps what came out.

run = stories.Run(definitions)
run.feed(stories.arrivals(click(at="2025-03-01T09:00:00Z"), ...))
run.finish(until="2025-03-20T00:00:00Z")
run.emissions
"""

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from needstream.models.scorer import Scorer
from needstream.schemas import codecs, events, times
from needstream.schemas import pack as packs
from needstream.schemas import state as states
from needstream.streams import topics
from needstream.streams.pipeline import inputs
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.emissions import DuplicateEvent
from needstream.streams.pipeline.partition import Partition
from needstream.streams.replay import MemoryStore

ALL = frozenset(topics.INPUTS)
CAUGHT_UP = ALL - {topics.CLICKSTREAM, topics.TRANSACTIONS}
"""The inputs that are rarely written: read to their end while the busy ones are still behind."""

_TOPICS = (
    (events.Click, topics.CLICKSTREAM),
    (events.Transaction, topics.TRANSACTIONS),
    (events.Feedback, topics.FEEDBACK),
    (events.Outcome, topics.OUTCOMES),
    (events.Event, topics.CUSTOMERS),
)


def topic_of(event: events.AnyEvent) -> str:
    """The topic an event belongs on."""
    return next(topic for kind, topic in _TOPICS if isinstance(event, kind))


def arrivals(*story: events.AnyEvent, partition: int = 0) -> list[inputs.Arrival]:
    """The events in order of arrival, numbered as a broker would."""
    counted: Counter[str] = Counter()
    arrived = []
    for event in story:
        topic = topic_of(event)
        key = codecs.event_key(event)
        arrived.append(inputs.Arrival(event, key, inputs.at_ms(event), topic, partition, counted[topic]))
        counted[topic] += 1
    return arrived


def partition_of(key: str, partitions: int) -> int:
    """Which partition a key belongs to."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest(), "big") % partitions


def delayed(log: Sequence[inputs.Arrival], within_ms: int, *, seed: int) -> list[inputs.Arrival]:
    """The log as it arrives when every record is delayed by less than ``within_ms``, numbered anew."""
    chance = random.Random(seed)
    arrived = sorted(log, key=lambda each: each.at_ms + chance.randrange(within_ms))
    counted: Counter[str] = Counter()
    numbered = []
    for arrival in arrived:
        numbered.append(msgspec.structs.replace(arrival, offset=counted[arrival.topic]))
        counted[arrival.topic] += 1
    return numbered


def merge_order(arrival: inputs.Arrival) -> tuple[int, int, str]:
    """The order in which records within the allowed lateness are applied."""
    return arrival.at_ms, topics.INPUTS.index(arrival.topic), arrival.event.event_id


def changed(definitions: Definitions, **sections: object) -> Definitions:
    """The same pack with some sections replaced."""
    return Definitions(msgspec.structs.replace(definitions.pack, **sections))


def said(emissions: Iterable[object]) -> set[tuple[str, bytes]]:
    """Emissions without repetition and without the duplicates that were noticed on the way."""
    return {
        (type(each).__name__, msgspec.json.encode(each)) for each in emissions if not isinstance(each, DuplicateEvent)
    }


class Run:
    """A partition over a memory store."""

    def __init__(self, definitions: Definitions, *, scorer: Scorer | None = None) -> None:
        self.definitions = definitions
        self.scorer = scorer or Scorer(definitions.readiness())
        self.store = MemoryStore()
        self.emissions: list[object] = []
        self.next_offset = dict.fromkeys(topics.INPUTS, 0)
        self.restart()

    def restart(self) -> None:
        """Forget everything but what was flushed."""
        self.partition = Partition(topics.INPUTS, self.definitions, scorer=self.scorer, store=self.store)

    def feed(self, arrived: Iterable[inputs.Arrival], *, at_end: frozenset[str] = CAUGHT_UP) -> "Run":
        """Push and advance, record by record."""
        for arrival in arrived:
            self.partition.push(arrival)
            self.next_offset[arrival.topic] = max(self.next_offset[arrival.topic], arrival.offset + 1)
            self.emissions += self.partition.advance(at_end)
        return self

    def flush(self) -> dict[str, int]:
        """Store what was touched; the offsets from which a restart would have to read again."""
        self.store.write(self.partition.flush())
        waiting = {topic: self.partition.merger.waiting_from(topic) for topic in topics.INPUTS}
        return {topic: self.next_offset[topic] if lowest is None else lowest for topic, lowest in waiting.items()}

    def finish(self, *, until: str | int | None = None) -> "Run":
        """Read every input to its end, let time pass, and store everything."""
        self.emissions += self.partition.advance(ALL)
        if until is not None:
            self.emissions += self.partition.tick(times.parse_rfc3339(until) if isinstance(until, str) else until)
        self.flush()
        return self

    def remembered(self) -> dict[str, bytes]:
        """Every stored snapshot without its offsets, which also tell how often it was stored."""
        restored = ((customer_id, states.restore(stored)) for customer_id, stored in self.store.items())
        return {
            customer_id: states.snapshot(msgspec.structs.replace(state, applied={})) for customer_id, state in restored
        }

    def stored(self) -> dict[str, bytes]:
        """Every stored snapshot as it is."""
        return dict(self.store.items())

    def customers(self) -> list[states.CustomerState]:
        """Every stored state."""
        return [states.restore(stored) for _, stored in self.store.items()]

    def of(self, kind: type) -> Iterator[object]:
        """The emissions of one kind, in order."""
        return (emission for emission in self.emissions if isinstance(emission, kind))


def new_customer(customer_id: str = "c1", at_ms: int = 0) -> states.CustomerState:
    """A state in which nothing has happened."""
    return states.new_customer(customer_id, at_ms)


def with_scenario(definitions: Definitions, scenario: packs.Scenario, **fields: object) -> Definitions:
    """The same pack with some fields of one scenario replaced."""
    scenarios = tuple(
        msgspec.structs.replace(each, **fields) if each.id == scenario.id else each
        for each in definitions.pack.scenarios
    )
    return changed(definitions, scenarios=scenarios)


def text(at_ms: int) -> str:
    """RFC 3339 text of a time."""
    return times.rfc3339(at_ms)
