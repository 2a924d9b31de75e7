"""A learned model as plain numbers: scores, explains, and travels without any pickled code.

The score of values v is the sigmoid of b + sum(w_i * z_i), where z_i is the signed logarithm of
v_i, standardised and clipped to +-5. The addends w_i * z_i are the contributions: they sum to the
logit less the intercept.
"""

from collections.abc import Sequence
from math import exp, isfinite, log1p, sqrt

import msgspec
from msgspec import Struct

CLIP = 5.0
_LARGEST = 1e12


class Contribution(Struct, frozen=True):
    """What one feature adds to the logit; negative speaks against."""

    feature: str
    value: float
    logit: float


class LinearModel(Struct, frozen=True, kw_only=True):
    """One model's numbers, one entry per feature in the order of ``features``.

    ``version`` is the number of examples learned; ``variances`` are population variances and
    ``squares`` the optimiser's sums of squared gradients, both needed only to go on learning.
    ``learned_through`` is the offset of the newest example learned from a topic, -1 for none: a
    learner goes on behind it, so that each example is learned once.
    """

    name: str
    version: int
    positives: int
    features: tuple[str, ...]
    means: tuple[float, ...]
    variances: tuple[float, ...]
    weights: tuple[float, ...]
    squares: tuple[float, ...]
    intercept: float
    learned_through: int = -1

    def score(self, values: Sequence[float]) -> float:
        """The probability for ``values`` in feature order, between 0 and 1."""
        return sigmoid(self.intercept + sum(self._addends(values)))

    def contributions(self, values: Sequence[float]) -> list[Contribution]:
        """Every feature's addend, the strongest in either direction first."""
        addends = self._addends(values)
        pairs = zip(self.features, values, addends, strict=True)
        explained = [Contribution(name, value, addend) for name, value, addend in pairs]
        return sorted(explained, key=lambda part: (-abs(part.logit), part.feature))

    def _addends(self, values: Sequence[float]) -> list[float]:
        return [
            weight * standardise(squash(value), mean, variance)
            for value, mean, variance, weight in zip(values, self.means, self.variances, self.weights, strict=True)
        ]


def squash(value: float) -> float:
    """Signed logarithm; anything not finite counts as 0, because one NaN would poison a scaler."""
    if not isfinite(value):
        return 0.0
    magnitude = log1p(min(abs(value), _LARGEST))
    return magnitude if value >= 0 else -magnitude


def standardise(value: float, mean: float, variance: float) -> float:
    """Standard deviations from the mean, within +-``CLIP``; 0 where nothing varies yet."""
    if variance <= 0.0:
        return 0.0
    return max(-CLIP, min(CLIP, (value - mean) / sqrt(variance)))


def sigmoid(logit: float) -> float:
    """The probability of a logit, without overflow."""
    if logit >= 0:
        return 1.0 / (1.0 + exp(-logit))
    odds = exp(logit)
    return odds / (1.0 + odds)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(LinearModel)


def encode(model: LinearModel) -> bytes:
    """JSON text of the numbers; equal models give equal bytes."""
    return _ENCODER.encode(model)


def decode(body: bytes) -> LinearModel:
    """The model in ``body``.

    Raises:
        ValueError: not a model, lists of unequal length, or a number that is not finite.
    """
    model = _DECODER.decode(body)
    columns = (model.means, model.variances, model.weights, model.squares)
    if any(len(column) != len(model.features) for column in columns):
        msg = f"model {model.name}: lists of unequal length"
        raise ValueError(msg)
    if not all(isfinite(number) for column in columns for number in (*column, model.intercept)):
        msg = f"model {model.name}: a number is not finite"
        raise ValueError(msg)
    return model
