"""Prequential evaluation: judge the recorded score first, learn afterwards (Dawid, 1984).

Quality is kept pooled and over the newest examples, beside the baseline that always says the share
of positives seen so far: a model that does not beat it has learned nothing. The pooled rankings are
read from histograms of 2,001 places and the window is exact; memory is bounded either way.
"""

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import replace

WINDOW = 1000
_BINS = 10
_TINY = 1e-6

Numbers = npt.NDArray[np.floating[Any]]


class Quality(Struct, frozen=True, kw_only=True):
    """What a model's recorded scores were worth; None where there is nothing to compare.

    Losses are in nats. ``calibration_error`` is the expected calibration error over ten bins of equal mass,
    ``pr_auc`` the average precision (steps, never interpolated), ``brier`` the mean squared error. The ``window_``
    figures cover the newest ``WINDOW`` judged examples.

    Attributes:
        examples: labels that count, with or without a score.
        judged: examples with a score; every figure but the baseline's shares comes from these.
        asked: examples and those passed over because they were in quarantine.
        unjudged: asked and not judged: the model was cold or abstained, or the example was in quarantine.
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
    pr_auc: float | None = None
    brier: float | None = None
    window_pr_auc: float | None = None
    window_calibration_error: float | None = None
    window_baseline_log_loss: float | None = None
    asked: int = 0
    unjudged: int = 0


class Prequential:
    """The running evaluation of one model."""

    _RESOLUTION = 2000

    def __init__(self, model: str) -> None:
        self.model = model
        self._examples = self._positives = self._judged = self._passed_over = 0
        self._loss = self._baseline_loss = self._squares = 0.0
        self._negatives_at = [0] * (self._RESOLUTION + 1)
        self._positives_at = [0] * (self._RESOLUTION + 1)
        # Rows of the newest: score, label, loss, loss of the baseline. Their order does not matter.
        self._window = np.zeros((WINDOW, 4))
        self._known: Quality | None = None

    def evaluate(self, score: float | None, label: bool) -> None:
        """Judge one matured example; a score of None (cold model) only counts the label."""
        self._known = None
        base = (self._positives + 1) / (self._examples + 2)
        self._examples += 1
        self._positives += label
        if score is None:
            return
        loss, baseline_loss = log_loss(score, label), log_loss(base, label)
        self._window[self._judged % WINDOW] = (score, label, loss, baseline_loss)
        self._judged += 1
        self._loss += loss
        self._baseline_loss += baseline_loss
        self._squares += (score - label) ** 2
        side = self._positives_at if label else self._negatives_at
        side[round(score * self._RESOLUTION)] += 1

    def pass_over(self) -> None:
        """Count an example that must not be judged, because it is in quarantine."""
        self._known = None
        self._passed_over += 1

    def quality(self) -> Quality:
        """The figures so far; asked again before the next example, the same ones without any work."""
        if self._known is None:
            self._known = self._figures()
        return self._known

    def _figures(self) -> Quality:
        judged = self._judged
        asked = self._examples + self._passed_over
        known = Quality(
            model=self.model,
            examples=self._examples,
            judged=judged,
            positives=self._positives,
            auc=None,
            log_loss=None,
            baseline_log_loss=None,
            calibration_error=None,
            window_auc=None,
            window_log_loss=None,
            asked=asked,
            unjudged=asked - judged,
        )
        if not judged:
            return known
        negatives, positives = np.array(self._negatives_at, float), np.array(self._positives_at, float)
        places = np.arange(self._RESOLUTION + 1) / self._RESOLUTION
        newest = self._window[: min(judged, WINDOW)]
        scores, below, hits = _grouped(newest[:, 0], newest[:, 1])
        _, _, window_loss, window_baseline_loss = newest.mean(axis=0)
        return replace(
            known,
            auc=_auc(negatives, positives),
            log_loss=self._loss / judged,
            baseline_log_loss=self._baseline_loss / judged,
            calibration_error=_calibration_error(places, negatives, positives=positives),
            window_auc=_auc(below, hits),
            window_log_loss=float(window_loss),
            pr_auc=_average_precision(negatives, positives),
            brier=self._squares / judged,
            window_pr_auc=_average_precision(below, hits),
            window_calibration_error=_calibration_error(scores, below, positives=hits),
            window_baseline_log_loss=float(window_baseline_loss),
        )


def log_loss(score: float, label: bool) -> float:
    """Negative log likelihood of the label, in nats; scores are kept 1e-6 from 0 and 1."""
    bounded = min(1 - _TINY, max(_TINY, score))
    return -log(bounded if label else 1 - bounded)


def roc_auc(scored: list[tuple[float, bool]]) -> float | None:
    """Exact area under the ROC curve of (score, label) pairs; None unless there are both labels."""
    _, negatives, positives = _columns(scored)
    return _auc(negatives, positives)


def binned_auc(negatives_at: Sequence[float], positives_at: Sequence[float]) -> float | None:
    """Area under the ROC curve of labels counted by bin, in rising order of score; None unless there are both."""
    return _auc(np.array(negatives_at, float), np.array(positives_at, float))


def average_precision(scored: list[tuple[float, bool]]) -> float | None:
    """Exact average precision of (score, label) pairs; None unless there are both labels."""
    _, negatives, positives = _columns(scored)
    return _average_precision(negatives, positives)


def calibration_error(scored: list[tuple[float, bool]]) -> float | None:
    """Expected calibration error of (score, label) pairs over ten bins of equal mass; None for no pairs.

    A bin ends where it holds a tenth, at the next change of score: equal scores share a bin, so the
    order of the pairs does not matter.
    """
    scores, negatives, positives = _columns(scored)
    return _calibration_error(scores, negatives, positives=positives) if scored else None


def _columns(scored: list[tuple[float, bool]]) -> tuple[Numbers, Numbers, Numbers]:
    columns = np.array(scored, float).reshape(-1, 2)
    return _grouped(columns[:, 0], columns[:, 1])


def _grouped(scores: Numbers, labels: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Distinct scores, rising, with the negatives and positives of each."""
    distinct, places = np.unique(scores, return_inverse=True)
    size = len(distinct)
    positives = np.bincount(places, weights=labels, minlength=size).astype(float)
    return distinct, np.bincount(places, minlength=size) - positives, positives


