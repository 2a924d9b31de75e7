"""The load: events of a simulated bank in the order they happened, and models learned from the same bank.

In come a seed and a number of events; out go records (topic, key, value) and a file of signed models. The invariant it
protects: every contender can do the same work. So each event has a customer's id, nobody is anonymous, nothing is late,
sent twice or broken, and no customer is erased: how those are treated differs from framework to framework.
"""

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from needstream.bench import job
from needstream.models.learner import Learner
from needstream.schemas import times
from needstream.simulation import parameters, simulator, writer
from needstream.simulation.noise import Arrival
from needstream.streams import model_files, topics
from needstream.streams.packs import loader
from needstream.streams.replay import Replay, ReplayOptions

EVENTS_PER_CUSTOMER_AND_DAY = 1.2
"""Of the simulated bank, a little less than what it turned out to be."""

_RANK = {topic: rank for rank, topic in enumerate(topics.INPUTS)}


@dataclass(frozen=True, slots=True)
class Record:
    """An input record, keyed by customer; ``at_ms`` is its event time."""

    topic: str
    key: bytes
    value: bytes
    at_ms: int


def generate(events: int, *, customers: int, seed: int) -> list[Record]:
    """The first so many events of a bank with so many customers, in the order needstream merges them."""
    days = math.ceil(events / (customers * EVENTS_PER_CUSTOMER_AND_DAY)) + 1
    while True:
        chosen = parameters.SimulationParameters(
            seed=seed,
            customers=customers,
            days=days,
            anonymous_visitors=0,
            late_share=0.0,
            very_late_share=0.0,
            duplicate_share=0.0,
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
