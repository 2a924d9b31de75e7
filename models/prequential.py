"""Prequential evaluation: judge the recorded score first, learn afterwards (Dawid, 1984).

Quality is kept pooled and over the newest examples, beside the baseline that always says the share
of positives seen so far: a model that does not beat it has learned nothing.
"""

from collections import deque
from math import log

from msgspec import Struct

WINDOW = 1000
_BINS = 10
_TINY = 1e-6


class Quality(Struct, frozen=True, kw_only=True):
    """What a model's recorded scores were worth; None where there is nothing to compare.

    ``calibration_error`` is the expected calibration error over ten bins of equal mass. The
    ``window_`` figures cover the newest ``WINDOW`` judged examples.
    """

    model: str
    examples: int
    judged: int
    positives: int
    auc: float | None
    log_loss: float | None
    baseline_log_loss: float | None
    calibration_error: float | None
    window_auc: float | None
    window_log_loss: float | None


class Prequential:
    """The running evaluation of one model. Memory is bounded: scores are kept as histograms."""

    _RESOLUTION = 2000

    def __init__(self, model: str) -> None:
        self.model = model
        self._examples = 0
        self._positives = 0
        self._judged = 0
        self._loss = 0.0
        self._baseline_loss = 0.0
        self._negatives_at = [0] * (self._RESOLUTION + 1)
        self._positives_at = [0] * (self._RESOLUTION + 1)
        self._window: deque[tuple[float, bool]] = deque(maxlen=WINDOW)

    def evaluate(self, score: float | None, label: bool) -> None:
        """Judge one matured example; a score of None (cold model) only counts the label."""
        base = (self._positives + 1) / (self._examples + 2)
        self._examples += 1
        self._positives += label
        if score is None:
            return
        self._judged += 1
        self._loss += log_loss(score, label)
        self._baseline_loss += log_loss(base, label)
        side = self._positives_at if label else self._negatives_at
        side[round(score * self._RESOLUTION)] += 1
        self._window.append((score, label))

    def quality(self) -> Quality:
        """The figures so far."""
        judged = self._judged
        window = sorted(self._window)
        return Quality(
            model=self.model,
            examples=self._examples,
            judged=judged,
            positives=self._positives,
            auc=_auc(self._negatives_at, self._positives_at),
            log_loss=self._loss / judged if judged else None,
            baseline_log_loss=self._baseline_loss / judged if judged else None,
            calibration_error=self._calibration_error(),
            window_auc=roc_auc(window),
            window_log_loss=(sum(log_loss(score, label) for score, label in window) / len(window) if window else None),
        )

    def _calibration_error(self) -> float | None:
        if not self._judged:
            return None
        error = filled = mass = hits = 0.0
        for place in range(self._RESOLUTION + 1):
            here = self._negatives_at[place] + self._positives_at[place]
            mass += here * (place / self._RESOLUTION)
            hits += self._positives_at[place]
            filled += here
            if filled >= self._judged / _BINS or place == self._RESOLUTION:
                error += abs(mass - hits)
                filled = mass = hits = 0.0
        return error / self._judged


def log_loss(score: float, label: bool) -> float:
    """Negative log likelihood of the label, in nats; scores are kept 1e-6 from 0 and 1."""
    bounded = min(1 - _TINY, max(_TINY, score))
    return -log(bounded if label else 1 - bounded)


def roc_auc(ranked: list[tuple[float, bool]]) -> float | None:
    """Exact area under the ROC curve of (score, label) pairs in rising order of score."""
    negatives_at: list[int] = []
    positives_at: list[int] = []
    previous: float | None = None
    for score, label in ranked:
        if score != previous:
            negatives_at.append(0)
            positives_at.append(0)
            previous = score
        (positives_at if label else negatives_at)[-1] += 1
    return _auc(negatives_at, positives_at)


def _auc(negatives_at: list[int], positives_at: list[int]) -> float | None:
    """Share of (positive, negative) pairs ranked rightly, ties counting half."""
    below = wins = 0.0
    for negatives, positives in zip(negatives_at, positives_at, strict=True):
        wins += positives * (below + negatives / 2)
        below += negatives
    pairs = below * sum(positives_at)
    return wins / pairs if pairs else None
