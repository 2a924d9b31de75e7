"""Why a pair says what it says: its raw logit taken apart, feature by feature, against what is usual.

In go a pair's numbers and one feature vector, out come addends that sum with the intercept to the raw
logit. A feature at its mean and in no telling bucket adds about nothing: of the scaled learner it adds
weight times deviation, of the bucketed one the weight of its bucket less the mean weight of the buckets
of all examples learned, which is part of the intercept.
"""

from collections.abc import Sequence

from msgspec import Struct

from needstream.models import linear
from needstream.models.pair_model import BUCKETS, MIDDLE, PairModel


class Explanation(Struct, frozen=True):
    """``intercept`` and the logits of ``parts`` (in feature order) sum to the raw logit."""

    intercept: float
    parts: tuple[linear.Contribution, ...]

    def strongest_for(self, count: int) -> list[linear.Contribution]:
        """At most ``count`` features that speak for the label, the strongest first."""
        speaking = [part for part in self.parts if part.logit > 0]
        return sorted(speaking, key=_strength)[:count]

    def strongest_against(self, count: int) -> list[linear.Contribution]:
        """At most ``count`` features that speak against the label, the strongest first."""
        speaking = [part for part in self.parts if part.logit < 0]
        return sorted(speaking, key=_strength)[:count]


class Explainer:
    """Takes scores of one served pair apart; lays out once what does not depend on the vector."""

    def __init__(self, model: PairModel) -> None:
        self._model = model
        starts = range(0, len(model.bucket_weights), BUCKETS)
        usual = [_usual(model, start) for start in starts]
        self._intercept = model.intercept() + sum(usual) / 2
        self._numbers = [
            (name, mean, variance, weight, start + MIDDLE, expected)
            for name, mean, variance, weight, start, expected in zip(
                model.features, model.means, model.variances, model.weights, starts, usual, strict=True
            )
        ]

    def explain(self, values: Sequence[float]) -> Explanation:
        """The addends of the raw logit of ``values`` in feature order.

        Raises:
            ValueError: not one value per feature.
        """
        bucket_weights = self._model.bucket_weights
        parts = []
        for value, logarithm, (name, mean, variance, weight, border, usual) in zip(
            values, linear.squashed(values), self._numbers, strict=True
        ):
            z = linear.standardise(logarithm, mean=mean, variance=variance)
            found = bucket_weights[int(z * 2.0 + border)] - usual
            parts.append(linear.Contribution(name, value, (weight * z + found) / 2))
        return Explanation(self._intercept, tuple(parts))


def _usual(model: PairModel, start: int) -> float:
    """The mean bucket weight of one feature over the examples learned."""
    if not model.version:
        return 0.0
    here = slice(start, start + BUCKETS)
    weighed = zip(model.bucket_weights[here], model.bucket_counts[here], strict=True)
    return sum(weight * count for weight, count in weighed) / model.version


def _strength(part: linear.Contribution) -> tuple[float, str]:
    return -abs(part.logit), part.feature
