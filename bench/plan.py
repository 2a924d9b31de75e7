"""What a benchmark run does: jobs, contenders, sizes; checked before anything is started."""

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from needstream.bench import job

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
EVENTS = {"count": 250_000, "features": 40_000, "full": 50_000}
"""So many that a run of the quickest contender takes seconds, and all of it less than half an hour."""

SHARE = {"faust_per_event": 0.1, "pyflink": 0.6}
"""Slow contenders get only the first part of the events."""

ONLY = {"bytewax_merged": ("count",), "pyflink": ("full",)}
"""A contender that differs from another one in some jobs only, and one that takes most of a minute to start."""

AUTO = "auto"
FEWEST_EVENTS = 1_000
WARM_UP = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The choices of one run; ``events`` by job, ``chosen_events`` 0 unless somebody chose another number."""

    jobs: tuple[str, ...]
    contenders: tuple[str, ...]
    rounds: int
    events: dict[str, int]
    chosen_events: int
    customers: int
    seed: int
    broker: str
    output: Path

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
            "customers": self.customers,
            "seed": self.seed,
            "broker": self.broker,
        }
        if self.chosen_events:
            given["events"] = self.chosen_events
        return shlex.join(["needstream", "bench", *(f"--{name}={value}" for name, value in given.items())])


def broker_here() -> str:
    """Apache Kafka where Java and Maven are, else the embedded broker."""
    return "apache" if shutil.which("java") and shutil.which("mvn") else "embedded"


class Choices(TypedDict):
    """What the command line says: nothing chosen is an empty list, or 0 events."""

    jobs: list[str]
    contenders: list[str]
    rounds: int
    events: int
    customers: int
    seed: int
    broker: str
    output: Path


def make(chosen: Choices) -> Plan:
    """The plan of these choices; all jobs and all contenders for none.

    Raises:
        ValueError: a job or a contender that is not known, or too few events.
    """
    jobs = tuple(chosen["jobs"]) or job.NAMES
    contenders = tuple(chosen["contenders"]) or CONTENDERS
    for given, valid in ((jobs, job.NAMES), (contenders, CONTENDERS)):
        unknown = [name for name in given if name not in valid]
        if unknown:
            msg = f"{unknown[0]!r} is unknown; valid are {', '.join(valid)}"
            raise ValueError(msg)
    events = chosen["events"]
    if events and events < FEWEST_EVENTS:
        msg = f"at least {FEWEST_EVENTS:,} events are needed, not {events}"
        raise ValueError(msg)
    return Plan(
        jobs=jobs,
        contenders=contenders,
        rounds=chosen["rounds"],
        events={name: events or EVENTS[name] for name in jobs},
        chosen_events=events,
        customers=chosen["customers"],
        seed=chosen["seed"],
        broker=broker_here() if chosen["broker"] == AUTO else chosen["broker"],
        output=chosen["output"],
    )
