"""The numbers of a learned pair: what a scorer serves, a snapshot carries and a learner resumes from.

A pair is two logistic learners on the same standardised logarithms: one weighs how far a feature is
from its mean, the other which bucket of half a standard deviation it falls in. The raw logit is the
mean of their two logits. A body is JSON; equal models give equal bytes, and what is decoded can be
scored without overflow.
"""

from math import sqrt
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from needstream.models import linear
from needstream.models.calibration import IDENTITY, Calibration, is_definite
from needstream.schemas.signals import Total

BUCKETS = 21
"""Buckets of half a deviation from -5 to +5; the last is for +5 itself."""

MIDDLE = BUCKETS // 2 + 1e-9
"""What is added to twice a deviation to cut off its bucket.

Evenly split features stand exactly on borders (-1, 0, +1); the excess takes care that a rounding
error does not throw them from one side to the other.
"""

LARGEST = 1e6
"""Above any number a pair can learn from examples that fit a topic."""

Number = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
Amount = Annotated[float, Meta(ge=0)]
Spread = Annotated[float, Meta(ge=0, le=LARGEST)]


class PairModel(Struct, frozen=True, kw_only=True):
    """One pair's numbers, one entry per feature in the order of ``features``.

    ``bucket_weights`` and ``bucket_counts`` hold ``BUCKETS`` entries per feature, feature by feature;
    the counts of a feature sum to ``version``, the number of examples learned. ``squares`` are the
    optimiser's sums of squared gradients. ``learned_through`` is the offset of the newest example
    learned from a topic, -1 for none.
    """

    kind: Literal["pair"] = "pair"
    name: str
    version: Total
    positives: Total
    features: tuple[str, ...]
    means: tuple[Number, ...]
    variances: tuple[Spread, ...]
    weights: tuple[Number, ...]
    squares: tuple[Amount, ...]
    bucket_weights: tuple[Number, ...]
    bucket_counts: tuple[Total, ...]
    weights_intercept: Number
    buckets_intercept: Number
    learned_through: Annotated[int, Meta(ge=-1)] = -1
    calibration: Calibration = IDENTITY

    def intercept(self) -> float:
        """The raw logit before any feature has spoken."""
        return (self.weights_intercept + self.buckets_intercept) / 2

    def deviations(self) -> tuple[float, ...]:
        """Standard deviations of the logarithms; 0 where nothing varied."""
        return tuple(sqrt(variance) for variance in self.variances)


class _Kind(Struct):
    kind: str = "linear"


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(PairModel)
_KINDS = msgspec.json.Decoder(_Kind)


def encode(model: PairModel) -> bytes:
    """JSON text of the numbers; equal models give equal bytes."""
    return _ENCODER.encode(model)


def decode(body: bytes) -> PairModel:
    """The pair in ``body``.

    Raises:
        ValueError: another kind of model, no model, or numbers that no pair can have.
    """
    found = kind(body)
    if found != "pair":
        msg = f"it is a model of kind {found!r}, a pair is expected"
        raise ValueError(msg)
    model = _DECODER.decode(body)
    _check(model)
    return model


def kind(body: bytes) -> str:
    """Which kind of model ``body`` holds; a body that does not say is of the first kind, ``linear``.

    Raises:
        ValueError: not a JSON object.
    """
    return _KINDS.decode(body).kind


def decode_any(body: bytes) -> PairModel | linear.LinearModel:
    """The model in ``body``, whichever kind it says to be.

    Raises:
        ValueError: as the ``decode`` of its kind, or of an unknown kind.
    """
    return linear.decode(body) if kind(body) == "linear" else decode(body)


def _check(model: PairModel) -> None:
    width = len(model.features)
    lists = (model.means, model.variances, model.weights, model.squares)
    if any(len(numbers) != width for numbers in lists):
        msg = "its lists are of unequal length"
        raise ValueError(msg)
    if any(len(numbers) != width * BUCKETS for numbers in (model.bucket_weights, model.bucket_counts)):
        msg = f"its bucket lists are of unequal length: {BUCKETS} entries per feature are expected"
        raise ValueError(msg)
    if len(set(model.features)) != width:
        msg = "it names a feature twice"
        raise ValueError(msg)
    if model.positives > model.version:
        msg = "it has more positives than examples"
        raise ValueError(msg)
    if model.calibration.positives > model.calibration.labels:
        msg = "its calibration has more positives than labels"
        raise ValueError(msg)
    if not is_definite(model.calibration):
        msg = "its calibration has a curvature that no labels give"
        raise ValueError(msg)
    for start in range(0, width * BUCKETS, BUCKETS):
        if sum(model.bucket_counts[start : start + BUCKETS]) != model.version:
            msg = f"the buckets of feature {model.features[start // BUCKETS]} do not sum to its examples"
            raise ValueError(msg)
