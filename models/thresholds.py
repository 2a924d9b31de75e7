"""Thresholds: from which score on a model's word is acted upon, chosen for a stated precision or for the least cost.

In go calibrated scores as they were recorded, with their matured labels; out comes one threshold on them. The evidence
is a histogram of 200 bins that forgets with a half-life. It is reviewed every 50 labels, and the threshold moves only
when the evidence is against it, by a bounded step.
"""

from bisect import bisect_right
from math import pi, sin, sqrt
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from msgspec import Meta, Struct

from needstream.schemas.pack import Costs, Target
from needstream.schemas.signals import Total

BINS = 200
ABSTAIN = 1.0
"""The threshold of a model whose word is not to be acted upon: nothing is over it but certainty."""

MIN_LABELS = 200
MIN_EACH = 20
"""Labels, and labels of each class, before there is a threshold."""
UNREACHABLE_AFTER = 1000
"""Labels before a precision that no threshold has reached counts as out of reach."""

HALF_LIFE = 5000
"""Labels after which an old one counts half."""
REVIEW_EVERY = 50
"""Labels between two looks at the evidence."""
LONGEST_STEP = 2
"""Bins that one look may move the threshold by: at most 0.016 in probability, except into and out of abstention."""

ENTER_DEVIATIONS = 1.5
"""A lower threshold is taken when its precision is on target even this many standard deviations below its estimate."""
KEEP_DEVIATIONS = 0.5
"""A threshold is kept as long as its precision is on target this many standard deviations below its estimate."""
COST_DEVIATIONS = 2.0
"""A cheaper threshold is taken when its saving is this many standard deviations from nothing."""
PRIOR_PER_BIN = 0.5
"""What the belief in the scores themselves weighs in each bin when costs are compared, in labels."""
FEWEST_OVER = 20.0
"""Labels over a threshold before its precision says that the target cannot be reached."""

EDGES = (*(sin(place / BINS * pi / 2) ** 2 for place in range(BINS)), 1.0)
"""Where the bins begin, and 1. Equal steps of the arcsine of the root: fine where shares are near 0 or 1."""

_GROWTH = 2.0 ** (1 / HALF_LIFE)
_FORGOTTEN = 0.01
_UNDECIDED = -1

Weight = Annotated[float, Meta(ge=0, le=1e9)]
Place = Annotated[int, Meta(ge=0, lt=BINS)]
Numbers = npt.NDArray[np.floating[Any]]


class ThresholdState(Struct, frozen=True, kw_only=True):
    """Everything a threshold rests on, as numbers: the bins that hold anything, and where the threshold stands.

    Attributes:
        chosen_for: the target as text; a state of another target keeps its labels and chooses anew.
        weight: what the newest label weighs; older ones weigh less, in proportion.
        standing: the bin from which on scores pass, BINS for none, -1 while undecided.
    """

    chosen_for: str = ""
    labels: Total = 0
    positives: Total = 0
    weight: Annotated[float, Meta(ge=1, lt=2.001)] = 1.0
    standing: Annotated[int, Meta(ge=_UNDECIDED, le=BINS)] = _UNDECIDED
    places: tuple[Place, ...] = ()
    negatives_at: tuple[Weight, ...] = ()
    positives_at: tuple[Weight, ...] = ()


def check(state: ThresholdState) -> None:
    """See that a threshold can go on from ``state``.

    Raises:
        ValueError: its columns differ in length.
    """
    if not len(state.places) == len(state.negatives_at) == len(state.positives_at):
        msg = "the columns of its threshold are of unequal length"
        raise ValueError(msg)


