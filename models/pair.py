"""The pair: two small logistic learners over the same features, fused into one pass.

In go feature values in a fixed order and matured labels, out comes the mean of two logits. The
first learner is linear in the standardised logarithm (clip +-5, AdaGrad; Duchi et al., 2011), the
second has one weight per bucket of half a standard deviation (plain gradient steps), so that it
can bend where the first cannot. The numbers stay finite whatever is learned, and equal examples in
equal order give equal numbers, bit for bit.

Plain lists are the fastest form at these widths: numpy vectors and a dictionary per number cost more.
"""

from collections.abc import Sequence
from math import log, sqrt
from typing import Any, ClassVar

from river import base

from needstream.models import linear
from needstream.models.calibration import IDENTITY, Calibration
from needstream.models.logistic import check_weight, sigmoid
from needstream.models.pair_model import BUCKETS, MIDDLE, PairModel, logits

ADAGRAD_RATE = 0.05
ADAGRAD_EPSILON = 1e-8
BUCKET_RATE = 0.005
EARLY_BUCKETS = 6.0
EARLY_EXAMPLES = 150
"""The buckets begin with 1 + ``EARLY_BUCKETS`` times their rate. It falls to it over some times so many examples of
the rarer class: where positives are rare, there is more to be learned from each of them for longer."""

INTERCEPT_RATE = 0.01
EARLY_INTERCEPT = 4.0
"""The intercepts begin with this over 20 and the examples, so that the share of positives is soon about right."""

EXPECTED_RATE = 0.05
"""The share of positives a new model assumes; it only sets where the intercepts start."""

_EMPTY = [0.0] * BUCKETS
_CENTRE = BUCKETS // 2


