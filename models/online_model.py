"""One online model: River's scaler and logistic regression behind four verbs.

River objects are mutable and not thread-safe; they live here and nowhere else, and one writer owns
each model. ``score`` changes nothing; only ``learn`` does. What others read is the ``LinearModel``
of ``export``, whose score equals River's own to rounding.

The recipe is a signed logarithm, standardisation, a clip to +-5 and logistic regression with
AdaGrad (Duchi et al., JMLR 2011), in pure online updates.
"""

from collections.abc import Sequence
from math import copysign, log
from typing import ClassVar

from river import linear_model, optim, preprocessing
from river.utils.vectordict import VectorDict

from needstream.models import linear
from needstream.models.calibration import IDENTITY, Calibration
from needstream.models.logistic import check_weight

LEARNING_RATE = 0.1
EXPECTED_RATE = 0.05
"""The share of positives a new model assumes; it only sets where the intercept starts."""


class OnlineModel:
    """A named model over a fixed, ordered list of features."""

    kind: ClassVar[str] = "linear"

    def __init__(self, name: str, features: Sequence[str]) -> None:
        self.name = name
        self.features = tuple(features)
        self.examples = 0
        self.positives = 0
        self._scaler = preprocessing.StandardScaler()
        self._regression = linear_model.LogisticRegression(
            optimizer=optim.AdaGrad(LEARNING_RATE),
            intercept_init=log(EXPECTED_RATE / (1 - EXPECTED_RATE)),
        )

    def score(self, values: Sequence[float]) -> float:
        """The probability of the label for ``values`` in feature order."""
        scaled = self._standardised(self._squashed(values))
        return float(self._regression.predict_proba_one(scaled)[True])

    def logit(self, values: Sequence[float]) -> float:
        """The raw logit for ``values`` in feature order.

        Raises:
            ValueError: not one value per feature.
        """
        weights = self._regression.weights
        scaled = self._standardised(self._squashed(values))
        return float(self._regression.intercept + sum(weights.get(name, 0.0) * z for name, z in scaled.items()))

    def learn(self, values: Sequence[float], label: bool, *, weight: float = 1.0) -> None:
        """Learn one matured example, values in feature order.

        Args:
            values: one per feature.
            label: what became true.
            weight: as how many examples it turns the weights, 0 to 100; the moments take every
                example as one.

        Raises:
            ValueError: not one value per feature, or no such weight; nothing was learned then.
        """
        check_weight(weight)
        squashed = self._squashed(values)
        self._scaler.learn_one(squashed)
        self._regression.learn_one(self._standardised(squashed), label, w=weight)
        self.examples += 1
        self.positives += label

    def recall(self, values: Sequence[float], label: bool) -> None:
        """Nothing: what was learned before is in the export."""

    def export(self, *, calibrated: Calibration = IDENTITY) -> linear.LinearModel:
        """The model as it stands, as numbers, with the calibration that goes with it."""
        weights = self._regression.weights
        squares = self._regression.optimizer.g2
        return linear.LinearModel(
            name=self.name,
            version=self.examples,
            positives=self.positives,
            features=self.features,
            means=tuple(float(self._scaler.means[name]) for name in self.features),
            variances=tuple(float(self._scaler.vars[name]) for name in self.features),
            weights=tuple(float(weights.get(name, 0.0)) for name in self.features),
            squares=tuple(float(squares.get(name, 0.0)) for name in self.features),
            intercept=float(self._regression.intercept),
            calibration=calibrated,
        )

    @classmethod
    def restore(cls, exported: linear.LinearModel) -> "OnlineModel":
        """A model that goes on learning exactly where ``exported`` stood."""
        model = cls(exported.name, exported.features)
        model.examples, model.positives = exported.version, exported.positives
        for place, name in enumerate(exported.features):
            if exported.version:
                model._scaler.counts[name] = exported.version
                model._scaler.means[name] = exported.means[place]
                model._scaler.vars[name] = exported.variances[place]
                model._regression.optimizer.g2[name] = exported.squares[place]
        model._regression.intercept = exported.intercept
        model._regression.optimizer.n_iterations = exported.version
        if exported.version:
            weights = dict(zip(exported.features, exported.weights, strict=True))
            # River offers no public way to set learned weights.
            model._regression._weights = VectorDict(weights)
        return model

    def _squashed(self, values: Sequence[float]) -> dict[str, float]:
        return dict(zip(self.features, linear.squashed(values), strict=True))

    def _standardised(self, squashed: dict[str, float]) -> dict[str, float]:
        scaled = self._scaler.transform_one(squashed)
        return {name: z if -linear.CLIP <= z <= linear.CLIP else copysign(linear.CLIP, z) for name, z in scaled.items()}
