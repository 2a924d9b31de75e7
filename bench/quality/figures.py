"""What scores were worth: ranking, log loss and calibration, over all of them and over windows.

In go probabilities with their labels in order of the questions, out come the figures. Windows are ten
runs of equal length; a mean over windows counts each alike and leaves out those where nothing can be said.
"""

import itertools
import statistics
from collections.abc import Sequence

from msgspec import Struct

from needstream.models import prequential

WINDOWS = 10

Scored = Sequence[tuple[float, bool]]
"""Probability and label, in order of the questions."""


class Figures(Struct, frozen=True, kw_only=True):
    """None where labels are all alike. ``ece`` is over ten bins of equal mass.

    ``said_to_came`` is the mean score over the share of positives: where these are rare, the calibration error is
    small whatever is said, and this is not. None without positives.
    """

    examples: int
    positives: int
    auc: float | None
    auc_windows: float | None
    pr_auc: float | None
    log_loss: float
    log_loss_windows: float
    brier: float
    ece: float
    said_to_came: float | None


def of(scored: Scored) -> Figures:
    """The figures of at least one scored label.

    Raises:
        ValueError: there is none.
    """
    if not scored:
        msg = "no scores, no figures"
        raise ValueError(msg)
    runs = windows(scored)
    positives = sum(label for _, label in scored)
    areas = [area for run in runs if (area := prequential.roc_auc(sorted(run))) is not None]
    return Figures(
        examples=len(scored),
        positives=positives,
        auc=prequential.roc_auc(sorted(scored)),
        auc_windows=statistics.fmean(areas) if areas else None,
        pr_auc=prequential.average_precision(list(scored)),
        log_loss=log_loss(scored),
        log_loss_windows=statistics.fmean(map(log_loss, runs)),
        brier=statistics.fmean((score - label) ** 2 for score, label in scored),
        ece=prequential.calibration_error(list(scored)) or 0.0,
        said_to_came=sum(score for score, _ in scored) / positives if positives else None,
    )


def windows(scored: Scored, count: int = WINDOWS) -> list[Scored]:
    """``count`` runs of equal length up to one, in order, none of them empty."""
    borders = [place * len(scored) // count for place in range(count + 1)]
    return [scored[start:end] for start, end in itertools.pairwise(borders) if end > start]


def log_loss(scored: Scored) -> float:
    """Mean log loss in nats."""
    return statistics.fmean(prequential.log_loss(score, label) for score, label in scored)
