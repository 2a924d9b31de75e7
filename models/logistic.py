"""What every learner of a probability shares: the way from a logit to it, and what an example may weigh."""

from math import exp

LARGEST_WEIGHT = 100.0
"""As how many examples one may count at most."""


def sigmoid(logit: float) -> float:
    """The probability of a logit, without overflow."""
    if logit >= 0:
        return 1.0 / (1.0 + exp(-logit))
    odds = exp(logit)
    return odds / (1.0 + odds)


def check_weight(weight: float) -> None:
    """See that an example of ``weight`` can be learned.

    Raises:
        ValueError: it is outside of 0 to ``LARGEST_WEIGHT``.
    """
    if not 0.0 <= weight <= LARGEST_WEIGHT:
        msg = f"an example of weight {weight} cannot be learned, only one of 0 to {LARGEST_WEIGHT:g}"
        raise ValueError(msg)
