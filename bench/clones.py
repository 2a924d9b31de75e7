"""A population of any size from a small simulated bank: copies under new ids, each in the middle of its life.

In come the bank's events and learned models; out go stored states as of one moment and what each copy does next. A
simulated customer is an original once for each hour of a day, so that it is day and night at the same time in the
population, as it is for a bank with customers everywhere, and the load is even. The invariant it protects: a copy's
state is what needstream itself would have stored, moved in time as a whole, and its events go on where the state ends.
"""

import random
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson

from needstream.bench import job
from needstream.bench.load import Record
from needstream.models import track
from needstream.models.scorer import Scorer
from needstream.schemas import state as states
from needstream.schemas.times import DAY_MS, HOUR_MS, parse_rfc3339, rfc3339
from needstream.streams import model_files, topics
from needstream.streams.packs import loader
from needstream.streams.pipeline import consents, inputs, learning
from needstream.streams.pipeline.partition import Partition
from needstream.streams.replay import MemoryStore

HOURS = 24
_ID_LENGTH = 15
_PLACEHOLDER = "?" * _ID_LENGTH
_OLDEST_MS, _NEWEST_MS = 1_000_000_000_000, 3_000_000_000_000
"""Numbers of a state between 2001 and 2065 are times: amounts are far below."""


class Deed(msgspec.Struct, frozen=True, array_like=True):
    """An event without id, time and customer: topic, how long after the moment it happens, the rest of its bytes."""

    after_ms: int
    topic: int
    rest: bytes


class Original(msgspec.Struct, frozen=True, array_like=True):
    """What a customer was at the moment, around the id, and what follows until the bank's last day.

    Attributes:
        before, after: the stored state without the customer's id.
        deeds: in order; after the last one it begins again.
        speaks: whether a signal to the customer would pass the gates of a service treatment.
    """

    before: bytes
    after: bytes
    deeds: tuple[Deed, ...]
    speaks: bool


class Population(msgspec.Struct, frozen=True, array_like=True):
    """The originals, the moment their states are as of, and after how long their deeds begin again."""

    originals: tuple[Original, ...]
    at_ms: int
    cycle_ms: int

    def snapshot(self, number: int) -> bytes:
        """The stored state of a copy."""
        original = self.originals[number % len(self.originals)]
        return original.before + name(number) + original.after

    def sessions(self, customers: int, *, events: int) -> Iterator[tuple[int, Deed, int]]:
        """The first so many events of so many copies in order, as event time, deed and number of the copy."""
        given = 0
        step_ms = max(60_000, int(self.cycle_ms * 100_000 / max(1, self._per_cycle(customers))))
        begin_ms = 0
        while True:
            found = self._between(customers, begin_ms, until_ms=begin_ms + step_ms)
            for entry in found:
                if given == events:
                    return
                yield entry
                given += 1
            begin_ms += step_ms

    def span_ms(self, customers: int, *, events: int) -> int:
        """About how much event time so many events of so many copies take."""
        return int(self.cycle_ms * events / max(1, self._per_cycle(customers)) * 1.3) + HOUR_MS

    def _per_cycle(self, customers: int) -> float:
        deeds = sum(len(original.deeds) for original in self.originals)
        return deeds * customers / len(self.originals)

    def _between(self, customers: int, begin_ms: int, *, until_ms: int) -> list[tuple[int, Deed, int]]:
        found: list[tuple[int, Deed, int]] = []
        for place, original in enumerate(self.originals[:customers]):
            for deed, after_ms in _again(original.deeds, begin_ms, until_ms=until_ms, cycle_ms=self.cycle_ms):
                at_ms = self.at_ms + after_ms
                found += [(at_ms, deed, number) for number in range(place, customers, len(self.originals))]
        found.sort(key=lambda entry: (entry[0], entry[1].topic))
        return found


def name(number: int) -> bytes:
    """The id of a copy."""
    return b"clone-%09d" % number


def event(deed: Deed, event_id: bytes, *, at: bytes, number: int) -> bytes:
    """The bytes of a deed as an event of a copy at that time (RFC 3339)."""
    return b"".join(
        (b'{"event_id":"', event_id, b'","event_time":"', at, b'","customer_id":"', name(number), b'"', deed.rest)
    )


def grow(records: Sequence[Record], models: Path, *, at_ms: int, seed: int) -> Population:
    """Originals from a bank's events: the last two fifths of its days are what they do next.

    Args:
        records: in event-time order, as the load makes them.
        models: what the states' predictions are made with.
        at_ms: the moment the states are moved to.
        seed: of the minutes by which the originals differ.
    """
    first_ms, last_ms = records[0].at_ms, records[-1].at_ms
    cut_ms = first_ms + int((last_ms - first_ms) * 0.6)
    cycle_ms = (last_ms - cut_ms - DAY_MS) // DAY_MS * DAY_MS
    if cycle_ms <= 0:
        msg = "the bank needs a week at least"
        raise ValueError(msg)
    lives = _lives(records)
    rng = random.Random(seed)
    originals = []
    for moment_ms, stored in _moments(records, models, cut_ms=cut_ms):
        for customer, times_ms, deeds in lives:
            if customer in stored:
                shift_ms = rng.randrange(HOUR_MS)
                begin = bisect_left(times_ms, moment_ms)
                end = bisect_left(times_ms, moment_ms + cycle_ms - shift_ms)
                follows = tuple(
                    Deed(at_ms - moment_ms + shift_ms, topic, rest)
                    for at_ms, (topic, rest) in zip(times_ms[begin:end], deeds[begin:end], strict=True)
                )
                if follows:
                    originals.append(_original(stored[customer], at_ms + shift_ms - moment_ms, deeds=follows))
    rng.shuffle(originals)
    return Population(tuple(originals), at_ms, cycle_ms)


