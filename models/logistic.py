"""What every learner of a probability shares: the way from a logit to it, and what an example may weigh."""

from collections.abc import Iterable
from math import exp

LARGEST_WEIGHT = 100.0
"""As how many examples one may count at most."""


def sigmoid(logit: float) -> float:
    """The probability of a logit, without overflow."""
    if logit >= 0:
        return 1.0 / (1.0 + exp(-logit))
    odds = exp(logit)
    return odds / (1.0 + odds)


def sigmoids(logits: Iterable[float]) -> list[float]:
    """The probability of every logit, as ``sigmoid`` gives it."""
    return [
        1.0 / (1.0 + exp(-logit)) if logit >= 0 else (odds := exp(logit)) / (1.0 + odds)  # without a call for each
        for logit in logits
    ]


def check_weight(weight: float) -> None:
    """See that an example of ``weight`` can be learned.

    Raises:
        ValueError: it is outside of 0 to ``LARGEST_WEIGHT``.
    """
    if not 0.0 <= weight <= LARGEST_WEIGHT:
        msg = f"an example of weight {weight} cannot be learned, only one of 0 to {LARGEST_WEIGHT:g}"
        raise ValueError(msg)
