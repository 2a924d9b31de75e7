"""An anomaly model laid out to be asked: all branches decided at once, all trees walked side by side, ranks added up.

In go feature vectors in the model's order, out comes what the model says of them. Read-only for whoever asks.
"""

import struct
from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from math import expm1, hypot, inf, isfinite, sqrt

import numpy as np

from needstream.models import linear
from needstream.models.anomaly_model import STOP, AnomalyModel, class_of


class AnomalyScorer:
    """Says how unusual a vector is among those that one model has learned; replace it whole to serve a newer one."""

    def __init__(self, model: AnomalyModel) -> None:
        """Lay out a model that was checked."""
        self.model = model
        forest = model.forest
        self._is_young = model.version < forest.window
        self._most = forest.trees * forest.window * ((2 << forest.height) - 1)
        lower = [0.0, *accumulate(model.ranks)]
        self._ranks = [weight / (lower[-1] + 1.0) for weight in lower]
        places, thresholds, left, found = _nodes(model)
        self._places, self._left = np.array(places, dtype=np.intp), np.array(left, dtype=np.intp)
        self._thresholds = np.array(thresholds, dtype=np.float64)
        self._found = np.array(found, dtype=np.int64)
        self._below_the_root = range(1, forest.height)
        self._written = struct.Struct(f"{len(model.features)}d").pack

    def unusual(self, values: Sequence[float]) -> float | None:
        """As ``AnomalyModel.unusual``."""
        if self._is_young:
            return None
        if not isfinite(hypot(*values)):
            values = [value if isfinite(value) else 0.0 for value in values]
        following = self._left + (np.frombuffer(self._written(*values)).take(self._places) >= self._thresholds)
        walks = following[: self.model.forest.trees]
        for _ in self._below_the_root:
            walks = following.take(walks)
        found = int(self._found.take(walks).sum())
        return self._ranks[class_of(1 - found / self._most)]


def _nodes(model: AnomalyModel) -> tuple[list[int], list[float], list[int], list[int]]:
    """All nodes that walks come to, the roots first, and each right child behind its left one.

    Returns:
        Of each node the place of the value that is asked, below what the left child speaks, where that child stands,
        and what was found from the root to here. Where a walk ends, every value leads back to the node itself.
    """
    forest = model.forest
    inner, nodes = (1 << forest.height) - 1, (2 << forest.height) - 1
    fewest = STOP * forest.window
    places: list[int] = []
    thresholds: list[float] = []
    left: list[int] = []
    found: list[int] = []
    waiting = deque((tree, 0, 0) for tree in range(forest.trees))
    while waiting:
        tree, node, above = waiting.popleft()
        mass = forest.masses[tree * nodes + node]
        found.append(above + mass * (1 << _depth(node)))
        if mass < fewest or node >= inner:
            places.append(0)
            thresholds.append(inf)
            left.append(len(left))
            continue
        place, threshold = forest.splits[tree * inner + node], forest.thresholds[tree * inner + node]
        places.append(place)
        thresholds.append(_unmapped(threshold, model.means[place], variance=model.variances[place]))
        left.append(len(found) + len(waiting))
        waiting += (tree, 2 * node + 1, found[-1]), (tree, 2 * node + 2, found[-1])
    return places, thresholds, left, found


def _depth(node: int) -> int:
    """How far below its root a node stands, level by level."""
    return (node + 1).bit_length() - 1


def _unmapped(threshold: float, mean: float, *, variance: float) -> float:
    """The value below which ``anomaly_model.mapped`` is below a threshold; infinite where it always or never is."""
    if variance <= 0.0:
        return inf if threshold > 0.5 else -inf  # noqa: PLR2004 - it stands in the middle
    if threshold <= 0.0:
        return -inf
    squashed = mean + sqrt(variance) * linear.CLIP * (2 * threshold - 1)
    magnitude = expm1(min(abs(squashed), 700.0))
    return magnitude if squashed >= 0 else -magnitude
