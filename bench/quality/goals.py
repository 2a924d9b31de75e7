"""What a served score must hold, each goal marked met or missed with its number.

In go the figures by task and line, out come verdicts. Tasks of several seeds are judged by their mean. A verdict is
on the plain number; whether it could be chance stands beside it.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from math import isinf

from bench.quality import differences
from bench.quality.differences import Difference, Differences
from bench.quality.drift import Recovery
from bench.quality.figures import Figures
from msgspec import Struct

SERVED = "served"
SUFFIX = " as shipped"
AS_SHIPPED = f"{SERVED}{SUFFIX}"
BASE_RATE = "base rate"
BATCH = "LightGBM 5 %"
CALIBRATED = "LightGBM 5 %, calibrated"
SMALL_TREES = "LightGBM 5 %, small trees"
WINDOWED = "LightGBM 5 %, newest fifth"
LIGHTGBMS = (BATCH, CALIBRATED, SMALL_TREES)
"""Those of the tasks; the one that forgets is asked about the drift only."""
BEST = "the best LightGBM"

LARGEST_ECE = 0.03
SLOWEST_RECOVERY = 2.0
"""Times the examples that the batch baseline needs."""
SCORING = "score of all models of a pack by pairs, per event in batches of 500"
LEARNING = "learning of the pair and its calibration, per example"
SLOWEST_US = {SCORING: 3.0, LEARNING: 60.0}
FEWEST_MATURED = 200
"""Labels that must have matured by the end of a stream, before there is anything to compare."""
TOLERANCE = 0.0005
"""Not worse means: not by more than the rounding of the third decimal."""

Reading = Callable[[Figures], float | None]

_COMPARED: dict[str, tuple[Reading, float]] = {
    "AUC": (lambda each: each.auc, -1.0),
    "AUC, windows": (lambda each: each.auc_windows, -1.0),
    "log loss": (lambda each: each.log_loss, 1.0),
    "log loss, windows": (lambda each: each.log_loss_windows, 1.0),
}
"""Each figure with the sign that makes more of it worse."""

Run = Mapping[str, Figures]
"""The figures of one task of one seed, by line."""

Compared = Mapping[str, Mapping[str, Differences]]
"""The differences of one task of one seed, by line and rival."""


class Verdict(Struct, frozen=True, kw_only=True):
    """The verdict on one line and goal.

    Attributes:
        line: whose score is judged.
        number, limit: what was measured, and what it may be.
        met: by the plain number; None where nothing can be compared.
        difference: the number less that of ``rival``, with its standard error; None where nothing was paired.
        said_to_came: beside the calibration error, the mean score over the share of positives.
        learned: False where the line's log loss is not below that of the base rate: it learned nothing, whatever else.
    """

    goal: str
    task: str
    line: str = SERVED
    number: float | None
    limit: float | None
    met: bool | None
    rival: str = ""
    difference: Difference | None = None
    said_to_came: float | None = None
    learned: bool = True


def verdicts(
    groups: Mapping[str, Sequence[Run]], compared: Mapping[str, Sequence[Compared]] | None = None, *, line: str = SERVED
) -> list[Verdict]:
    """The verdicts on one line in every group of runs; ``compared`` has the differences of the same runs."""
    return [
        verdict
        for group, runs in groups.items()
        for verdict in _Judge(group, runs, compared=(compared or {}).get(group, ()), line=line).verdicts()
    ]


def mean(runs: Sequence[Run], line: str, *, reading: Reading) -> float | None:
    """The mean of one figure over the runs that have it; None if none has."""
    found = spread(runs, line, reading=reading)
    return None if found is None else found[0]


def spread(runs: Sequence[Run], line: str, *, reading: Reading) -> tuple[float, float] | None:
    """Mean and standard deviation of one figure over the runs that have it; None if none has."""
    numbers = [number for run in runs if line in run and (number := reading(run[line])) is not None]
    if not numbers:
        return None
    return statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else 0.0


class _Judge:
    """Judges one line in the runs of one group."""

    def __init__(self, group: str, runs: Sequence[Run], *, compared: Sequence[Compared], line: str) -> None:
        self._group, self._runs, self._compared, self._line = group, runs, compared, line
        ours, base = (mean(runs, each, reading=lambda each: each.log_loss) for each in (line, BASE_RATE))
        self._below_base = None if ours is None or base is None else ours < base
        self._base = base

    def verdicts(self) -> list[Verdict]:
        return [self._learning(), *self._against(BATCH), *self._against(BEST), self._calibration()]

    def _learning(self) -> Verdict:
        ours = mean(self._runs, self._line, reading=lambda each: each.log_loss)
        return Verdict(
            goal="log loss below the base rate",
            task=self._group,
            line=self._line,
            number=ours,
            limit=self._base,
            met=self._below_base,
            rival=BASE_RATE,
            difference=self._difference(BASE_RATE, "log loss"),
        )

    def _against(self, goal_rival: str) -> list[Verdict]:
        found = []
        for name, (reading, sign) in _COMPARED.items():
            theirs = {
                rival: number
                for rival in (LIGHTGBMS if goal_rival == BEST else (goal_rival,))
                if (number := mean(self._runs, rival, reading=reading)) is not None
            }
            rival = min(theirs, key=lambda rival: sign * theirs[rival]) if theirs else ""
            ours = mean(self._runs, self._line, reading=reading)
            met = None if ours is None or not rival else sign * (ours - theirs[rival]) <= TOLERANCE
            found.append(
                Verdict(
                    goal=f"{name} not worse than {goal_rival}",
                    task=self._group,
                    line=self._line,
                    number=ours,
                    limit=theirs.get(rival),
                    met=met,
                    rival=rival,
                    difference=self._difference(rival, name),
                    learned=self._below_base is not False,
                )
            )
        return found

    def _calibration(self) -> Verdict:
        error = mean(self._runs, self._line, reading=lambda each: each.ece)
        return Verdict(
            goal="calibration error",
            task=self._group,
            line=self._line,
            number=error,
            limit=LARGEST_ECE,
            met=None if error is None else error <= LARGEST_ECE,
            said_to_came=mean(self._runs, self._line, reading=lambda each: each.said_to_came),
            learned=self._below_base is not False,
        )

    def _difference(self, rival: str, name: str) -> Difference | None:
        told = [run.get(self._line, {}).get(rival, {}).get(name) for run in self._compared]
        return differences.together([each for each in told if each is not None])


def recovered(recoveries: Mapping[str, Sequence[Recovery]], *, line: str = SERVED, rival: str = BATCH) -> Verdict:
    """The verdict on coming back after a drift, by the median of the examples needed; never counts as without end."""
    ours, theirs = _needed(recoveries.get(line, ())), _needed(recoveries.get(rival, ()))
    limit = None if theirs is None else SLOWEST_RECOVERY * theirs
    met = None if limit is None or ours is None or (isinf(ours) and isinf(limit)) else ours <= limit
    goal = f"examples until back within 5 %, at most twice those of {rival}"
    return Verdict(goal=goal, task="drift", line=line, number=ours, limit=limit, met=met, rival=rival)


def in_time(timing: Mapping[str, float]) -> list[Verdict]:
    """The verdicts on what scoring and learning cost, in microseconds."""
    return [
        Verdict(goal=f"{name}, µs", task="cost", number=timing[name], limit=limit, met=timing[name] <= limit)
        for name, limit in SLOWEST_US.items()
        if name in timing
    ]


def _needed(recoveries: Sequence[Recovery]) -> float | None:
    counts = [float("inf") if each.examples is None else float(each.examples) for each in recoveries]
    return statistics.median(counts) if counts else None
