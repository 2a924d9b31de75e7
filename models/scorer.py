"""The scorer: the newest published number of every model, read-only for whoever scores."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from needstream.models import linear

COLD_VERSION = "cold"


class Readiness(Struct, frozen=True):
    """How many labels a model needs before it may speak."""

    min_labels: int
    min_positives: int


class Scorer:
    """Scores by model name; a model with too few labels is cold and has no score.

    Publishing replaces one model whole; a reader sees the old or the new one, never a mixture.
    """

    def __init__(self, readiness: Mapping[str, Readiness]) -> None:
        self._readiness = dict(readiness)
        self._published: dict[str, linear.LinearModel] = {}

    def publish(self, model: linear.LinearModel) -> bool:
        """Serve ``model`` from now on; an older version than the served one is ignored (False)."""
        served = self._published.get(model.name)
        if model.name not in self._readiness or (served and served.version > model.version):
            return False
        self._published[model.name] = model
        return True

    def warm(self, name: str) -> linear.LinearModel | None:
        """The model if it has seen enough labels to speak."""
        model = self._published.get(name)
        readiness = self._readiness.get(name)
        if model is None or readiness is None:
            return None
        if model.version < readiness.min_labels or model.positives < readiness.min_positives:
            return None
        return model

    def score(self, name: str, values: Sequence[float]) -> tuple[float | None, str]:
        """The probability and the model version, or ``(None, "cold")``."""
        model = self.warm(name)
        if model is None:
            return None, COLD_VERSION
        return model.score(values), f"{name}-{model.version}"

    def published(self) -> list[linear.LinearModel]:
        """Every served model, by name."""
        return [self._published[name] for name in sorted(self._published)]
