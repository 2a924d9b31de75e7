"""Learned trees as plain numbers: every node of every tree in flat lists, whichever library grew them.

In go raw feature values, out comes a raw logit: of the mean of the trees' probabilities (a forest) or
of the sum of their values (boosting). A value that is not finite counts as 0 and a larger one than
1e12 as 1e12. What is decoded always ends, stays inside its lists and can be scored without overflow.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite, log
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from needstream.models import learned
from needstream.models.learned import LARGEST, Learned, Number

LARGEST_VALUE = 1e12
"""The largest value told apart, as in ``linear.squash``."""

MAX_NODES = 10_000
"""More nodes than any forest or boosting of ours has, and few enough for a topic's message."""
MAX_TREES = 1_000

MAX_BYTES = 1_000_000
"""What a model may be as text."""

CERTAIN = 1e-10
"""How close the probability of a forest comes to 0 and to 1."""

LEAF = -1
"""In place of the feature of a node that says its value."""
SILENT = -2
"""In place of the feature of a leaf that has seen nothing: its tree has no part in a mean."""

Place = Annotated[int, Meta(ge=0, lt=MAX_NODES)]
Threshold = Annotated[float, Meta(ge=-LARGEST_VALUE, le=LARGEST_VALUE)]
TreeWeight = Annotated[float, Meta(ge=0, le=LARGEST)]


class TreesModel(Learned, frozen=True, kw_only=True, tag="trees"):
    """One model's trees, one entry per node in ``feature``, ``threshold``, ``left``, ``right`` and ``value``.

    A node of a tree either asks whether the value at place ``feature`` is at most ``threshold``, and
    goes on at ``left`` or else at ``right``, or is a leaf (``feature`` is ``LEAF``) that says
    ``value``, or a ``SILENT`` one. Children stand behind their parent and inside its tree. ``starts`` are the roots in
    ascending order, ``tree_weights`` what each tree counts. With ``combine`` "mean" the values are
    probabilities and the logit is that of their weighed mean; with "sum" it is ``base`` and the
    weighed sum of the values. Where no tree says anything, it is ``base``.
    """

    kind: ClassVar[Literal["trees"]] = "trees"
    combine: Literal["mean", "sum"]
    base: Number
    starts: tuple[Place, ...] = ()
    tree_weights: tuple[TreeWeight, ...] = ()
    feature: tuple[Annotated[int, Meta(ge=SILENT)], ...] = ()
    threshold: tuple[Threshold, ...] = ()
    left: tuple[Place, ...] = ()
    right: tuple[Place, ...] = ()
    value: tuple[Number, ...] = ()

    def logit(self, values: Sequence[float]) -> float:
        """The raw logit for ``values`` in feature order.

        Raises:
            ValueError: not one value per feature.
        """
        if len(values) != len(self.features):
            msg = f"{len(values)} values for the {len(self.features)} features of model {self.name!r}"
            raise ValueError(msg)
        bounded = within_bounds(values)
        feature, threshold, left, right, value = self.feature, self.threshold, self.left, self.right, self.value
        total, counted = 0.0, 0.0
        for start, weight in zip(self.starts, self.tree_weights, strict=True):
            node = start
            while (asked := feature[node]) >= 0:
                node = left[node] if bounded[asked] <= threshold[node] else right[node]
            if asked == LEAF:
                total += weight * value[node]
                counted += weight
        if self.combine == "sum":
            return self.base + total
        return logit_of(total / counted) if counted > 0.0 else self.base


