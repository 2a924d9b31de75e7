"""What the served score must hold, each goal marked met or missed with its number.

In go the figures by task and line, out come verdicts. Tasks of several seeds are judged by their mean.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence

from bench.quality.drift import Recovery
from bench.quality.figures import Figures
from msgspec import Struct

SERVED = "served"
BATCH = "LightGBM 5 %"
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

_NOT_LOWER: dict[str, Reading] = {"AUC": lambda each: each.auc, "AUC, windows": lambda each: each.auc_windows}
_NOT_HIGHER: dict[str, Reading] = {
    "log loss": lambda each: each.log_loss,
    "log loss, windows": lambda each: each.log_loss_windows,
}

Run = Mapping[str, Figures]
"""The figures of one task of one seed, by line."""


class Verdict(Struct, frozen=True, kw_only=True):
    """``number`` is what was measured, ``limit`` what it may be; ``met`` is None where nothing can be compared."""

    goal: str
    task: str
    number: float | None
    limit: float | None
    met: bool | None


def verdicts(groups: Mapping[str, Sequence[Run]]) -> list[Verdict]:
    """The verdicts on every group of runs."""
    return [verdict for group, runs in groups.items() for verdict in _of_group(group, runs)]


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


def _of_group(group: str, runs: Sequence[Run]) -> list[Verdict]:
    found = []
    for readings, sign in ((_NOT_LOWER, -1.0), (_NOT_HIGHER, 1.0)):
        for goal, reading in readings.items():
            ours, theirs = mean(runs, SERVED, reading=reading), mean(runs, BATCH, reading=reading)
            met = None if ours is None or theirs is None else sign * (ours - theirs) <= TOLERANCE
            found.append(Verdict(goal=f"{goal} not worse than {BATCH}", task=group, number=ours, limit=theirs, met=met))
    error = mean(runs, SERVED, reading=lambda each: each.ece)
    met = None if error is None else error <= LARGEST_ECE
    found.append(Verdict(goal="calibration error", task=group, number=error, limit=LARGEST_ECE, met=met))
    return found


def recovered(recoveries: Mapping[str, Sequence[Recovery]]) -> Verdict:
    """The verdict on coming back after a drift, by the median of the examples needed; never counts as without end."""
    ours, theirs = _needed(recoveries.get(SERVED, ())), _needed(recoveries.get(BATCH, ()))
    limit = None if theirs is None else SLOWEST_RECOVERY * theirs
    met = None if limit is None or ours is None else ours <= limit
    return Verdict(goal="examples until back within 5 %", task="drift", number=ours, limit=limit, met=met)


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
