"""Runs events through partitions the way a shell does, and keeps what came out.

run = stories.Run(definitions)
run.feed(stories.arrivals(click(at="2025-03-01T09:00:00Z"), ...))
run.finish(until="2025-03-20T00:00:00Z")
run.emissions
"""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from needstream.models.scorer import Scorer
from needstream.schemas import codecs, events, identities, times
from needstream.schemas import pack as packs
from needstream.schemas import state as states
from needstream.streams import topics
from needstream.streams.pipeline import inputs
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.emissions import DuplicateEvent
from needstream.streams.pipeline.partition import Partition
from needstream.streams.replay import MemoryStore

ALL = frozenset(topics.MERGED)
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
        arrived.append(inputs.arrival(event, topic, partition=partition, offset=counted[topic]))
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
    return arrival.at_ms, topics.MERGED.index(arrival.topic), arrival.event.event_id


def changed(definitions: Definitions, **sections: object) -> Definitions:
    """The same pack with some sections replaced."""
    return Definitions(msgspec.structs.replace(definitions.pack, **sections))


def said(emissions: Iterable[object]) -> set[tuple[str, bytes]]:
    """Emissions without repetition and without the duplicates that were noticed on the way."""
    return {
        (type(each).__name__, msgspec.json.encode(each)) for each in emissions if not isinstance(each, DuplicateEvent)
    }


class Run:
    """A partition over a memory store; what it tells other partitions goes to ``post``, else comes back to itself."""

    def __init__(
        self,
        definitions: Definitions,
        *,
        scorer: Scorer | None = None,
        number: int = 0,
        post: Callable[[identities.IdentityMessage], None] | None = None,
    ) -> None:
        self.definitions = definitions
        self.scorer = scorer or Scorer(definitions.readiness())
        self.store = MemoryStore()
        self.emissions: list[object] = []
        self.next_offset = dict.fromkeys(topics.MERGED, 0)
        self._number = number
        self._post = post or self.receive
        self.received: list[inputs.Arrival] = []
        self._applied_messages = 0
        self.restart()

    def restart(self) -> None:
        """Forget everything but what was flushed; messages that were not applied then are delivered again."""
        self.partition = Partition(topics.MERGED, self.definitions, scorer=self.scorer, store=self.store)
        for customer_id, stored in self.store.items():
            self.partition.admit(customer_id, stored)
        for message in self.received[self._applied_messages :]:
            self.partition.push(message)

    def receive(self, message: identities.IdentityMessage) -> None:
        """Take in what a partition has to say; the next ``feed`` applies it."""
        arrival = inputs.arrival(message, topics.IDENTITIES, offset=len(self.received), partition=self._number)
        self.received.append(arrival)
        self.next_offset[topics.IDENTITIES] = len(self.received)
        self.partition.push(arrival)

    def feed(self, arrived: Iterable[inputs.Arrival], *, at_end: frozenset[str] = CAUGHT_UP) -> "Run":
        """Push and advance, record by record."""
        for arrival in arrived:
            self.partition.push(arrival)
            self.next_offset[arrival.topic] = max(self.next_offset[arrival.topic], arrival.offset + 1)
            self.advance(at_end)
        return self

    def reread(self, again: Iterable[inputs.Arrival], chance: random.Random) -> None:
        """Take in what is delivered again after a crash: each topic at its own pace, rounds ending anywhere."""
        queues: dict[str, list[inputs.Arrival]] = {}
        for arrival in again:
            queues.setdefault(arrival.topic, []).append(arrival)
        while queues:
            topic = chance.choice(sorted(queues))
            some, queues[topic] = queues[topic][:20], queues[topic][20:]
            if not queues[topic]:
                del queues[topic]
            for arrival in some:
                self.partition.push(arrival)
            self.advance(ALL - queues.keys() - {topics.CLICKSTREAM, topics.TRANSACTIONS})
            if chance.random() < 0.3:
                self.flush()

    def advance(self, at_end: frozenset[str] = CAUGHT_UP) -> None:
        """Apply what may be applied."""
        for emission in self.partition.advance(at_end):
            self.emissions.append(emission)
            if isinstance(emission, identities.IdentityMessage):
                self._post(emission)

    def tick(self, at_ms: int) -> None:
        """Let event time pass."""
        self.partition.tick(at_ms)
        self.advance()

    def flush(self) -> dict[str, int]:
        """Store what was touched; the offsets from which a restart would have to read again."""
        self.store.write(self.partition.flush())
        waiting = {topic: self.partition.waiting_from(topic) for topic in topics.MERGED}
        committed = {topic: self.next_offset[topic] if lowest is None else lowest for topic, lowest in waiting.items()}
        self._applied_messages = committed[topics.IDENTITIES]
        return committed

    def finish(self, *, until: str | int | None = None) -> "Run":
        """Read every input to its end, let time pass, and store everything."""
        self.advance(ALL)
        if until is not None:
            self.tick(times.parse_rfc3339(until) if isinstance(until, str) else until)
        self.flush()
        return self

    def remembered(self) -> dict[str, bytes]:
        """Every stored snapshot without its offsets, which also tell how often it was stored."""
        restored = ((customer_id, states.restore(stored)) for customer_id, stored in self.stored().items())
        return {
            customer_id: states.snapshot(msgspec.structs.replace(state, applied={})) for customer_id, state in restored
        }

    def stored(self) -> dict[str, bytes]:
        """Every stored snapshot of a customer or visitor as it is."""
        return {key: stored for key, stored in self.store.items() if key != states.PARTITION_KEY}

    def customers(self) -> list[states.CustomerState]:
        """Every stored state."""
        return [states.restore(stored) for stored in self.stored().values()]

    def of(self, kind: type) -> Iterator[object]:
        """The emissions of one kind, in order."""
        return (emission for emission in self.emissions if isinstance(emission, kind))


