"""The load: events of a simulated bank in the order they happened, and models learned from the same bank.

In come a seed, a kind of population and a number of events; out go records (topic, key, value) and a file of signed
models. The invariant it protects: every contender can do the same work. So each event has a customer's id, nobody is
anonymous, nothing is late, sent twice or broken, and no customer is erased: how those are treated differs from
framework to framework.
"""

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from msgspec import Struct

from needstream.bench import job
from needstream.models.learner import Learner
from needstream.schemas import times
from needstream.simulation import parameters, simulator, writer
from needstream.simulation.noise import Arrival
from needstream.streams import model_files, topics
from needstream.streams.packs import loader
from needstream.streams.replay import Replay, ReplayOptions


class Population(Struct, frozen=True, kw_only=True):
    """How much the customers of a load do.

    Attributes:
        screens_per_day: the simulation's parameter of that name.
        per_customer_and_day: how many events that makes, a little less than what it turned out to be.
        customers: how many a throughput run has, unless another number is chosen.
        bank_customers: how many the bank has that latency and scaling runs copy.
        events: of each job of a throughput run. With `customers` the full one lasts eighty days in either population:
            samples come weekly, and the last labels mature a month after theirs.
    """

    name: str
    screens_per_day: float
    per_customer_and_day: float
    customers: int
    bank_customers: int
    events: dict[str, int]


QUIET = Population(
    name="quiet",
    screens_per_day=0.0,
    per_customer_and_day=1.2,
    customers=500,
    bank_customers=500,
    events={"count": 250_000, "features": 40_000, "full": 50_000},
)
"""The simulation as it is: a visit a week, most events are the bank's and the card's."""

BUSY = Population(
    name="busy",
    screens_per_day=4.6,
    per_customer_and_day=6.0,
    customers=250,
    bank_customers=150,
    events={"count": 250_000, "features": 100_000, "full": 120_000},
)
"""Customers of an app: several visits a week, ten screens each."""

POPULATIONS = {each.name: each for each in (BUSY, QUIET)}

LEARNED_CUSTOMERS = 500
LEARNED_DAYS = 150
"""How many customers, and for how long, models are learned from: all of them are warm then. Labels come by customer and
week, so it is not a number of events."""

_RANK = {topic: rank for rank, topic in enumerate(topics.INPUTS)}


@dataclass(frozen=True, slots=True)
class Record:
    """An input record, keyed by customer; ``at_ms`` is its event time."""

    topic: str
    key: bytes
    value: bytes
    at_ms: int


def population_of(name: str) -> Population:
    """The population of this name.

    Raises:
        ValueError: there is none.
    """
    if name not in POPULATIONS:
        msg = f"{name!r} is unknown; valid are {', '.join(POPULATIONS)}"
        raise ValueError(msg)
    return POPULATIONS[name]


def generate(events: int, *, customers: int, seed: int, population: Population = QUIET) -> list[Record]:
    """The first so many events of a bank with so many customers, in the order needstream merges them."""
    days = math.ceil(events / (customers * population.per_customer_and_day)) + 1
    while True:
        chosen = parameters.SimulationParameters(
            seed=seed,
            customers=customers,
            days=days,
            anonymous_visitors=0,
            late_share=0.0,
            very_late_share=0.0,
            duplicate_share=0.0,
            screens_per_day=population.screens_per_day,
        )
        found = ordered(simulator.simulate(chosen).arrivals)
        if len(found) >= events:
            return found[:events]
        days = math.ceil(days * 1.2) + 1


def ordered(arrivals: Sequence[Arrival]) -> list[Record]:
    """The events of known customers, without their devices' ids."""
    found: list[tuple[int, int, str, Record]] = []
    for arrival in arrivals:
        event = orjson.loads(arrival.event)
        if event.get("customer_id") is None:
            continue
        value = arrival.event
        if event.pop("anonymous_id", None) is not None:
            value = orjson.dumps(event)
        at_ms = times.parse_rfc3339(event["event_time"])
        record = Record(arrival.topic, event["customer_id"].encode(), value, at_ms)
        found.append((at_ms, _RANK[arrival.topic], event["event_id"], record))
    found.sort(key=lambda entry: entry[:3])
    return [entry[3] for entry in found]


def learned_from(population: Population, *, seed: int) -> list[Record]:
    """Events that every model of the bank pack becomes warm with; of the population, so that its habits are known."""
    events = round(LEARNED_CUSTOMERS * LEARNED_DAYS * population.per_customer_and_day)
    return generate(events, customers=LEARNED_CUSTOMERS, seed=seed, population=population)


def learn(records: Sequence[Record], path: Path) -> None:
    """Learn the bank pack's models from a load and write what they have become, signed."""
    with tempfile.TemporaryDirectory(prefix="needstream-bench-") as folder:
        scratch = Path(folder)
        writer.write_events(
            [Arrival(record.at_ms, record.topic, record.key.decode(), record.value) for record in records], scratch
        )
        first = Replay(loader.load("bank"), ReplayOptions(latest_ms=time.time_ns() // 1_000_000))
        first.run(scratch, scratch / "said")
    assert isinstance(first.learner, Learner)
    model_files.write(first.learner.standings(), path, key=job.KEY)


def cold(path: Path) -> list[str]:
    """The models of a file that have too few labels or positives to speak; empty if all are warm."""
    definitions = loader.load("bank")
    needed = definitions.readiness()
    found = {each.name: each for each in model_files.read(path, key=job.KEY, features=definitions.pack.features)}
    return [
        name
        for name, least in needed.items()
        if name not in found or found[name].labels < least.min_labels or found[name].positives < least.min_positives
    ]
