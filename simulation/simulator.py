"""The simulation as a whole: customers, plants and latent needs, lived day by day, delivered in arrival order.

Equal parameters give equal bytes, on every machine and in every Python of the supported versions.
"""

import collections
import dataclasses
import pathlib
import random
from collections.abc import Iterator

from needstream.simulation import (
    behaviours,
    journal,
    latent_needs,
    noise,
    parameters,
    plants,
    population,
    timeline,
    truth,
    writer,
)
from needstream.simulation.life import Life

SimulationParameters = parameters.SimulationParameters


@dataclasses.dataclass(frozen=True, slots=True)
class Simulation:
    """Arrivals in arrival order, and what was planted."""

    parameters: parameters.SimulationParameters
    arrivals: list[noise.Arrival]
    truth: list[truth.Planted]

    def __iter__(self) -> Iterator[noise.Arrival]:
        """Iterate over (arrival_ms, topic, key, event bytes) in arrival order."""
        return iter(self.arrivals)

    def __len__(self) -> int:
        """Return the number of arrivals, duplicates included."""
        return len(self.arrivals)

    def counts(self) -> dict[str, int]:
        """Return the number of arrivals per topic."""
        return dict(collections.Counter(arrival.topic for arrival in self.arrivals))


def simulate(chosen: parameters.SimulationParameters | None = None) -> Simulation:
    """Run a whole simulation in memory: about half a kilobyte per event."""
    chosen = chosen or parameters.SimulationParameters()
    rows: list[truth.Planted] = []
    records: list[journal.Record] = []
    lives = [_life(customer, chosen, records=records, rows=rows) for customer in population.create(chosen)]
    plants.sow_all(lives, chosen)
    latent_needs.sow_all(lives, chosen)
    hijackable = [life.customer for life in lives if not life.roles and not life.interests]
    for life in lives:
        behaviours.live(life)
    records += noise.strangers(chosen, hijackable=hijackable, rows=rows)
    arrivals = noise.deliver((record for record in records if record.event_time_ms < chosen.end_ms), chosen)
    rows.sort(key=lambda row: (row.starts_at_ms, row.customer_id, row.scenario or ""))
    return Simulation(chosen, arrivals, rows)


def write(simulation: Simulation, directory: pathlib.Path) -> None:
    """Write one file per input topic and truth.jsonl into a folder, which is made if it is missing."""
    writer.write_events(simulation, directory)
    truth.write(simulation.truth, directory / truth.FILE_NAME)


def _life(
    customer: population.Customer,
    chosen: parameters.SimulationParameters,
    *,
    records: list[journal.Record],
    rows: list[truth.Planted],
) -> Life:
    rng = random.Random(f"{chosen.seed}/life/{customer.number}")
    account = journal.Journal(customer, records)
    # As if each had been seen some days before the start; otherwise everybody would log in on the first day.
    seen_days = rng.random() * customer.longest_pause_days
    account.last_activity_ms = chosen.start_ms - int(seen_days * timeline.DAY_MS)
    return Life(customer, chosen, rng, account, rows)
