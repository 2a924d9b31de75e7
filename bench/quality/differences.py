"""How much better one line is than another over the same questions, and how much of that may be chance.

In go two lines' scores of the same labels, out come paired differences with standard errors. Neighbours in a stream
resemble each other, so what varies is taken from blocks of successive questions and not from single ones.
"""

import itertools
import statistics
from collections.abc import Sequence
from math import sqrt

from bench.quality import figures
from bench.quality.figures import Scored
from msgspec import Struct

from needstream.models import prequential

BLOCKS = 20
CLEAR = 2.0
"""Standard errors; a smaller difference is not a clear one."""


class Difference(Struct, frozen=True, kw_only=True):
    """``by`` is one figure less another's; ``error`` its standard error, None where it cannot be told."""

    by: float
    error: float | None

    def is_clear(self) -> bool | None:
        """Whether it is more than chance would make it; None where that cannot be told."""
        return None if self.error is None else abs(self.by) > CLEAR * self.error


Differences = dict[str, Difference]
"""By figure, under the names of the goals; those are left out of which nothing can be said."""


def between(ours: Scored, theirs: Scored) -> Differences:
    """What ``ours`` has more than ``theirs``, by figure, over the same questions in the same order."""
    losses = [_loss(our) - _loss(their) for our, their in zip(ours, theirs, strict=True)]
    found = {"log loss": _of_means(losses, BLOCKS), "log loss, windows": _of_means(losses, figures.WINDOWS)}
    pooled = _of_auc(ours, theirs)
    if pooled is not None:
        found["AUC"] = pooled
    areas = [
        our - their
        for one, other in zip(figures.windows(ours), figures.windows(theirs), strict=True)
        if (our := _auc(one)) is not None and (their := _auc(other)) is not None
    ]
    if areas:
        found["AUC, windows"] = Difference(by=statistics.fmean(areas), error=_of_mean(areas))
    return found


def together(runs: Sequence[Difference]) -> Difference | None:
    """The mean over independent runs; its error is the larger of what the runs' own say and what they differ by."""
    if not runs:
        return None
    by = statistics.fmean(each.by for each in runs)
    own = [each.error for each in runs if each.error is not None]
    within = sqrt(sum(error * error for error in own)) / len(own) if own else None
    among = _of_mean([each.by for each in runs])
    return Difference(by=by, error=max((each for each in (within, among) if each is not None), default=None))


def _of_means(numbers: Sequence[float], count: int) -> Difference:
    blocks = _cut(numbers, count)
    return Difference(by=statistics.fmean(numbers), error=_of_mean([statistics.fmean(block) for block in blocks]))


def _of_auc(ours: Scored, theirs: Scored) -> Difference | None:
    """The difference of the areas; its error by leaving out one block after another (jackknife)."""
    our, their = _auc(ours), _auc(theirs)
    if our is None or their is None:
        return None
    left = []
    for start, end in _borders(len(ours), BLOCKS):
        one, other = _auc([*ours[:start], *ours[end:]]), _auc([*theirs[:start], *theirs[end:]])
        if one is None or other is None:
            return Difference(by=our - their, error=None)
        left.append(one - other)
    error = sqrt((len(left) - 1) * statistics.pvariance(left)) if len(left) > 1 else None
    return Difference(by=our - their, error=error)


def _of_mean(numbers: Sequence[float]) -> float | None:
    return statistics.stdev(numbers) / sqrt(len(numbers)) if len(numbers) > 1 else None


def _cut(numbers: Sequence[float], count: int) -> list[Sequence[float]]:
    return [numbers[start:end] for start, end in _borders(len(numbers), count)]


def _borders(length: int, count: int) -> list[tuple[int, int]]:
    borders = [place * length // count for place in range(count + 1)]
    return [(start, end) for start, end in itertools.pairwise(borders) if end > start]


def _loss(scored: tuple[float, bool]) -> float:
    return prequential.log_loss(*scored)


def _auc(scored: Scored) -> float | None:
    return prequential.roc_auc(sorted(scored))
