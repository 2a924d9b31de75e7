"""The numbers of a learned anomaly model: what a scorer asks, a snapshot carries and a learner resumes from.

``score`` is that of half-space trees, equal to River's; ``unusual`` is its rank among the vectors learned, and the one
of the two that can be compared with a threshold over time. Equal models encode to equal bytes; what ``check`` lets pass
can be scored without error.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from needstream.models import linear
from needstream.schemas.signals import Total

UNJUDGED = "unusual"
"""The feature an anomaly model does not look at, as it is its own last word."""

CLASSES = 1000
"""Classes of equal width into which scores are sorted for their ranks."""

LARGEST = 1e6
_MOST_TREES = 100
_MOST_HEIGHT = 12
STOP = 0.1
"""A node with a smaller share of the window ends the walk, as in the paper and in River."""

Number = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
Spread = Annotated[float, Meta(ge=0, le=LARGEST)]
Weight = Annotated[float, Meta(ge=0, le=LARGEST)]
Threshold = Annotated[float, Meta(ge=0, le=1)]
Place = Annotated[int, Meta(ge=0)]


class Forest(Struct, frozen=True, kw_only=True):
    """Full binary trees, tree by tree, each level by level: the children of node i are 2i+1 and 2i+2.

    ``splits`` (places of features) and ``thresholds`` have an entry per inner node, ``masses`` (how many vectors of the
    last full window passed) and ``gathered`` (of the window that is being learned) one per node.
    """

    trees: Annotated[int, Meta(ge=1, le=_MOST_TREES)]
    height: Annotated[int, Meta(ge=1, le=_MOST_HEIGHT)]
    window: Annotated[int, Meta(ge=1, le=1_000_000)]
    splits: tuple[Place, ...]
    thresholds: tuple[Threshold, ...]
    masses: tuple[Total, ...]
    gathered: tuple[Total, ...]

    def score(self, mapped: Sequence[float]) -> float:
        """How far from the last window's vectors: 0 where all are, 1 where none is."""
        inner, nodes = (1 << self.height) - 1, (2 << self.height) - 1
        fewest = STOP * self.window
        splits, thresholds, masses = self.splits, self.thresholds, self.masses
        found = 0
        for tree in range(self.trees):
            first_inner, first = tree * inner, tree * nodes
            node, factor = 0, 1
            mass = masses[first]
            found += mass
            while mass >= fewest and node < inner:
                split = first_inner + node
                node = 2 * node + (1 if mapped[splits[split]] < thresholds[split] else 2)
                factor *= 2
                mass = masses[first + node]
                found += mass * factor
        return 1 - found / (self.trees * self.window * nodes)


class AnomalyModel(Struct, frozen=True, kw_only=True, tag_field="kind", tag="anomaly"):
    """What was learned of ``version`` vectors; one mean and variance per feature in the order of ``features``.

    ``ranks`` are decayed counts of the scores that learned vectors had just before they were learned, by class.
    """

    name: str = "anomaly"
    version: Total
    features: tuple[str, ...]
    means: tuple[Number, ...]
    variances: tuple[Spread, ...]
    ranks: tuple[Weight, ...]
    forest: Forest

    def score(self, values: Sequence[float]) -> float | None:
        """The trees' score of ``values`` in feature order, 0 to 1; None before a whole window was learned."""
        if self.version < self.forest.window:
            return None
        return self.forest.score(mapped(linear.squashed(values), self.means, variances=self.variances))

    def unusual(self, values: Sequence[float]) -> float | None:
        """The share of the learned vectors that were less unusual, 0 to 1; None before a whole window was learned.

        0.999 means more unusual than 99.9 % of them. It takes a thousand ranked vectors before anything is that.
        """
        score = self.score(values)
        if score is None:
            return None
        return sum(self.ranks[: class_of(score)]) / (sum(self.ranks) + 1.0)


def class_of(score: float) -> int:
    """The class of a score, 0 to ``CLASSES`` - 1."""
    return max(0, min(CLASSES - 1, int(score * CLASSES)))


def mapped(squashed: Sequence[float], means: Sequence[float], *, variances: Sequence[float]) -> list[float]:
    """Squashed values as 0..1: five standard deviations to either side; 0.5 where nothing has varied yet."""
    return [
        (linear.standardise(value, mean=mean, variance=variance) + linear.CLIP) / (2 * linear.CLIP)
        for value, mean, variance in zip(squashed, means, variances, strict=True)
    ]


def check(model: AnomalyModel) -> None:
    """Refuse numbers that no learner can have come to.

    Raises:
        ValueError: says what is wrong.
    """
    width, forest = len(model.features), model.forest
    inner, nodes = forest.trees * ((1 << forest.height) - 1), forest.trees * ((2 << forest.height) - 1)
    problems = (
        (len(model.means) != width or len(model.variances) != width, "its lists are of unequal length"),
        (len(set(model.features)) != width, "it names a feature twice"),
        (len(model.ranks) != CLASSES, f"it has other than {CLASSES} classes of ranks"),
        (len(forest.splits) != inner or len(forest.thresholds) != inner, "its trees have too few or too many splits"),
        (len(forest.masses) != nodes or len(forest.gathered) != nodes, "its trees have too few or too many masses"),
        (any(place >= width for place in forest.splits), "its trees split a feature that it does not have"),
    )
    for is_wrong, problem in problems:
        if is_wrong:
            raise ValueError(problem)
    learned, window = model.version, forest.window
    if not _adds_up(forest, forest.masses, root=window if learned >= window else 0):
        msg = "the masses of its trees do not add up to a window"
        raise ValueError(msg)
    if not _adds_up(forest, forest.gathered, root=learned % window):
        msg = "what its trees have gathered does not add up to the vectors learned"
        raise ValueError(msg)


def _adds_up(forest: Forest, masses: Sequence[int], *, root: int) -> bool:
    """Whether every tree has seen ``root`` vectors, and every inner node as many as its children together."""
    inner, nodes = (1 << forest.height) - 1, (2 << forest.height) - 1
    for first in range(0, len(masses), nodes):
        tree = masses[first : first + nodes]
        if tree[0] != root or any(tree[node] != tree[2 * node + 1] + tree[2 * node + 2] for node in range(inner)):
            return False
    return True
