"""An adaptive random forest (River), exported as plain trees.

In go raw feature values and matured labels, out comes what River's ``ARFClassifier`` says of their
signed logarithms: its splits are tried at even distances, which heavy tails would waste, and one NaN
or 1e300 would break its trees. Equal examples in equal order give equal forests.
"""

from collections.abc import Sequence
from math import copysign, expm1, inf, log, nextafter
from typing import ClassVar

from river import forest
from river.tree import HoeffdingTreeClassifier
from river.tree.base import Branch, Leaf
from river.tree.nodes.branch import NumericBinaryBranch
from river.tree.nodes.leaf import HTLeaf

from needstream.models import linear
from needstream.models.calibration import IDENTITY, Calibration
from needstream.models.logistic import check_weight
from needstream.models.trees import LARGEST_VALUE, Planter, TreesModel, logit_of

TREES = 10
SEED = 7

MAX_LEAVES = 128
"""A tree that has as many grows no further, which bounds memory and export; a drift still replaces it."""

EXPECTED_RATE = 0.05
"""The share of positives an unlearned forest says."""

_BASE = log(EXPECTED_RATE / (1 - EXPECTED_RATE))


class ForestContestant:
    """A forest over a fixed, ordered list of features.

    Mutable and not thread-safe: one writer owns each. River's trees hold far more than their export,
    so there is no ``restore``: a forest is built anew and ``recall`` learns the examples again.
    """

    kind: ClassVar[str] = "forest"

    def __init__(self, name: str, features: Sequence[str]) -> None:
        self.name = name
        self.features = tuple(features)
        self.examples = 0
        self.positives = 0
        self._owed = {False: 0.0, True: 0.0}
        self._forest = forest.ARFClassifier(n_models=TREES, leaf_prediction="mc", seed=SEED)

    def logit(self, values: Sequence[float]) -> float:
        """The raw logit for ``values`` in feature order.

        Raises:
            ValueError: not one value per feature.
        """
        row = self._row(values)
        # Asking an unlearned forest would already fix its trees.
        shares = self._forest.predict_proba_one(row) if len(self._forest) else {}
        if not any(shares.values()):
            return _BASE
        return logit_of(shares.get(True, 0.0))

    def learn(self, values: Sequence[float], label: bool, *, weight: float = 1.0) -> None:
        """Learn one matured example.

        River's forest takes no weights: an example is learned as often as its weight says, and what is
        left over counts for the next one of its label.

        Args:
            values: one per feature, in their order.
            label: what became true.
            weight: as how many examples it counts, 0 to 100.

        Raises:
            ValueError: not one value per feature, or no such weight; nothing was learned then.
        """
        row, truth = self._row(values), bool(label)
        check_weight(weight)
        self.examples += 1
        self.positives += truth
        self._owed[truth] += weight
        while self._owed[truth] >= 1.0:
            self._owed[truth] -= 1.0
            self._forest.learn_one(row, truth)
        for tree in (*self._forest, *self._forest._background):
            if tree is not None and tree._growth_allowed and _leaves(tree) >= MAX_LEAVES:
                # What only serves to find splits is let go.
                tree._growth_allowed = False
                tree._deactivate_all_leaves()

    def recall(self, values: Sequence[float], label: bool) -> None:
        """Learn an example again that was learned before a restart, oldest first."""
        self.learn(values, label)

    def export(self, *, calibrated: Calibration = IDENTITY) -> TreesModel:
        """The trees as they stand, as numbers, with the calibration that goes with them."""
        planter = Planter()
        # Before the first example there are no trees yet.
        for tree, accuracy in zip(self._forest, self._forest._metrics, strict=False):
            if tree._root is not None:
                # River lets a tree that was never right count in full.
                planter.begin_tree(accuracy.get() or 1.0)
                _plant(planter, tree._root)
        unplanted = TreesModel(
            name=self.name,
            version=self.examples,
            positives=self.positives,
            features=self.features,
            calibration=calibrated,
            combine="mean",
            base=_BASE,
        )
        return planter.into(unplanted)

    def _row(self, values: Sequence[float]) -> dict[int, float]:
        if len(values) != len(self.features):
            msg = f"{len(values)} values for the {len(self.features)} features of model {self.name!r}"
            raise ValueError(msg)
        return dict(enumerate(linear.squashed(values)))


def _leaves(tree: HoeffdingTreeClassifier) -> int:
    return int(tree.n_active_leaves + tree.n_inactive_leaves)


def _plant(planter: Planter, node: Branch | Leaf) -> int:
    """Write ``node`` and what is below it; returns its place."""
    if isinstance(node, NumericBinaryBranch):
        place = planter.ask(node.feature, raw_threshold(node.threshold))
        left, right = (_plant(planter, child) for child in node.children)
        planter.join(place, left=left, right=right)
        return place
    if not isinstance(node, HTLeaf):
        msg = f"a forest over numbers has no node of type {type(node).__name__}"
        raise TypeError(msg)
    total = sum(node.stats.values())
    return planter.answer(max(0.0, min(1.0, node.stats.get(True, 0.0) / total)) if total else None)


def raw_threshold(threshold: float) -> float:
    """The largest raw value whose signed logarithm is at most ``threshold``, to the last bit."""
    guess = copysign(expm1(abs(threshold)), threshold)
    raw = max(-LARGEST_VALUE, min(LARGEST_VALUE, guess))
    while raw > -LARGEST_VALUE and linear.squash(raw) > threshold:
        raw = nextafter(raw, -inf)
    while raw < LARGEST_VALUE and linear.squash(following := nextafter(raw, inf)) <= threshold:
        raw = following
    return raw
