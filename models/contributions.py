"""Why a model says what it says: its calibrated logit taken apart, feature by feature, against what is usual.

In go a model's numbers and one feature vector, out come addends that sum with the intercept to the logit
of the probability that is served. Calibration is a line, so it scales every addend by its slope and adds
its offset to the intercept. A feature at its mean and in no telling bucket adds about nothing: of a linear
learner it adds weight times deviation, of a bucketed one the weight of its bucket less the mean weight of
the buckets of all examples learned, which is part of the intercept. Of trees see ``tree_paths``.
"""

from collections.abc import Sequence
from math import fsum

from msgspec import Struct, structs

from needstream.models import linear, tree_paths
from needstream.models.calibration import IDENTITY, Calibration
from needstream.models.pair_model import BUCKETS, MIDDLE, PairModel
from needstream.models.trees import TreesModel

Standardised = PairModel | linear.LinearModel
"""The kinds of models that know the mean of each feature."""

Explainable = Standardised | TreesModel


class Explanation(Struct, frozen=True):
    """``intercept`` and the logits of ``parts`` (in feature order) sum to the calibrated logit."""

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

    def logit(self) -> float:
        """What it explains."""
        return fsum((self.intercept, *(part.logit for part in self.parts)))


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
        """The addends of the calibrated logit of ``values`` in feature order.

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
            parts.append(linear.Contribution(name, value, (weight * z + found) / 2, z))
        return _calibrated(self._intercept, parts, calibration=self._model.calibration)


def explain(
    model: Explainable, values: Sequence[float], *, usual: Standardised | None = None, calibrated: bool = True
) -> Explanation:
    """The addends of the calibrated, or of the raw logit of ``values`` in feature order, whatever the kind of model.

    ``usual`` tells how far each value is from its mean where ``model`` does not know: trees do not.

    Raises:
        ValueError: not one value per feature, or ``usual`` has other features.
    """
    if not calibrated:
        model = structs.replace(model, calibration=IDENTITY)
    if isinstance(model, PairModel):
        return Explainer(model).explain(values)
    if isinstance(model, linear.LinearModel):
        return _of_linear(model, values)
    return _of_trees(model, values, usual=usual)


def mixed(members: Sequence[tuple[float, Explanation]], calibration: Calibration) -> Explanation:
    """The explanation of a weighed sum of logits, calibrated; weights with the explanations they belong to.

    The deviation of a feature is that of the first member that knows it.

    Raises:
        ValueError: no members, or members of different features.
    """
    if not members or len({tuple(part.feature for part in member.parts) for _, member in members}) > 1:
        msg = "a mixture is of at least one explanation, all of the same features"
        raise ValueError(msg)
    weights = [weight for weight, _ in members]
    parts = [
        linear.Contribution(
            same[0].feature,
            same[0].value,
            fsum(weight * part.logit for weight, part in zip(weights, same, strict=True)),
            next((part.z for part in same if part.z is not None), None),
        )
        for same in zip(*(member.parts for _, member in members), strict=True)
    ]
    intercept = fsum(weight * member.intercept for weight, member in members)
    return _calibrated(intercept, parts, calibration=calibration)


def _of_linear(model: linear.LinearModel, values: Sequence[float]) -> Explanation:
    parts = [
        linear.Contribution(name, value, weight * z, z)
        for name, value, weight, z in zip(
            model.features, values, model.weights, _deviations(model, values), strict=True
        )
    ]
    return _calibrated(model.intercept, parts, calibration=model.calibration)


def _of_trees(model: TreesModel, values: Sequence[float], *, usual: Standardised | None) -> Explanation:
    if usual is not None and usual.features != model.features:
        msg = f"model {usual.name!r} cannot tell what is usual of other features than its own"
        raise ValueError(msg)
    intercept, added = tree_paths.addends(model, values)
    deviations = [None] * len(added) if usual is None else _deviations(usual, values)
    parts = [
        linear.Contribution(name, value, addend, z)
        for name, value, addend, z in zip(model.features, values, added, deviations, strict=True)
    ]
    return _calibrated(intercept, parts, calibration=model.calibration)


def _deviations(model: Standardised, values: Sequence[float]) -> list[float]:
    return [
        linear.standardise(logarithm, mean=mean, variance=variance)
        for logarithm, mean, variance in zip(linear.squashed(values), model.means, model.variances, strict=True)
    ]


def _calibrated(intercept: float, parts: Sequence[linear.Contribution], *, calibration: Calibration) -> Explanation:
    slope, offset = calibration.line()
    scaled = (linear.Contribution(part.feature, part.value, slope * part.logit, part.z) for part in parts)
    return Explanation(slope * intercept + offset, tuple(scaled))


def _usual(model: PairModel, start: int) -> float:
    """The mean bucket weight of one feature over the examples learned."""
    if not model.version:
        return 0.0
    here = slice(start, start + BUCKETS)
    weighed = zip(model.bucket_weights[here], model.bucket_counts[here], strict=True)
    return sum(weight * count for weight, count in weighed) / model.version


def _strength(part: linear.Contribution) -> tuple[float, str]:
    return -abs(part.logit), part.feature
