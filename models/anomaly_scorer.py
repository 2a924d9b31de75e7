"""An anomaly model laid out to be asked: trees that look at values as they are, cut where a walk ends, ranks added up.

In go feature vectors in the model's order, out comes what the model says of them. Read-only for whoever asks.
"""

from collections.abc import Sequence
from itertools import accumulate
from math import expm1, hypot, inf, isfinite, sqrt

from needstream.models import linear
from needstream.models.anomaly_model import STOP, AnomalyModel, class_of

_Node = tuple[int, float, "_Node", "_Node"] | int
"""A branch (which value is asked, below what the left child speaks, both children), or what was found on the way to
where a walk ends."""


class AnomalyScorer:
    """Says how unusual a vector is among those that one model has learned; replace it whole to serve a newer one."""

    def __init__(self, model: AnomalyModel) -> None:
        """Lay out a model that was checked."""
        self.model = model
        forest = model.forest
        self._is_young = model.version < forest.window
        self._trees = [] if self._is_young else [_tree(model, tree) for tree in range(forest.trees)]
        self._most = forest.trees * forest.window * ((2 << forest.height) - 1)
        lower = [0.0, *accumulate(model.ranks)]
        self._ranks = [weight / (lower[-1] + 1.0) for weight in lower]

    def unusual(self, values: Sequence[float]) -> float | None:
        """As ``AnomalyModel.unusual``."""
        if self._is_young:
            return None
        if not isfinite(hypot(*values)):
            values = [value if isfinite(value) else 0.0 for value in values]
        found = 0
        for tree in self._trees:
            node = tree
            while isinstance(node, tuple):
                place, threshold, left, right = node
                node = left if values[place] < threshold else right
            found += node
        return self._ranks[class_of(1 - found / self._most)]


def _tree(model: AnomalyModel, tree: int) -> _Node:
    """One tree as far as walks lead."""
    forest = model.forest
    inner, nodes = (1 << forest.height) - 1, (2 << forest.height) - 1
    first_inner, first = tree * inner, tree * nodes
    fewest = STOP * forest.window

    def node_of(node: int, found: int, *, factor: int) -> _Node:
        mass = forest.masses[first + node]
        found += mass * factor
        if mass < fewest or node >= inner:
            return found
        place = forest.splits[first_inner + node]
        threshold = _unmapped(
            forest.thresholds[first_inner + node], model.means[place], variance=model.variances[place]
        )
        left = node_of(2 * node + 1, found, factor=2 * factor)
        right = node_of(2 * node + 2, found, factor=2 * factor)
        return (place, threshold, left, right)

    return node_of(0, 0, factor=1)


def _unmapped(threshold: float, mean: float, *, variance: float) -> float:
    """The value below which ``anomaly_model.mapped`` is below a threshold; infinite where it always or never is."""
    if variance <= 0.0:
        return inf if threshold > 0.5 else -inf  # noqa: PLR2004 - it stands in the middle
    if threshold <= 0.0:
        return -inf
    squashed = mean + sqrt(variance) * linear.CLIP * (2 * threshold - 1)
    magnitude = expm1(min(abs(squashed), 700.0))
    return magnitude if squashed >= 0 else -magnitude
