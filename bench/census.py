"""What a load is made of: how much its customers do, and how often what comes by session and by week is due per event.

In come records and learned models, out come plain figures for a result file. The invariant it protects: everything is
counted on the events themselves by needstream's own partition, nothing is taken from what the simulation was asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from needstream.bench import job, load
from needstream.schemas.signals import LabelledExample
from needstream.schemas.times import DAY_MS
from needstream.streams import topics
from needstream.streams.pipeline.emissions import PredictionMade, SessionClosed
from needstream.streams.pipeline.inputs import Arrival
from needstream.streams.pipeline.partition import Partition
from needstream.streams.replay import MemoryStore

BATCH = 500


class Rare(Struct):
    """How often what does not come with each event was seen."""

    session_ends: int = 0
    samples: int = 0
    examples: int = 0

    def add(self, emitted: Iterable[Any]) -> None:
        """Take in what steps said; a sample is one look of all models, an example one matured label of one model."""
        for each in emitted:
            self.session_ends += type(each) is SessionClosed
            self.samples += type(each) is PredictionMade
            self.examples += type(each) is LabelledExample


class Census(Struct, frozen=True, kw_only=True):
    """A load's figures; ``days`` from its first event to its last."""

    population: str
    events: int
    customers: int
    days: float
    events_per_customer_and_day: float
    session_ends_per_event: float
    samples_per_event: float
    examples_per_event: float


def taken(records: Sequence[load.Record], models: Path, *, population: load.Population) -> Census:
    """Count a load's events and what the bank pack's step makes of them."""
    work = job.Job.open("full", models)
    assert isinstance(work, job.StepJob)
    store = MemoryStore()
    partition = Partition(topics.MERGED, work.definitions, scorer=work.knowledge.scorer, store=store)
    seen = Rare()
    offsets = dict.fromkeys(topics.MERGED, 0)
    for start in range(0, len(records), BATCH):
        for record in records[start : start + BATCH]:
            arrival = work.decode(record.topic, record.value, record.key)
            if arrival is not None:
                partition.push(_at(arrival, offsets))
        seen.add(partition.advance(frozenset(topics.MERGED)))
        store.write(partition.flush())
    days = (records[-1].at_ms - records[0].at_ms) / DAY_MS
    return of(seen, population=population.name, events=len(records), people=(len({each.key for each in records}), days))


def of(seen: Rare, *, population: str, events: int, people: tuple[int, float]) -> Census:
    """The figures of what was seen; ``people`` says how many customers there were, and for how many days."""
    customers, days = people
    return Census(
        population=population,
        events=events,
        customers=customers,
        days=round(days, 1),
        events_per_customer_and_day=round(events / customers / days, 2),
        session_ends_per_event=round(seen.session_ends / events, 4),
        samples_per_event=round(seen.samples / events, 4),
        examples_per_event=round(seen.examples / events, 4),
    )


def as_dict(census: Census) -> dict[str, Any]:
    """The figures for a result file."""
    return structs.asdict(census)


def sentence(told: Mapping[str, Any]) -> str:
    """The figures of a result file for a reader."""
    return (
        f"population `{told['population']}`: {told['events_per_customer_and_day']:.2f} events a customer and day "
        f"({told['customers']:,} customers, {told['days']:.0f} days); an event brings "
        f"{told['session_ends_per_event']:.3f} session ends, {told['samples_per_event']:.3f} samples of all models and "
        f"{told['examples_per_event']:.3f} matured examples"
    )


def _at(arrival: Arrival, offsets: dict[str, int]) -> Arrival:
    offset = offsets[arrival.topic]
    offsets[arrival.topic] = offset + 1
    return structs.replace(arrival, offset=offset)
