"""What a benchmark run does: jobs, contenders, sizes; checked before anything is started."""

import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

from needstream.bench import job, load
from needstream.bench.load import Population

CONTENDERS = (
    "needstream",
    "limit",
    "confluent",
    "aiokafka",
    "bytewax",
    "bytewax_merged",
    "quix",
    "pyflink",
    "faust_per_event",
)
SHARE = {"faust_per_event": 0.1}
"""Slow contenders get only the first part of the events."""

ONLY = {"bytewax_merged": ("count",), "pyflink": ("full",)}
"""A contender that differs from another one in some jobs only, and one that takes most of a minute to start."""

COMPARED = ("full",)
"""The jobs that are also run on a second population: in the others no work comes by customer and week."""

AUTO = "auto"
FEWEST_EVENTS = 1_000
FEWEST_CUSTOMERS = 20
WARM_UP = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The choices of one run on one population, the first of ``populations``.

    ``events`` by job; ``chosen_events`` and ``chosen_customers`` are 0 unless somebody chose another number.
    """

    jobs: tuple[str, ...]
    contenders: tuple[str, ...]
    rounds: int
    events: dict[str, int]
    chosen_events: int
    customers: int
    chosen_customers: int
    populations: tuple[str, ...]
    seed: int
    broker: str
    output: Path

    @property
    def population(self) -> Population:
        """Whose events they are."""
        return load.POPULATIONS[self.populations[0]]

    @property
    def counted(self) -> str:
        """The job whose load is described in the result: the full one if it is run, else the first."""
        return "full" if "full" in self.jobs else self.jobs[0]

    def second(self) -> "Plan | None":
        """The same contenders on the second population, with the jobs that are compared; None if there is none."""
        jobs = tuple(name for name in self.jobs if name in COMPARED)
        if len(self.populations) == 1 or not jobs:
            return None
        population = load.POPULATIONS[self.populations[1]]
        return replace(
            self,
            populations=(population.name,),
            jobs=jobs,
            events={name: self.chosen_events or population.events[name] for name in jobs},
            customers=self.chosen_customers or population.customers,
        )

    def events_of(self, name: str, contender: str) -> int:
        """How many events of a job a contender gets."""
        return max(FEWEST_EVENTS, int(self.events[name] * SHARE.get(contender, 1.0)))

    @property
    def command(self) -> str:
        """The command that repeats this run."""
        given: dict[str, object] = {
            "jobs": ",".join(self.jobs),
            "contenders": ",".join(self.contenders),
            "rounds": self.rounds,
            "population": ",".join(self.populations),
            "seed": self.seed,
            "broker": self.broker,
        }
        if self.chosen_customers:
            given["customers"] = self.chosen_customers
        if self.chosen_events:
            given["events"] = self.chosen_events
        return shlex.join(["needstream", "bench", *(f"--{name}={value}" for name, value in given.items())])


def broker_here() -> str:
    """Apache Kafka where Java and Maven are, else the embedded broker."""
    return "apache" if shutil.which("java") and shutil.which("mvn") else "embedded"


class Choices(TypedDict):
    """What the command line says: nothing chosen is an empty list, or 0 events or customers."""

    jobs: list[str]
    contenders: list[str]
    rounds: int
    events: int
    customers: int
    populations: list[str]
    seed: int
    broker: str
    output: Path


def make(chosen: Choices) -> Plan:
    """The plan of these choices; all jobs and all contenders for none, the busy population without one.

    Raises:
        ValueError: a job, a contender or a population that is not known, too few events or customers.
    """
    jobs = tuple(dict.fromkeys(chosen["jobs"])) or job.NAMES
    contenders = tuple(dict.fromkeys(chosen["contenders"])) or CONTENDERS
    populations = tuple(dict.fromkeys(chosen["populations"])) or (load.BUSY.name,)
    known = tuple(load.POPULATIONS)
    for given, valid in ((jobs, job.NAMES), (contenders, CONTENDERS), (populations, known)):
        unknown = [name for name in given if name not in valid]
        if unknown:
            msg = f"{unknown[0]!r} is unknown; valid are {', '.join(valid)}"
            raise ValueError(msg)
    events = chosen["events"]
    if events and events < FEWEST_EVENTS:
        msg = f"at least {FEWEST_EVENTS:,} events are needed, not {events}"
        raise ValueError(msg)
    customers = chosen["customers"]
    if customers and customers < FEWEST_CUSTOMERS:
        msg = f"at least {FEWEST_CUSTOMERS} customers are needed, not {customers}"
        raise ValueError(msg)
    first = load.POPULATIONS[populations[0]]
    return Plan(
        jobs=jobs,
        contenders=contenders,
        rounds=chosen["rounds"],
        events={name: events or first.events[name] for name in jobs},
        chosen_events=events,
        customers=customers or first.customers,
        chosen_customers=customers,
        populations=populations,
        seed=chosen["seed"],
        broker=broker_here() if chosen["broker"] == AUTO else chosen["broker"],
        output=chosen["output"],
    )
