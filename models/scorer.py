"""The scorer: the newest published numbers of every model, read-only for whoever scores."""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct

from needstream.models import linear

COLD_VERSION = "cold"
DECIMALS = 9
"""Scores are rounded, so that the order in which a processor adds up does not show."""


class Readiness(Struct, frozen=True):
    """How many labels a model needs before it may speak."""

    min_labels: int
    min_positives: int


class Score(Struct, frozen=True):
    """What one model says: a probability and the version that said it, or None from ``cold``."""

    probability: float | None
    version: str


_COLD = Score(None, COLD_VERSION)


class Scorer:
    """Scores one feature vector with all models at once; a model with too few labels is cold.

    Publishing replaces one model whole; a reader sees the old or the new one, never a mixture.
    """

    def __init__(self, readiness: Mapping[str, Readiness]) -> None:
        self._readiness = dict(readiness)
        self._published: dict[str, linear.LinearModel] = {}
        self._warm: list[linear.LinearModel] = []
        self._cold = dict.fromkeys(self._readiness, _COLD)

    def publish(self, model: linear.LinearModel) -> bool:
        """Serve ``model`` from now on; an older version than the served one is ignored (False)."""
        served = self._published.get(model.name)
        if model.name not in self._readiness or (served and served.version > model.version):
            return False
        self._published[model.name] = model
        self._arrange()
        return True

    def warm(self, name: str) -> linear.LinearModel | None:
        """The model if it has seen enough labels to speak."""
        model = self._published.get(name)
        return model if model is not None and self._is_warm(model) else None

    def any_warm(self) -> bool:
        """Whether any model may speak."""
        return bool(self._warm)

    def scores(self, values: Sequence[float]) -> dict[str, Score]:
        """Every model's word on ``values`` (feature order), by model name."""
        answers = dict(self._cold)
        if not self._warm:
            return answers
        standardised = np.array(linear.squashed(values)) - self._means
        standardised *= self._inverse_deviations
        np.minimum(standardised, linear.CLIP, out=standardised)
        np.maximum(standardised, -linear.CLIP, out=standardised)
        standardised *= self._weights
        logits = standardised.sum(axis=1) + self._intercepts
        for model, version, logit in zip(self._warm, self._versions, logits.tolist(), strict=True):
            answers[model.name] = Score(round(linear.sigmoid(logit), DECIMALS), version)
        return answers

    def published(self) -> list[linear.LinearModel]:
        """Every served model, by name."""
        return [self._published[name] for name in sorted(self._published)]

    def _is_warm(self, model: linear.LinearModel) -> bool:
        readiness = self._readiness[model.name]
        return model.version >= readiness.min_labels and model.positives >= readiness.min_positives

    def _arrange(self) -> None:
        """Lay the warm models out as matrices, one row per model."""
        self._warm = [model for model in self.published() if self._is_warm(model)]
        self._versions = [f"{model.name}-{model.version}" for model in self._warm]
        self._means = np.array([model.means for model in self._warm])
        variances = np.array([model.variances for model in self._warm])
        varies = variances > 0
        self._inverse_deviations = np.where(varies, 1 / np.sqrt(np.where(varies, variances, 1)), 0)
        self._weights = np.array([model.weights for model in self._warm])
        self._intercepts = np.array([model.intercept for model in self._warm])