class Planter:
    """Writes trees down as flat lists, one behind the other, every parent before its children."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._tree_weights: list[float] = []
        self._feature: list[int] = []
        self._threshold: list[float] = []
        self._left: list[int] = []
        self._right: list[int] = []
        self._value: list[float] = []

    def begin_tree(self, weight: float) -> None:
        """The next node is the root of a tree that counts ``weight``."""
        self._starts.append(len(self._feature))
        self._tree_weights.append(weight)

    def ask(self, feature: int, threshold: float) -> int:
        """Write a node that asks, whose children are still to come; returns its place."""
        return self._append(feature, threshold=threshold)

    def answer(self, value: float | None) -> int:
        """Write a leaf, a silent one for None; returns its place."""
        return self._append(SILENT) if value is None else self._append(LEAF, value=value)

    def join(self, place: int, *, left: int, right: int) -> None:
        """Put two nodes below the one at ``place``."""
        self._left[place], self._right[place] = left, right

    def into(self, model: TreesModel) -> TreesModel:
        """``model`` with these trees."""
        return msgspec.structs.replace(
            model,
            starts=tuple(self._starts),
            tree_weights=tuple(self._tree_weights),
            feature=tuple(self._feature),
            threshold=tuple(self._threshold),
            left=tuple(self._left),
            right=tuple(self._right),
            value=tuple(self._value),
        )

    def _append(self, feature: int, *, threshold: float = 0.0, value: float = 0.0) -> int:
        self._feature.append(feature)
        self._threshold.append(threshold)
        self._left.append(0)
        self._right.append(0)
        self._value.append(value)
        return len(self._feature) - 1


def within_bounds(values: Sequence[float]) -> list[float]:
    """Every value as a tree may see it."""
    return [
        value if -LARGEST_VALUE <= value <= LARGEST_VALUE else _bounded(value) if isfinite(value) else 0.0
        for value in values
    ]


def logit_of(probability: float) -> float:
    """The logit of a probability, which is held ``CERTAIN`` away from 0 and 1."""
    held = max(CERTAIN, min(1.0 - CERTAIN, probability))
    return log(held / (1.0 - held))


def _bounded(value: float) -> float:
    return LARGEST_VALUE if value > 0 else -LARGEST_VALUE


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(TreesModel)


def encode(model: TreesModel) -> bytes:
    """JSON text of the numbers; equal models give equal bytes."""
    return _ENCODER.encode(model)


def decode(body: bytes) -> TreesModel:
    """The trees in ``body``.

    Raises:
        ValueError: another kind of model, no model, or numbers that no trees can have.
    """
    if len(body) > MAX_BYTES:
        msg = f"it has {len(body)} bytes, trees have at most {MAX_BYTES}"
        raise ValueError(msg)
    model = _DECODER.decode(body)
    check(model)
    return model


def check(model: TreesModel) -> None:
    """See that ``model`` can be scored: every walk ends at a leaf of its tree.

    Raises:
        ValueError: says what no trees can be.
    """
    learned.check(model)
    nodes, starts = len(model.feature), model.starts
    if any(len(column) != nodes for column in (model.threshold, model.left, model.right, model.value)):
        msg = "its lists are of unequal length"
        raise ValueError(msg)
    if len(model.tree_weights) != len(starts):
        msg = "it has not one weight per tree"
        raise ValueError(msg)
    if nodes > MAX_NODES or len(starts) > MAX_TREES:
        msg = f"it has {nodes} nodes in {len(starts)} trees, at most {MAX_NODES} in {MAX_TREES} are read"
        raise ValueError(msg)
    if starts[:1] != (0,)[:nodes] or any(later <= earlier for earlier, later in pairwise(starts)):
        msg = "its trees do not stand one behind the other"
        raise ValueError(msg)
    for start, end in pairwise((*starts, nodes)):
        _check_tree(model, range(start, end))


def _check_tree(model: TreesModel, nodes: range) -> None:
    if not nodes:
        msg = "a tree has no nodes"
        raise ValueError(msg)
    for node in nodes:
        asked = model.feature[node]
        if asked >= len(model.features):
            msg = f"a node asks for feature {asked} of {len(model.features)}"
            raise ValueError(msg)
        if asked < 0:
            if model.combine == "mean" and not 0.0 <= model.value[node] <= 1.0:
                msg = f"a leaf says the probability {model.value[node]}"
                raise ValueError(msg)
        elif not all(node < child < nodes.stop for child in (model.left[node], model.right[node])):
            msg = "a child does not stand behind its parent in its tree"
            raise ValueError(msg)
