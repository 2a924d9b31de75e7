"""What the runs with a population begin with: a simulated bank, its learned models, and states on the changelog.

In come sizes and a seed; out go events, a file of signed models and records on the changelog. Models that were learned
before can be given: learning takes longer than everything else here.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from needstream.bench import census, clones, load, packing
from needstream.bench.load import Record
from needstream.bench.packing import Placed
from needstream.streams import changelog, outgoing


class Bank(msgspec.Struct, frozen=True, kw_only=True):
    """How large the simulated bank is, its kind of customers, and the models it is scored with.

    Without a file of models they are learned from more customers of the same kind, as many as make all of them warm.
    """

    events: int = 90_000
    population: str = load.BUSY.name
    models: Path | None = None

    @property
    def kind(self) -> load.Population:
        """The population.

        Raises:
            ValueError: there is none of this name.
        """
        return load.population_of(self.population)


def bank(chosen: Bank, scratch: Path, *, seed: int, say: Callable[[str], object]) -> tuple[list[Record], Path]:
    """The bank's events, and the file of models."""
    kind = chosen.kind
    say(f"simulating {chosen.events:,} events of {kind.bank_customers:,} {kind.name} customers ...")
    records = load.generate(chosen.events, customers=kind.bank_customers, seed=seed, population=kind)
    if chosen.models is not None:
        return records, chosen.models.absolute()
    models = scratch / "models.jsonl"
    say("learning the models ...")
    load.learn(load.learned_from(kind, seed=seed), models)
    return records, models


def described(chosen: Bank, records: Sequence[Record], *, models: Path) -> dict[str, Any]:
    """The census of the bank's events, for a result file."""
    return census.as_dict(census.taken(records, models, population=chosen.kind))


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
