"""How unusual a feature vector is among all: half-space trees, and the rank of their score.

Inputs: feature vectors in the pack's order, learned one by one; output: plain numbers that score, rank and go on
learning without any pickled code. The trees are River's ``HalfSpaceTrees`` (Tan, Ting and Liu, 2011) with thresholds
rounded to four places, so that a body stays small. Their score tells the vectors of one window apart, but moves from
window to window; the rank, the share of the learned vectors that scored lower, has the same meaning at any time.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from river import anomaly
from river.tree.padded import PaddedBranch

from needstream.models import linear
from needstream.models.anomaly_model import CLASSES, UNJUDGED, AnomalyModel, Forest, class_of, mapped

Node = Any
"""A branch or leaf of River's; it does not declare their masses."""

TREES = 25
HEIGHT = 7
WINDOW = 500
"""Vectors that are learned before the trees are judged by them."""

HALF_LIFE = 20_000
"""Learned vectors after which one counts half in the ranks."""

MEMORY = 20_000
"""Learned vectors after which the means and variances no longer rest on all alike, but on about the newest so many."""

_SEED = 7
_DECIMALS = 4
_KEPT = 0.5 ** (WINDOW / HALF_LIFE)


class AnomalyLearner:
    """Learns which feature vectors occur; the same vectors in the same order give the same model.

    The feature ``unusual`` is not looked at: it is what this model said last time.
    """

    def __init__(self, features: Sequence[str]) -> None:
        self.features = tuple(features)
        self.examples = 0
        self._judged = [place for place, name in enumerate(self.features) if name != UNJUDGED] or [0]
        self._means = [0.0] * len(self.features)
        self._variances = [0.0] * len(self.features)
        self._ranks = [0.0] * CLASSES
        self._trees = _planted(self._judged)
        self._nodes = [node for tree in self._trees.trees for node in _level_by_level(tree)]
        inner = [node for node in self._nodes if isinstance(node, PaddedBranch)]
        self._splits = tuple(node.feature for node in inner)
        self._thresholds = tuple(node.threshold for node in inner)

    def learn(self, values: Sequence[float]) -> None:
        """Learn one vector in feature order; every prediction's vector once, however many models it was made for."""
        squashed = linear.squashed(values)
        if self.examples >= WINDOW:
            score = self._trees.score_one(self._mapped(squashed))
            self._ranks[class_of(float(score))] += 1.0
        self.examples += 1
        gain = 1.0 / min(self.examples, MEMORY)
        for place, value in enumerate(squashed):
            excess = value - self._means[place]
            self._means[place] += gain * excess
            self._variances[place] = (1.0 - gain) * (self._variances[place] + gain * excess * excess)
        self._trees.learn_one(self._mapped(squashed))
        if self.examples % WINDOW == 0:
            self._ranks = [kept * _KEPT for kept in self._ranks]

    def export(self) -> AnomalyModel:
        """The model as it stands, as numbers."""
        return AnomalyModel(
            version=self.examples,
            features=self.features,
            means=tuple(self._means),
            variances=tuple(self._variances),
            ranks=tuple(self._ranks),
            forest=Forest(
                trees=TREES,
                height=HEIGHT,
                window=WINDOW,
                splits=self._splits,
                thresholds=self._thresholds,
                masses=tuple([node.r_mass for node in self._nodes]),
                gathered=tuple([node.l_mass for node in self._nodes]),
            ),
        )

    @classmethod
    def restore(cls, exported: AnomalyModel) -> "AnomalyLearner":
        """A learner that goes on exactly where ``exported`` (checked) stood.

        Where this program plants other trees than the one that wrote it, what they have seen means nothing: it begins
        anew.
        """
        learner = cls(exported.features)
        forest, fresh = exported.forest, learner.export().forest
        same = msgspec.structs.replace(forest, masses=fresh.masses, gathered=fresh.gathered) == fresh
        if not same:
            return learner
        learner.examples = exported.version
        learner._means, learner._variances = [*exported.means], [*exported.variances]
        learner._ranks = [*exported.ranks]
        for node, mass, gathered in zip(learner._nodes, forest.masses, forest.gathered, strict=True):
            node.r_mass, node.l_mass = mass, gathered
        learner._trees.counter = exported.version % WINDOW
        learner._trees._first_window = exported.version < WINDOW
        return learner

    def _mapped(self, squashed: Sequence[float]) -> dict[int, float]:
        """The values the trees look at, by place."""
        everything = mapped(squashed, self._means, variances=self._variances)
        return {place: everything[place] for place in self._judged}


def _planted(judged: Sequence[int]) -> anomaly.HalfSpaceTrees:
    """Trees that have seen nothing, their thresholds rounded."""
    planted = anomaly.HalfSpaceTrees(n_trees=TREES, height=HEIGHT, window_size=WINDOW, seed=_SEED)
    planted.learn_one(dict.fromkeys(judged, 0.5))  # River plants its trees at the first vector.
    planted.counter = 0
    for tree in planted.trees:
        for node in _level_by_level(tree):
            node.l_mass = 0
            if isinstance(node, PaddedBranch):
                node.threshold = round(node.threshold, _DECIMALS)
    return planted


def _level_by_level(root: Node) -> Iterator[Node]:
    """The nodes of a full tree in the order of ``Forest``."""
    level = [root]
    while level:
        yield from level
        level = [child for node in level if isinstance(node, PaddedBranch) for child in node.children]