def moved(stored: bytes, by_ms: int) -> Any:
    """A stored state as plain values, all its times moved."""
    return _moved(msgspec.msgpack.decode(stored), by_ms)


def _moved(value: Any, by_ms: int) -> Any:
    if isinstance(value, list):
        return [_moved(each, by_ms) for each in value]
    if isinstance(value, dict):
        return {key: _moved(each, by_ms) for key, each in value.items()}
    if isinstance(value, int | float) and _OLDEST_MS < value < _NEWEST_MS:
        return value + by_ms
    return value


def _original(stored: bytes, by_ms: int, *, deeds: tuple[Deed, ...]) -> Original:
    state = states.restore(msgspec.msgpack.encode(moved(stored, by_ms)))
    state.customer_id = _PLACEHOLDER
    # What was applied was read from other topics.
    state.applied = {}
    before, _, after = states.snapshot(state).partition(_PLACEHOLDER.encode())
    consent = consents.status(state, "service")
    is_stopped = bool(state.suspect_until_ms) or (consent is not None and consent != "GRANTED")
    return Original(before, after, deeds, not is_stopped)


def _lives(records: Sequence[Record]) -> list[tuple[str, list[int], list[tuple[int, bytes]]]]:
    """Each customer's id, event times, and topics and bytes of the events."""
    ranks = {topic: rank for rank, topic in enumerate(topics.INPUTS)}
    times_ms: defaultdict[str, list[int]] = defaultdict(list)
    deeds: defaultdict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for record in records:
        fields = orjson.loads(record.value)
        for each in ("event_id", "event_time", "customer_id"):
            del fields[each]
        times_ms[record.key.decode()].append(record.at_ms)
        deeds[record.key.decode()].append((ranks[record.topic], b"," + orjson.dumps(fields)[1:]))
    return [(customer, times_ms[customer], deeds[customer]) for customer in sorted(times_ms)]


def _moments(records: Sequence[Record], models: Path, *, cut_ms: int) -> Iterator[tuple[int, dict[str, bytes]]]:
    """What was stored of everybody at the cut and at each of the hours after it."""
    definitions = loader.load("bank")
    rules = learning.rules(definitions)
    scorer = Scorer(definitions.readiness(), is_pinned=True)
    for model in model_files.read(models, key=job.KEY, features=definitions.pack.features):
        if model.name in rules:
            scorer.publish(track.readied(model, rules[model.name]))
    store = MemoryStore()
    partition = Partition(topics.MERGED, definitions, scorer=scorer, store=store)
    work = job.Job.open("full", models)
    times_ms = [record.at_ms for record in records]
    done = 0
    for hour in range(HOURS):
        moment_ms = cut_ms + hour * HOUR_MS
        end = bisect_left(times_ms, moment_ms)
        for record in records[done:end]:
            arrival = work.decode(record.topic, record.value, record.key)
            if arrival is not None:
                done += 1
                partition.push(inputs.arrival(arrival.event, record.topic, offset=done))
                if done % 500 == 0:  # the merger holds back a bounded number
                    _apply(partition, store)
        done = end
        _apply(partition, store)
        partition.tick(moment_ms)
        _apply(partition, store)
        yield moment_ms, {key: stored for key, stored in store.items() if key.isprintable()}


def _apply(partition: Partition, store: MemoryStore) -> None:
    for _ in partition.advance(frozenset(topics.MERGED)):
        pass
    store.write(partition.flush())


def _again(deeds: Sequence[Deed], begin_ms: int, *, until_ms: int, cycle_ms: int) -> Iterator[tuple[Deed, int]]:
    """The deeds between two times, begun again after each cycle, with their times."""
    for cycle in range(begin_ms // cycle_ms, (until_ms - 1) // cycle_ms + 1):
        base_ms = cycle * cycle_ms
        begin = bisect_left(deeds, begin_ms - base_ms, key=lambda deed: deed.after_ms)
        end = bisect_left(deeds, until_ms - base_ms, key=lambda deed: deed.after_ms)
        for deed in deeds[begin:end]:
            yield deed, base_ms + deed.after_ms


def text_time(at_ms: int) -> bytes:
    """A time as it stands in an event."""
    return rfc3339(at_ms).encode()


def event_time(value: bytes) -> int:
    """The time that stands in an event of a copy."""
    return int(parse_rfc3339(orjson.loads(value)["event_time"]))
