"""All pairs of a pack at once: their numbers laid out as arrays, read-only for whoever scores.

In go feature vectors in the pairs' common order, out come raw logits or calibrated probabilities in the
order of the models given. A vector scores the same alone and in a batch, and as its pair says.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import ArrayLike, NDArray

from needstream.models import linear
from needstream.models.pair_model import BUCKETS, MIDDLE, PairModel

Floats = NDArray[np.float64]

_LARGEST = 1e12
"""The largest value told apart, as in ``linear.squash``."""

_CHUNK = 128
"""Vectors that are standardised together; more would leave the processor's nearest memory."""


class PairScorer:
    """Scores with a fixed list of pairs over the same features; replace it whole to serve newer ones."""

    def __init__(self, models: Sequence[PairModel]) -> None:
        """Lay out ``models``.

        Raises:
            ValueError: their features differ.
        """
        self.models = tuple(models)
        self.features = self.models[0].features if self.models else ()
        if any(model.features != self.features for model in self.models):
            msg = "pairs of different features cannot be scored together"
            raise ValueError(msg)
        # A single column would be added up in another order than many, so one pair is laid out twice.
        laid_out = self.models * 2 if len(self.models) == 1 else self.models
        shape = (len(self.features), len(laid_out), 1)
        deviations = _by_feature([model.deviations() for model in laid_out], shape)
        self._means = _by_feature([model.means for model in laid_out], shape)
        # A feature that never varied stands at its mean: everything divided by infinity is 0.
        self._deviations = np.where(deviations > 0, deviations, np.inf)
        self._half_weights = _by_feature([model.weights for model in laid_out], shape) / 2
        self._half_buckets = np.array([model.bucket_weights for model in laid_out], dtype=np.float64).reshape(-1) / 2
        starts = np.arange(len(laid_out) * len(self.features), dtype=np.float64) * BUCKETS + MIDDLE
        self._starts = _by_feature(starts, shape)
        self._intercepts = np.array([model.intercept() for model in laid_out]).reshape(-1, 1)
        lines = [model.calibration.line() for model in self.models]
        self._half_slopes = np.array([slope / 2 for slope, _ in lines])
        self._half_offsets = np.array([offset / 2 for _, offset in lines])

    def logits(self, values: Sequence[float]) -> list[float]:
        """Every model's raw logit for one vector.

        Raises:
            ValueError: not one value per feature.
        """
        raw: list[float] = self.batch_logits((values,))[0].tolist()
        return raw

    def scores(self, values: Sequence[float]) -> list[float]:
        """Every model's calibrated probability for one vector.

        Raises:
            ValueError: not one value per feature.
        """
        probabilities: list[float] = self.batch_scores((values,))[0].tolist()
        return probabilities

    def batch_logits(self, vectors: Sequence[Sequence[float]]) -> Floats:
        """Raw logits, one row per vector and one column per model.

        Raises:
            ValueError: a vector has not one value per feature.
        """
        width = len(self.features)
        if any(len(vector) != width for vector in vectors):
            msg = f"a vector has not one value for each of the {width} features"
            raise ValueError(msg)
        flat = np.fromiter(chain.from_iterable(vectors), np.float64, count=len(vectors) * width)
        squashed = squashed_array(flat).reshape(len(vectors), width).T
        if len(vectors) <= _CHUNK:
            return self._raw(squashed).T
        starts = range(0, len(vectors), _CHUNK)
        return np.concatenate([self._raw(squashed[:, start : start + _CHUNK]) for start in starts], axis=1).T

    def batch_scores(self, vectors: Sequence[Sequence[float]]) -> Floats:
        """Calibrated probabilities, one row per vector and one column per model."""
        logits = self.batch_logits(vectors)
        logits *= self._half_slopes
        logits += self._half_offsets
        # The sigmoid, written so that nothing overflows.
        probabilities: Floats = np.tanh(logits, out=logits)
        probabilities *= 0.5
        probabilities += 0.5
        return probabilities

    def _raw(self, squashed: Floats) -> Floats:
        """Raw logits by model and vector of squashed values by feature and vector."""
        z = np.ascontiguousarray(squashed)[:, np.newaxis, :] - self._means
        z /= self._deviations
        np.minimum(z, linear.CLIP, out=z)
        np.maximum(z, -linear.CLIP, out=z)
        # Twice a deviation cut off to a place; all is positive here, so cutting is rounding down.
        places = z + z
        places += self._starts
        z *= self._half_weights
        z += self._half_buckets.take(places.astype(np.intp))
        logits: Floats = z.sum(axis=0)
        logits += self._intercepts
        return logits[: len(self.models)]


def squashed_array(values: Floats) -> Floats:
    """``linear.squash`` of every value, to the last rounding."""
    magnitudes = np.abs(values)
    np.copyto(magnitudes, 0.0, where=~np.isfinite(magnitudes))
    np.minimum(magnitudes, _LARGEST, out=magnitudes)
    np.log1p(magnitudes, out=magnitudes)
    return np.copysign(magnitudes, values, out=magnitudes)


def _by_feature(numbers: ArrayLike, shape: tuple[int, int, int]) -> Floats:
    """Numbers by model and feature as an array by feature and model."""
    return np.ascontiguousarray(np.asarray(numbers, dtype=np.float64).reshape(shape[1], shape[0]).T).reshape(shape)