def _auc(negatives: Numbers, positives: Numbers) -> float | None:
    """Share of (positive, negative) pairs ranked rightly, ties counting half."""
    pairs = negatives.sum() * positives.sum()
    wins = (positives * (negatives.cumsum() - negatives / 2)).sum()
    return float(wins / pairs) if pairs else None


def _average_precision(negatives: Numbers, positives: Numbers) -> float | None:
    """Sum over the scores, falling, of the recall each adds times the precision there; ties are one step."""
    total = positives.sum()
    if not total or not negatives.sum():
        return None
    held = positives > 0
    hits = positives[::-1].cumsum()[::-1][held]
    passed = hits + negatives[::-1].cumsum()[::-1][held]
    return float((positives[held] * hits / passed).sum() / total)


def _calibration_error(scores: Numbers, negatives: Numbers, *, positives: Numbers) -> float:
    """Mean distance between said and seen, over bins that end where they hold a tenth."""
    here = negatives + positives
    filled, surplus = here.cumsum(), (here * scores - positives).cumsum()
    error = ended_filled = ended_surplus = 0.0
    for _ in range(_BINS):
        # Counts are whole numbers below 2**53 and their sums exact, so only the tenth itself needs the slack.
        end = int(filled.searchsorted(ended_filled + filled[-1] / _BINS - _TINY))
        end = min(end, len(filled) - 1)
        error += abs(float(surplus[end]) - ended_surplus)
        ended_filled, ended_surplus = float(filled[end]), float(surplus[end])
    return error / float(filled[-1])