class Thresholds:
    """The threshold of one model. The caller shows it what was said and what was true, oldest first.

    Raises:
        ValueError: the target states neither a precision nor costs, or the state's columns differ in length.
    """

    def __init__(self, target: Target, state: ThresholdState | None = None) -> None:
        if (target.precision is None) == (target.costs is None):
            msg = "a threshold is chosen for a precision or for costs, and for one of them"
            raise ValueError(msg)
        self._precision, self._costs = target.precision, target.costs
        known = state or ThresholdState()
        self._labels, self._positives, self._weight = known.labels, known.positives, known.weight
        self._negatives_at, self._positives_at = [0.0] * BINS, [0.0] * BINS
        columns = zip(known.places, known.negatives_at, known.positives_at, strict=True)
        for place, negatives, positives in columns:
            self._negatives_at[place], self._positives_at[place] = negatives, positives
        self._standing = known.standing
        if known.chosen_for != self._chosen_for():
            self._standing = _UNDECIDED
            self._review()

    def observe(self, score: float, label: bool) -> None:
        """Take one matured label of an example that was given ``score``, 0 to 1."""
        side = self._positives_at if label else self._negatives_at
        side[bin_of(score)] += self._weight
        self._labels += 1
        self._positives += bool(label)
        self._weight *= _GROWTH
        if self._labels % HALF_LIFE == 0:
            self._halve()
        if self._labels % REVIEW_EVERY == 0:
            self._review()

    def threshold(self) -> float | None:
        """The score from which on to act; None while there are too few labels to say.

        For a precision it is the lowest from which on the precision is shown with some confidence: one that the share
        of positives itself reaches lets everybody pass. ``ABSTAIN`` means that there is enough evidence and no
        threshold reaches it.
        """
        return None if self._standing == _UNDECIDED else EDGES[self._standing]

    def export(self) -> ThresholdState:
        """The state as it stands; going on from it is as if nothing had stopped."""
        sides = zip(self._negatives_at, self._positives_at, strict=True)
        filled = [(place, *both) for place, both in enumerate(sides) if both != (0.0, 0.0)]
        return ThresholdState(
            chosen_for=self._chosen_for(),
            labels=self._labels,
            positives=self._positives,
            weight=self._weight,
            standing=self._standing,
            places=tuple(place for place, _, _ in filled),
            negatives_at=tuple(negatives for _, negatives, _ in filled),
            positives_at=tuple(positives for _, _, positives in filled),
        )

    def _chosen_for(self) -> str:
        if self._costs is None:
            return f"precision {self._precision!r}"
        return f"costs {self._costs.false_alarm!r} {self._costs.missed!r}"

    def _halve(self) -> None:
        """Forget half, exactly; what is next to nothing goes, so that the state stays small."""
        self._weight = 1.0
        for side in (self._negatives_at, self._positives_at):
            side[:] = [weight / 2 if weight > _FORGOTTEN else 0.0 for weight in side]

    def _review(self) -> None:
        fewest = min(self._positives, self._labels - self._positives)
        if self._labels < MIN_LABELS or fewest < MIN_EACH:
            return
        # In units of the newest label.
        negatives = np.array(self._negatives_at) / self._weight
        positives = np.array(self._positives_at) / self._weight
        if self._precision is not None:
            self._standing = self._for_precision(self._precision, negatives, positives=positives)
        elif self._costs is not None:
            self._standing = self._for_costs(self._costs, negatives, positives=positives)

    def _for_precision(self, target: float, negatives: Numbers, *, positives: Numbers) -> int:
        hits = positives[::-1].cumsum()[::-1]
        over = hits + negatives[::-1].cumsum()[::-1]
        shown = np.flatnonzero(cautious_shares(hits, over, deviations=ENTER_DEVIATIONS) >= target)
        now = self._standing
        if not len(shown):
            return self._without_evidence(target, hits, over=over)
        lowest = int(shown[0])
        if now in {_UNDECIDED, BINS}:
            return lowest
        if lowest < now:
            return max(lowest, now - LONGEST_STEP)
        is_kept = cautious_shares(hits, over, deviations=KEEP_DEVIATIONS)[now] >= target
        return now if is_kept else min(lowest, now + LONGEST_STEP)

    def _without_evidence(self, target: float, hits: Numbers, *, over: Numbers) -> int:
        """No threshold has shown the precision: stay as long as some threshold may well have it."""
        if self._labels < UNREACHABLE_AFTER:
            return self._standing
        judged = over >= FEWEST_OVER
        may_be = judged & (hits >= target * over)
        return self._standing if may_be.any() else BINS

    def _for_costs(self, costs: Costs, negatives: Numbers, *, positives: Numbers) -> int:
        """Passing a bin costs its false alarms and saves its misses; a threshold passes every bin from it on.

        Scores are believed until labels speak against them: then the share of the costs that a false alarm has is best.
        """
        alarm, miss = costs.false_alarm, costs.missed
        wasted, saved = negatives + PRIOR_PER_BIN * (1 - _MIDDLES), positives + PRIOR_PER_BIN * _MIDDLES
        cost = np.append((alarm * wasted - miss * saved)[::-1].cumsum()[::-1], 0.0)
        best = int(cost.argmin())
        is_first = self._standing == _UNDECIDED
        now = bin_of(alarm / (alarm + miss)) if is_first else self._standing
        between = slice(min(best, now), max(best, now))
        spread = sqrt(float((alarm**2 * wasted[between] + miss**2 * saved[between]).sum()))
        if cost[now] - cost[best] <= COST_DEVIATIONS * spread:
            return now
        return best if is_first else max(now - LONGEST_STEP, min(now + LONGEST_STEP, best))


_MIDDLES = np.array([sin((place + 0.5) / BINS * pi / 2) ** 2 for place in range(BINS)])


def bin_of(score: float) -> int:
    """The bin of a score: the last that begins at or below it. 1 is in the last, below 0 is in the first."""
    return min(BINS, max(1, bisect_right(EDGES, score))) - 1


def cautious_shares(hits: Numbers, of: Numbers, *, deviations: float) -> Numbers:
    """Lower ends of Wilson's intervals (1927) of the shares ``hits / of``; 0 where there is nothing."""
    square = deviations**2
    share = np.divide(hits, of, out=np.zeros_like(hits), where=of > 0)
    centre = share + square / np.maximum(2 * of, 1e-9)
    spread = deviations * np.sqrt(share * (1 - share) / np.maximum(of, 1e-9) + square / np.maximum(4 * of * of, 1e-9))
    return np.where(of > 0, (centre - spread) / (1 + square / np.maximum(of, 1e-9)), 0.0)
