"""A learned model as plain numbers: scores, explains, and travels without any pickled code.

The score of values v is the sigmoid of b + sum(w_i * z_i), where z_i is the signed logarithm of
v_i, standardised and clipped to +-5. The addends w_i * z_i are the contributions: they sum to the
logit less the intercept.
"""

from collections.abc import Sequence
from math import isfinite, log1p, sqrt
from typing import ClassVar, Literal

import msgspec
from msgspec import Struct

from needstream.models import learned, logistic
from needstream.models.learned import Amount, Learned, Number, Spread

sigmoid = logistic.sigmoid

CLIP = 5.0
_LARGEST = 1e12


class Contribution(Struct, frozen=True):
    """What one feature adds to the logit; negative speaks against.

    ``z`` is its distance from the mean of what was learned, in standard deviations; None where no mean is known.
    """

    feature: str
    value: float
    logit: float
    z: float | None = None


class LinearModel(Learned, frozen=True, kw_only=True, tag="linear"):
    """One model's numbers, one entry per feature in the order of ``features``.

    ``variances`` are population variances and ``squares`` the optimiser's sums of squared gradients,
    both needed only to go on learning.
    """

    kind: ClassVar[Literal["linear"]] = "linear"
    means: tuple[Number, ...]
    variances: tuple[Spread, ...]
    weights: tuple[Number, ...]
    squares: tuple[Amount, ...]
    intercept: Number

    def logit(self, values: Sequence[float]) -> float:
        """The raw logit for ``values`` in feature order.

        Raises:
            ValueError: not one value per feature.
        """
        return self.intercept + sum(self._addends(values))

    def contributions(self, values: Sequence[float]) -> list[Contribution]:
        """Every feature's addend, the strongest in either direction first."""
        addends = self._addends(values)
        pairs = zip(self.features, values, addends, strict=True)
        explained = [Contribution(name, value, addend) for name, value, addend in pairs]
        return sorted(explained, key=lambda part: (-abs(part.logit), part.feature))

    def _addends(self, values: Sequence[float]) -> list[float]:
        return [
            weight * standardise(value, mean=mean, variance=variance)
            for value, mean, variance, weight in zip(
                squashed(values), self.means, self.variances, self.weights, strict=True
            )
        ]


def squash(value: float) -> float:
    """Signed logarithm; anything not finite counts as 0, because one NaN would poison a scaler."""
    if not isfinite(value):
        return 0.0
    magnitude = log1p(min(abs(value), _LARGEST))
    return magnitude if value >= 0 else -magnitude


def squashed(values: Sequence[float]) -> list[float]:
    """Every value squashed; the usual ones, which need no care, without a call each."""
    return [log1p(value) if 0.0 <= value <= _LARGEST else squash(value) for value in values]


def standardise(value: float, *, mean: float, variance: float) -> float:
    """Standard deviations from the mean, within +-``CLIP``; 0 where nothing varies yet."""
    if variance <= 0.0:
        return 0.0
    return max(-CLIP, min(CLIP, (value - mean) / sqrt(variance)))


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(LinearModel)


def encode(model: LinearModel) -> bytes:
    """JSON text of the numbers; equal models give equal bytes."""
    return _ENCODER.encode(model)


def decode(body: bytes) -> LinearModel:
    """The model in ``body``; JSON has no numbers that are not finite, so neither has the model.

    Raises:
        ValueError: not a model, or lists of unequal length.
    """
    model = _DECODER.decode(body)
    check(model)
    return model


def check(model: LinearModel) -> None:
    """See that ``model`` is one that can have been learned.

    Raises:
        ValueError: says what no linear model can be.
    """
    learned.check(model)
    columns = (model.means, model.variances, model.weights, model.squares)
    if any(len(column) != len(model.features) for column in columns):
        msg = "its lists are of unequal length"
        raise ValueError(msg)
