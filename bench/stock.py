"""What the runs with a population begin with: a simulated bank, its learned models, and states on the changelog.

In come sizes and a seed; out go events, a file of signed models and records on the changelog. Models that were learned
before can be given: learning takes longer than everything else here.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from needstream.bench import clones, load, packing
from needstream.bench.load import Record
from needstream.bench.packing import Placed
from needstream.streams import changelog, outgoing


class Bank(msgspec.Struct, frozen=True, kw_only=True):
    """How large the simulated bank is, and the models it is scored with; learned from it without a file."""

    events: int = 90_000
    customers: int = 500
    models: Path | None = None


def bank(chosen: Bank, scratch: Path, *, seed: int, say: Callable[[str], object]) -> tuple[list[Record], Path]:
    """The bank's events, and the file of models."""
    say(f"simulating {chosen.events:,} events of {chosen.customers:,} customers ...")
    records = load.generate(chosen.events, customers=chosen.customers, seed=seed)
    if chosen.models is not None:
        return records, chosen.models.absolute()
    models = scratch / "models.jsonl"
    say("learning the models ...")
    load.learn(records, models)
    return records, models


def write_states(bootstrap: str, app_id: str, *, population: clones.Population, customers: int, partitions: int) -> int:
    """Write the copies' states into the changelog of an app; return how many bytes they have."""
    changelog.require(bootstrap, app_id, partitions=partitions)
    topic = changelog.name(app_id)
    addresses = outgoing.Addresses(partitions=partitions)

    def records() -> Iterator[Placed]:
        for number in range(customers):
            key = clones.name(number)
            yield topic, addresses.of_key(key), key, population.snapshot(number)

    return packing.send(bootstrap, records())[1]
