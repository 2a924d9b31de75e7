"""All pairs of a pack at once: their numbers laid out as arrays, read-only for whoever scores.

In go feature vectors in the models' common order, out come raw logits or calibrated probabilities in the order of the
models given. A linear model is laid out as a pair whose buckets say nothing. A vector scores the same alone and in a
batch, and as its model says. One thread scores at a time: what is worked out on the way has its place laid out as well.
"""

import struct
from collections.abc import Sequence
from functools import partial
from math import hypot, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from needstream.models import linear
from needstream.models.linear import LinearModel
from needstream.models.pair_model import BUCKETS, MIDDLE, PairModel

Floats = NDArray[np.float64]

_LARGEST = 1e12
"""The largest value told apart, as in ``linear.squash``."""

_CHUNK = 32
"""Vectors that are scored together; more would leave the processor's nearest memory."""

_NEAREST, _FARTHEST = MIDDLE - 2 * linear.CLIP, MIDDLE + 2 * linear.CLIP


class PairScorer:
    """Scores with a fixed list of models over the same features; replace it whole to serve newer ones."""

    def __init__(self, models: Sequence[PairModel | LinearModel]) -> None:
        """Lay out ``models``.

        Raises:
            ValueError: their features differ.
        """
        self.models = tuple(models)
        self.features = self.models[0].features if self.models else ()
        if any(model.features != self.features for model in self.models):
            msg = "pairs of different features cannot be scored together"
            raise ValueError(msg)
        width, shape = len(self.features), (len(self.models), len(self.features))
        # A place counts half deviations over all buckets of all models: cut off, it is where a bucket's weight stands.
        starts = np.arange(len(self.models) * width, dtype=np.float64).reshape(shape) * BUCKETS
        steps = [[_step(variance) for variance in model.variances] for model in self.models]
        self._steps = np.array(steps, dtype=np.float64).reshape(shape)
        self._shifts = starts + MIDDLE - _array([model.means for model in self.models], shape) * self._steps
        self._nearest, self._farthest = starts + _NEAREST, starts + _FARTHEST
        weights = _array([model.weights for model in self.models], shape)
        halves = np.array([[0.5 if isinstance(model, PairModel) else 1.0] for model in self.models]).reshape(-1, 1)
        self._weights = weights * halves / 2
        self._buckets = np.array([_buckets(model) for model in self.models], dtype=np.float64).reshape(-1)
        intercepts = np.array([_intercept(model) for model in self.models], dtype=np.float64)
        self._intercepts = intercepts - (self._weights * (starts + MIDDLE)).sum(axis=1)
        lines = [model.calibration.line() for model in self.models]
        self._half_slopes = np.array([slope / 2 for slope, _ in lines])
        self._half_offsets = np.array([offset / 2 for _, offset in lines])
        self._values, self._magnitudes = np.zeros(width), np.zeros(width)
        self._write = partial(struct.Struct(f"{width}d").pack_into, self._values.data, 0)
        self._places, self._found = np.zeros(shape), np.zeros(shape)
        self._cut = np.zeros(shape, dtype=np.intp)

    def raw(self, values: Sequence[float]) -> Floats:
        """Every model's raw logit for one vector.

        Raises:
            ValueError: not one value per feature.
        """
        places, found = self._places, self._found
        places[...] = self.squashed(values)  # spread once: a product of unequal shapes costs twice both
        np.multiply(places, self._steps, out=places)
        np.add(places, self._shifts, out=places)
        np.minimum(places, self._farthest, out=places)
        np.maximum(places, self._nearest, out=places)
        self._cut[...] = places  # cut off
        self._buckets.take(self._cut, out=found, mode="clip")
        np.multiply(places, self._weights, out=places)
        np.add(found, places, out=found)
        logits: Floats = np.add.reduce(found, axis=1)
        logits += self._intercepts
        return logits

    def logits(self, values: Sequence[float]) -> list[float]:
        """Every model's raw logit for one vector.

        Raises:
            ValueError: not one value per feature.
        """
        logits: list[float] = self.raw(values).tolist()
        return logits

    def scores(self, values: Sequence[float]) -> list[float]:
        """Every model's calibrated probability for one vector.

        Raises:
            ValueError: not one value per feature.
        """
        probabilities: list[float] = self._calibrated(self.raw(values)).tolist()
        return probabilities

    def batch_logits(self, vectors: Sequence[Sequence[float]]) -> Floats:
        """Raw logits, one row per vector and one column per model.

        Raises:
            ValueError: a vector has not one value per feature.
        """
        logits = np.empty((len(vectors), len(self.models)))
        for start in range(0, len(vectors), _CHUNK):
            chunk = vectors[start : start + _CHUNK]
            # Each row is contiguous and added up along itself, as a single vector is: the bits are the same.
            places = self._squashed_batch(chunk)[:, np.newaxis, :] * self._steps
            places += self._shifts
            np.minimum(places, self._farthest, out=places)
            np.maximum(places, self._nearest, out=places)
            found = self._buckets.take(places.astype(np.intp), mode="clip")
            places *= self._weights
            found += places
            np.add.reduce(found, axis=2, out=logits[start : start + _CHUNK])
        logits += self._intercepts
        return logits

    def batch_scores(self, vectors: Sequence[Sequence[float]]) -> Floats:
        """Calibrated probabilities, one row per vector and one column per model."""
        return self._calibrated(self.batch_logits(vectors))

    def _calibrated(self, logits: Floats) -> Floats:
        """Probabilities in the place of raw logits."""
        logits *= self._half_slopes
        logits += self._half_offsets
        # The sigmoid, written so that nothing overflows.
        np.tanh(logits, out=logits)
        logits *= 0.5
        logits += 0.5
        return logits

    def _squashed_batch(self, vectors: Sequence[Sequence[float]]) -> Floats:
        if any(len(values) != len(self.features) for values in vectors):
            msg = f"a vector has not one value for each of the {len(self.features)} features"
            raise ValueError(msg)
        exact = np.array(vectors, dtype=np.float64).reshape(len(vectors), len(self.features))
        magnitudes = np.absolute(exact)
        if not magnitudes.max(initial=0.0) <= _LARGEST:  # true if any is not finite
            return np.array([linear.squashed(values) for values in vectors])
        np.log1p(magnitudes, out=magnitudes)
        return np.copysign(magnitudes, exact, out=magnitudes)

    def squashed(self, values: Sequence[float]) -> Floats:
        """Every value as ``linear.squash`` has it, to the last rounding, until the next vector is scored.

        Raises:
            ValueError: not one value per feature.
        """
        exact, magnitudes = self._values, self._magnitudes
        if len(values) != len(self.features):
            msg = f"a vector has not one value for each of the {len(self.features)} features"
            raise ValueError(msg)
        self._write(*values)
        if not hypot(*values) <= _LARGEST:  # true of any that is not finite
            magnitudes[:] = linear.squashed(values)
            return magnitudes
        np.absolute(exact, out=magnitudes)
        np.log1p(magnitudes, out=magnitudes)
        return np.copysign(magnitudes, exact, out=magnitudes)


def _step(variance: float) -> float:
    """Buckets per unit of a logarithm; a feature that never varied stands at its mean."""
    return 2.0 / sqrt(variance) if variance > 0.0 else 0.0


def _buckets(model: PairModel | LinearModel) -> Sequence[float]:
    if isinstance(model, PairModel):
        return [weight / 2 for weight in model.bucket_weights]
    return [0.0] * (len(model.features) * BUCKETS)


def _intercept(model: PairModel | LinearModel) -> float:
    return model.intercept() if isinstance(model, PairModel) else model.intercept


def _array(numbers: ArrayLike, shape: tuple[int, int]) -> Floats:
    return np.array(numbers, dtype=np.float64).reshape(shape)
