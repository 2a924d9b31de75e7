"""The numbers of a learned pair: what a scorer serves, a snapshot carries and a learner resumes from.

A pair is two logistic learners on the same standardised logarithms: one weighs how far a feature is
from its mean, the other which bucket of half a standard deviation it falls in. The raw logit is the
mean of their two logits. A body is JSON; equal models give equal bytes, and what is decoded can be
scored without overflow.
"""

from collections.abc import Sequence
from math import sqrt
from typing import ClassVar, Literal

import msgspec

from needstream.models import learned, linear
from needstream.models.learned import Amount, Learned, Number, Spread
from needstream.schemas.signals import Total

BUCKETS = 21
"""Buckets of half a deviation from -5 to +5; the last is for +5 itself."""

MIDDLE = BUCKETS // 2 + 1e-9
"""What is added to twice a deviation to cut off its bucket.

Evenly split features stand exactly on borders (-1, 0, +1); the excess takes care that a rounding
error does not throw them from one side to the other.
"""

Columns = tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float]]
"""Means, variances and weights by feature, and the bucket weights feature by feature."""


class PairModel(Learned, frozen=True, kw_only=True, tag="pair"):
    """One pair's numbers, one entry per feature in the order of ``features``.

    ``bucket_weights`` and ``bucket_counts`` hold ``BUCKETS`` entries per feature, feature by feature;
    the counts of a feature sum to ``version``. ``squares`` are the optimiser's sums of squared
    gradients.
    """

    kind: ClassVar[Literal["pair"]] = "pair"
    means: tuple[Number, ...]
    variances: tuple[Spread, ...]
    weights: tuple[Number, ...]
    squares: tuple[Amount, ...]
    bucket_weights: tuple[Number, ...]
    bucket_counts: tuple[Total, ...]
    weights_intercept: Number
    buckets_intercept: Number

    def logit(self, values: Sequence[float]) -> float:
        """The raw logit for ``values`` in feature order.

        Raises:
            ValueError: not one value per feature.
        """
        columns = (self.means, self.variances, self.weights, self.bucket_weights)
        weighed, found = logits(values, columns, intercepts=(self.weights_intercept, self.buckets_intercept))
        return (weighed + found) / 2

    def intercept(self) -> float:
        """The raw logit before any feature has spoken."""
        return (self.weights_intercept + self.buckets_intercept) / 2

    def deviations(self) -> tuple[float, ...]:
        """Standard deviations of the logarithms; 0 where nothing varied."""
        return tuple(sqrt(variance) for variance in self.variances)


def logits(values: Sequence[float], columns: Columns, *, intercepts: tuple[float, float]) -> tuple[float, float]:
    """What each of the two learners says of ``values``: the scaled one, then the bucketed one.

    Raises:
        ValueError: not one value per feature.
    """
    weighed, found = intercepts
    means, variances, weights, bucket_weights = columns
    border = MIDDLE
    for value, mean, variance, weight in zip(linear.squashed(values), means, variances, weights, strict=True):
        z = 0.0
        if variance > 0.0:
            z = (value - mean) / sqrt(variance)
            if z > linear.CLIP:
                z = linear.CLIP
            elif z < -linear.CLIP:
                z = -linear.CLIP
            weighed += weight * z
        found += bucket_weights[int(z * 2.0 + border)]
        border += BUCKETS
    return weighed, found


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(PairModel)


def encode(model: PairModel) -> bytes:
    """JSON text of the numbers; equal models give equal bytes."""
    return _ENCODER.encode(model)


def decode(body: bytes) -> PairModel:
    """The pair in ``body``.

    Raises:
        ValueError: another kind of model, no model, or numbers that no pair can have.
    """
    model = _DECODER.decode(body)
    check(model)
    return model


def check(model: PairModel) -> None:
    """See that ``model`` is one that can have been learned.

    Raises:
        ValueError: says what no pair can be.
    """
    learned.check(model)
    width = len(model.features)
    lists = (model.means, model.variances, model.weights, model.squares)
    if any(len(numbers) != width for numbers in lists):
        msg = "its lists are of unequal length"
        raise ValueError(msg)
    if any(len(numbers) != width * BUCKETS for numbers in (model.bucket_weights, model.bucket_counts)):
        msg = f"its bucket lists are of unequal length: {BUCKETS} entries per feature are expected"
        raise ValueError(msg)
    for start in range(0, width * BUCKETS, BUCKETS):
        if sum(model.bucket_counts[start : start + BUCKETS]) != model.version:
            msg = f"the buckets of feature {model.features[start // BUCKETS]} do not sum to its examples"
            raise ValueError(msg)
