"""From reports to figures: rates, CPU per event, medians, spreads and ratios.

In come the reports of the rounds, out come plain values for the table and the file. The invariant it protects: a rate
is that of the events between the two marks, never of start-up or shutdown.
"""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

RATIOS = (
    "full/quix",
    "full/bytewax",
    "full/pyflink",
    "full/faust_per_event",
    "full/limit",
    "count/quix",
    "count/bytewax",
)
"""needstream's events a second as a multiple of the contender's, in a job."""

OURS = "needstream"

FEWEST_MEASURED = 0.5
"""Which share of the events has to lie between the two marks: batches that hide more make a rate of chance."""


class Spread(msgspec.Struct, frozen=True):
    """The median of some rounds, the least and the most."""

    median: float
    least: float
    most: float


class Round(msgspec.Struct, frozen=True):
    """What one round of a contender came to; times between the warm-up and the end."""

    events: int
    wall_s: float
    cpu_s: float
    outputs: int
    snapshots: int

    @property
    def per_s(self) -> float:
        """Events a second of wall time."""
        return self.events / self.wall_s

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU time per event."""
        return self.cpu_s * 1e6 / self.events


class Result(msgspec.Struct):
    """What became of a contender in a job; without rounds, why."""

    contender: str
    events: int
    rounds: list[Round] = []
    skipped: str = ""
    agreement: str = ""
    notes: list[str] = []

    @property
    def per_s(self) -> Spread:
        """Events a second."""
        return spread([each.per_s for each in self.rounds])

    @property
    def cpu_us(self) -> Spread:
        """CPU microseconds per event."""
        return spread([each.cpu_us for each in self.rounds])

    @property
    def busy(self) -> float:
        """Median share of the time in which the contender used its core; may exceed one where nothing is pinned."""
        return statistics.median(each.cpu_s / each.wall_s for each in self.rounds)


def spread(values: Sequence[float]) -> Spread:
    """Median, least and most of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def of_report(report: Mapping[str, Any]) -> Round:
    """The round of a contender's report.

    Raises:
        ValueError: it does not hold the two marks.
    """
    marks = report["marks"]
    if len(marks) != 2:  # noqa: PLR2004 - the warm-up and the end
        msg = f"the report holds {len(marks)} marks instead of two"
        raise ValueError(msg)
    warm, end = marks
    if end["events"] - warm["events"] < FEWEST_MEASURED * end["events"]:
        msg = "most of the events fell into the batch of the warm-up or of the end: more events are needed"
        raise ValueError(msg)
    return Round(
        events=int(end["events"] - warm["events"]),
        wall_s=end["monotonic_s"] - warm["monotonic_s"],
        cpu_s=end["cpu_s"] - warm["cpu_s"],
        outputs=int(report.get("outputs", 0)),
        snapshots=int(report.get("snapshots", 0)),
    )


def ratios(jobs: Mapping[str, Sequence[Result]], *, names: Sequence[str] = RATIOS) -> dict[str, float]:
    """The median rate of needstream over the contender's, for each name where both have rounds."""
    return {name: each[0] for name, each in _pairs(jobs, names).items()}


def cpu_ratios(jobs: Mapping[str, Sequence[Result]], *, names: Sequence[str] = RATIOS) -> dict[str, float]:
    """The contender's median CPU time per event over needstream's: more than one means that needstream needs less."""
    return {name: each[1] for name, each in _pairs(jobs, names).items()}


def _pairs(jobs: Mapping[str, Sequence[Result]], names: Sequence[str]) -> dict[str, tuple[float, float]]:
    found = {}
    for name in names:
        job, _, contender = name.partition("/")
        results = {result.contender: result for result in jobs.get(job, ()) if result.rounds}
        if OURS in results and contender in results:
            ours, theirs = results[OURS], results[contender]
            rate = ours.per_s.median / theirs.per_s.median
            found[name] = (round(rate, 3), round(theirs.cpu_us.median / ours.cpu_us.median, 3))
    return found