class Cluster:
    """Several partitions that tell each other about visitors, each at its own pace.

    Args:
        definitions: the pack of all.
        partitions: how many.
        seed: decides when messages arrive; every delivery keeps the order of its target.
    """

    def __init__(self, definitions: Definitions, partitions: int, *, scorer: Scorer | None = None, seed: int) -> None:
        self._chance = random.Random(seed)
        self._on_the_way: list[identities.IdentityMessage] = []
        self.runs = [
            Run(definitions, scorer=scorer, number=number, post=self._on_the_way.append) for number in range(partitions)
        ]

    def feed(self, log: Iterable[inputs.Arrival]) -> "Cluster":
        """Give every arrival to the partition of its key."""
        for arrival in log:
            self._give(arrival)
            if self._chance.random() < 0.02:
                self._deliver()
        return self

    def feed_and_crash(self, log: Iterable[inputs.Arrival]) -> int:
        """The same, while partitions flush and crash at random, also between the snapshots of one flush.

        Returns:
            How many crashes there were while customers waited for a history.
        """
        given: list[list[inputs.Arrival]] = [[] for _ in self.runs]
        committed = [dict.fromkeys(topics.MERGED, 0) for _ in self.runs]
        hit = 0
        for arrival in log:
            given[self._give(arrival)].append(arrival)
            number = self._chance.randrange(len(self.runs))
            run, draw = self.runs[number], self._chance.random()
            if draw < 0.02:
                self._deliver()
            elif draw < 0.05:
                committed[number] = run.flush()
            elif draw < 0.07:
                snapshots = list(run.partition.flush().items())
                run.store.write(dict(snapshots[: self._chance.randrange(len(snapshots) + 1)]))
                hit += bool(run.partition.awaiting)
                run.restart()
                again = [each for each in given[number] if each.offset >= committed[number][each.topic]]
                run.reread([msgspec.structs.replace(each, partition=number) for each in again], self._chance)
        return hit

    def _give(self, arrival: inputs.Arrival) -> int:
        number = partition_of(arrival.key, len(self.runs))
        self.runs[number].feed([msgspec.structs.replace(arrival, partition=number)])
        return number

    def finish(self, *, until: int) -> "Cluster":
        """Deliver every message, read to the end, let time pass."""
        for run in self.runs:
            run.advance(ALL)
        while self._on_the_way:
            self._deliver(ALL)
        for run in self.runs:
            run.finish(until=until)
        return self

    def _deliver(self, at_end: frozenset[str] = CAUGHT_UP) -> None:
        messages = list(self._on_the_way)
        self._on_the_way.clear()
        for message in messages:
            told = getattr(message, "reply_to", identities.BY_KEY)
            is_told = told != identities.BY_KEY and not isinstance(message, identities.Link)
            number = told if is_told else partition_of(codecs.state_key(message), len(self.runs))
            self.runs[number].receive(message)
            self.runs[number].advance(at_end)


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


def under_key(arrival: inputs.Arrival, key: bytes) -> inputs.Arrival:
    """The same event in a record with another key."""
    return inputs.arrival(arrival.event, arrival.topic, offset=arrival.offset, partition=arrival.partition, key=key)


def crashing(run: Run, log: Sequence[inputs.Arrival], *, chance: random.Random) -> int:
    """Feed a log, flushed at random batch borders, dropped at random places, and read again from what was not flushed.

    Returns:
        How often it crashed.
    """
    committed = dict.fromkeys(topics.INPUTS, 0)
    crashes = read = 0
    while read < len(log):
        size = chance.randrange(1, 60)
        run.feed(log[read : read + size])
        read += size
        if chance.random() < 0.6:
            committed = run.flush()
        if chance.random() < 0.2:
            run.restart()
            crashes += 1
            run.reread([each for each in log[:read] if each.offset >= committed[each.topic]], chance)
    run.finish()
    return crashes
