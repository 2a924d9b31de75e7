"""Exact figures of scores against labels: ranking, loss, calibration, pooled and by window.

In go arrays of equal length without NaN, out come plain numbers; a figure that cannot be computed, for want of a class,
is None. Ties count half in the area under the ROC curve and as one step in the average precision.
"""

import itertools

import numpy as np
from msgspec import Struct

from needstream.streams.evaluation.histories import Flags, Floats, Times

BINS = 10
_TINY = 1e-6
_MOST_WINDOWS = 20
_FEWEST = 10
"""Of each class in a window, on average: with fewer, an area under the curve is mostly chance."""
_FEWEST_EXAMPLES = 50


class Figures(Struct, frozen=True, kw_only=True):
    """What scores were worth: losses in nats, the area with its standard error, calibration over ten equal bins."""

    judged: int
    positives: int
    auc: float | None
    auc_error: float | None
    pr_auc: float | None
    log_loss: float | None
    brier: float | None
    calibration_error: float | None


class Window(Struct, frozen=True, kw_only=True):
    """Figures of one stretch of the stream; ``from_ms`` and ``until_ms`` are inclusive times of asking."""

    from_ms: int
    until_ms: int
    judged: int
    positives: int
    auc: float | None
    pr_auc: float | None
    log_loss: float | None
    brier: float | None


class Bin(Struct, frozen=True, kw_only=True):
    """One bin of the reliability diagram: mean score, share of positives, how many."""

    said: float
    came: float
    judged: int


def figures(scores: Floats, labels: Flags, *, is_probability: bool = True) -> Figures:
    """All figures of one set of scores; those that need probabilities are None for a mere ranking."""
    told = is_probability and scores.size > 0
    judged, positives = int(scores.size), int(labels.sum())
    auc = roc_auc(scores, labels)
    return Figures(
        judged=judged,
        positives=positives,
        auc=auc,
        auc_error=auc_error(auc, positives=positives, negatives=judged - positives),
        pr_auc=average_precision(scores, labels),
        log_loss=float(losses(scores, labels).mean()) if told else None,
        brier=float(((scores - labels) ** 2).mean()) if told else None,
        calibration_error=calibration_error(scores, labels) if told else None,
    )


def losses(scores: Floats, labels: Flags) -> Floats:
    """Negative log likelihood of each label, in nats; scores are kept 1e-6 from 0 and 1."""
    bounded = np.clip(scores, _TINY, 1 - _TINY)
    result: Floats = -np.log(np.where(labels, bounded, 1 - bounded))
    return result


def roc_auc(scores: Floats, labels: Flags | Floats) -> float | None:
    """Share of pairs of a positive and a negative that are ranked rightly, ties counting half.

    A label may be a share: an example that counts in part as a positive and for the rest as a negative.
    """
    _, places = np.unique(scores, return_inverse=True)
    positives_at = np.bincount(places, weights=labels)
    negatives_at = np.bincount(places, weights=1.0 - labels)
    pairs = float(positives_at.sum() * negatives_at.sum())
    if not pairs:
        return None
    below = np.cumsum(negatives_at) - negatives_at
    return float((positives_at * (below + negatives_at / 2)).sum()) / pairs


def auc_error(auc: float | None, *, positives: int, negatives: int) -> float | None:
    """Standard error of an area under the ROC curve (Hanley and McNeil, 1982).

    It takes the examples for independent; those of one customer are not, so it is the least one has to allow for.
    """
    if auc is None:
        return None
    rather, squared = auc / (2 - auc), auc * auc
    above = 2 * squared / (1 + auc)
    spread = auc * (1 - auc) + (positives - 1) * (rather - squared) + (negatives - 1) * (above - squared)
    return float(np.sqrt(max(0.0, spread) / (positives * negatives)))


def average_precision(scores: Floats, labels: Flags) -> float | None:
    """Area under the precision-recall curve as the sum of precision over the steps of recall."""
    positives = int(labels.sum())
    if not positives:
        return None
    values, places = np.unique(-scores, return_inverse=True)
    hits = np.bincount(places, weights=labels, minlength=values.size)
    reached = np.cumsum(np.bincount(places, minlength=values.size))
    return float((np.cumsum(hits) / reached * hits).sum() / positives)


def reliability(scores: Floats, labels: Flags) -> list[Bin]:
    """Ten bins of equal mass in rising order of score; fewer when there are fewer scores."""
    order = np.argsort(scores, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if part.size]
    return [
        Bin(said=float(scores[part].mean()), came=float(labels[part].mean()), judged=int(part.size)) for part in parts
    ]


def calibration_error(scores: Floats, labels: Flags) -> float | None:
    """Mean distance of what was said from what came, over the bins of ``reliability``."""
    if not scores.size:
        return None
    return sum(abs(each.said - each.came) * each.judged for each in reliability(scores, labels)) / int(scores.size)


def cut(asked_ms: Times, labels: Flags) -> list[slice]:
    """Stretches of equally many examples in order of asking, each wide enough to be judged; none for none."""
    positives = int(labels.sum())
    fewest = min(positives, int(labels.size) - positives)
    many = max(1, min(_MOST_WINDOWS, fewest // _FEWEST, int(labels.size) // _FEWEST_EXAMPLES))
    borders = [round(place * asked_ms.size / many) for place in range(many + 1)]
    return [slice(low, high) for low, high in itertools.pairwise(borders) if high > low]


def windows(
    scores: Floats, labels: Flags, *, asked_ms: Times, cuts: list[slice], is_probability: bool = True
) -> list[Window]:
    """The figures of each stretch."""
    found = []
    for stretch in cuts:
        here = figures(scores[stretch], labels[stretch], is_probability=is_probability)
        found.append(
            Window(
                from_ms=int(asked_ms[stretch.start]),
                until_ms=int(asked_ms[stretch.stop - 1]),
                judged=here.judged,
                positives=here.positives,
                auc=here.auc,
                pr_auc=here.pr_auc,
                log_loss=here.log_loss,
                brier=here.brier,
            )
        )
    return found


def mean(numbers: list[float | None]) -> float | None:
    """The mean of what is known, None when nothing is."""
    known = [number for number in numbers if number is not None]
    return sum(known) / len(known) if known else None