class PairClassifier(base.Classifier):
    """Mean of the logits of a scaled and a bucketed logistic regression; binary, with probabilities.

    Mutable and not thread-safe: one writer owns each. What others read is the ``PairModel`` of
    ``export``. The dictionaries of River are a face over value lists: a name that is absent counts
    as 0. Values that are not finite count as 0, larger ones than 1e12 as 1e12.

    Parameters
    ----------
    name
        What the model is called in its snapshots.
    features
        The names, in the order in which ``learn`` and ``score`` take values; other names in a
        dictionary are ignored. None: the names are taken from the dictionaries as they come, each
        as if it had been 0 until then.
    """

    kind: ClassVar[str] = "pair"

    def __init__(self, name: str = "", features: tuple[str, ...] | None = None) -> None:
        self.name = name
        # As given, for River clones an estimator from its arguments.
        self.features = features
        self.examples = 0
        self.positives = 0
        start = log(EXPECTED_RATE / (1 - EXPECTED_RATE))
        self._weights_intercept = self._buckets_intercept = start
        self._places: dict[Any, int] = {}
        self._means: list[float] = []
        self._variances: list[float] = []
        self._weights: list[float] = []
        self._squares: list[float] = []
        self._bucket_weights: list[float] = []
        self._bucket_counts: list[int] = []
        for feature in features or ():
            self._admit(feature)

    def score(self, values: Sequence[float]) -> float:
        """The probability of the label for ``values`` in feature order."""
        return sigmoid(self.logit(values))

    def logit(self, values: Sequence[float]) -> float:
        """The raw logit for ``values`` in feature order: the mean of ``logits``.

        Raises:
            ValueError: not one value per feature.
        """
        weighed, found = self.logits(values)
        return (weighed + found) / 2

    def logits(self, values: Sequence[float]) -> tuple[float, float]:
        """What each of the two learners says by itself: the scaled one, then the bucketed one."""
        self._check_width(values)
        columns = (self._means, self._variances, self._weights, self._bucket_weights)
        return logits(values, columns, intercepts=(self._weights_intercept, self._buckets_intercept))

    def learn(self, values: Sequence[float], label: bool, *, weight: float = 1.0) -> None:
        """Learn one matured example, values in feature order.

        Args:
            values: one per feature.
            label: what became true.
            weight: as how many examples it turns the weights, 0 to 100; the moments and the counts
                take every example as one.

        Raises:
            ValueError: not one value per feature, or no such weight; nothing was learned then.
        """
        self._check_width(values)
        check_weight(weight)
        squashed = linear.squashed(values)
        self.examples += 1
        self.positives += label
        deviations, places = self._take_in(squashed)
        self._descend(deviations, places, label=label, weight=weight)

    def rehearse(self, values: Sequence[float], label: bool) -> None:
        """Let an example that was learned before turn the weights once more; it is counted no second time.

        Raises:
            ValueError: not one value per feature; nothing was learned then.
        """
        self._check_width(values)
        deviations, places = self._standardise(linear.squashed(values))
        self._descend(deviations, places, label=label, weight=1.0)

    def recall(self, values: Sequence[float], label: bool) -> None:
        """Nothing: what was learned before is in the export."""

    def _take_in(self, squashed: list[float]) -> tuple[list[float], list[int]]:
        """Take ``squashed`` into the moments and counts; deviations and places in the bucket lists after that."""
        examples, means, variances, counts = self.examples, self._means, self._variances, self._bucket_counts
        deviations, places, border = [], [], MIDDLE
        for feature, value in enumerate(squashed):
            mean, variance = means[feature], variances[feature]
            distance = value - mean
            mean += distance / examples
            variance += (distance * (value - mean) - variance) / examples
            means[feature], variances[feature] = mean, variance
            z = 0.0
            if variance > 0.0:
                z = (value - mean) / sqrt(variance)
                if z > linear.CLIP:
                    z = linear.CLIP
                elif z < -linear.CLIP:
                    z = -linear.CLIP
            place = int(z * 2.0 + border)
            counts[place] += 1
            deviations.append(z)
            places.append(place)
            border += BUCKETS
        return deviations, places

    def _standardise(self, squashed: list[float]) -> tuple[list[float], list[int]]:
        """Deviations of ``squashed`` and its places in the bucket lists, by the moments as they are."""
        deviations, places = [], []
        for feature, value in enumerate(squashed):
            z = linear.standardise(value, mean=self._means[feature], variance=self._variances[feature])
            deviations.append(z)
            places.append(int(z * 2.0 + (feature * BUCKETS + MIDDLE)))
        return deviations, places

    def _descend(self, deviations: list[float], places: list[int], *, label: bool, weight: float) -> None:
        """Turn the weights of both learners against their errors."""
        weights, squares, bucket_weights = self._weights, self._squares, self._bucket_weights
        weighed, found = self._weights_intercept, self._buckets_intercept
        for slope, z, place in zip(weights, deviations, places, strict=True):
            weighed += slope * z
            found += bucket_weights[place]
        error = (sigmoid(weighed) - label) * weight
        bucket_error = (sigmoid(found) - label) * weight
        intercept_rate = max(INTERCEPT_RATE, EARLY_INTERCEPT / (self.examples + 20))
        self._weights_intercept -= intercept_rate * error
        self._buckets_intercept -= intercept_rate * bucket_error
        for feature, z in enumerate(deviations):
            gradient = error * z
            square = squares[feature] = squares[feature] + gradient * gradient
            weights[feature] -= ADAGRAD_RATE * gradient / sqrt(square + ADAGRAD_EPSILON)
        rarer = min(self.positives, self.examples - self.positives)
        early = EARLY_BUCKETS / (1.0 + rarer / EARLY_EXAMPLES)
        step = BUCKET_RATE * (1.0 + early) * bucket_error
        for place in places:
            bucket_weights[place] -= step

    def learn_one(self, x: dict[Any, Any], y: Any) -> None:
        """Learn one example as River gives it."""
        if self.features is None:
            for feature in x:
                if feature not in self._places:
                    self._admit(feature)
        self.learn(self._row(x), bool(y))

    def predict_proba_one(self, x: dict[Any, Any], **kwargs: Any) -> dict[Any, float]:
        """The probabilities of ``False`` and ``True`` for features as River gives them."""
        probability = self.score(self._row(x))
        return {False: 1.0 - probability, True: probability}

    def export(self, *, calibrated: Calibration = IDENTITY) -> PairModel:
        """The model as it stands, as numbers, with the calibration that goes with it."""
        return PairModel(
            name=self.name,
            version=self.examples,
            positives=self.positives,
            features=tuple(self._places),
            means=tuple(self._means),
            variances=tuple(self._variances),
            weights=tuple(self._weights),
            squares=tuple(self._squares),
            bucket_weights=tuple(self._bucket_weights),
            bucket_counts=tuple(self._bucket_counts),
            weights_intercept=self._weights_intercept,
            buckets_intercept=self._buckets_intercept,
            calibration=calibrated,
        )

    @classmethod
    def restore(cls, exported: PairModel) -> "PairClassifier":
        """A pair that goes on learning exactly where ``exported`` stood."""
        pair = cls(exported.name, exported.features)
        pair.examples, pair.positives = exported.version, exported.positives
        pair._weights_intercept = exported.weights_intercept
        pair._buckets_intercept = exported.buckets_intercept
        pair._means = list(exported.means)
        pair._variances = list(exported.variances)
        pair._weights = list(exported.weights)
        pair._squares = list(exported.squares)
        pair._bucket_weights = list(exported.bucket_weights)
        pair._bucket_counts = list(exported.bucket_counts)
        return pair

    def _admit(self, feature: Any) -> None:
        """Make room for a feature that was 0 in every example so far."""
        self._places[feature] = len(self._places)
        for numbers in (self._means, self._variances, self._weights, self._squares):
            numbers.append(0.0)
        self._bucket_weights.extend(_EMPTY)
        self._bucket_counts.extend([0] * BUCKETS)
        self._bucket_counts[_CENTRE - BUCKETS] = self.examples

    def _row(self, x: dict[Any, Any]) -> list[float]:
        return [x.get(feature, 0.0) for feature in self._places]

    def _check_width(self, values: Sequence[float]) -> None:
        if len(values) != len(self._means):
            msg = f"{len(values)} values for the {len(self._means)} features of model {self.name!r}"
            raise ValueError(msg)
