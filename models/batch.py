"""Boosted trees refitted on the whole history (LightGBM), exported as plain trees.

In go raw feature values and matured labels, out comes what the newest fit says. A fit is due whenever
the examples have grown by a twentieth, so when it is due follows from the examples alone: equal
examples in equal order give equal trees. LightGBM is an optional extra, looked for when it is used.
"""

import importlib
import importlib.util
from array import array
from collections.abc import Mapping, Sequence
from math import log
from types import MappingProxyType
from typing import Any, ClassVar

import msgspec
import numpy as np

from needstream.models.calibration import IDENTITY, Calibration
from needstream.models.logistic import check_weight
from needstream.models.trees import LARGEST_VALUE, Planter, TreesModel, within_bounds

PARAMETERS: Mapping[str, object] = MappingProxyType(
    {
        "objective": "binary",
        "num_leaves": 15,
        "learning_rate": 0.05,
        "min_data_in_leaf": 20,
        "use_missing": False,
        # Equal examples give equal trees only on one thread.
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": 7,
        "verbosity": -1,
    }
)
ROUNDS = 100

FIRST = 200
"""Examples before the first fit, and a twentieth of it of each class."""
GROWTH = 20
"""A fit is due when this part of the examples has come since the last one ..."""
WAITS = (50, 10_000)
"""... held within this many examples: a learner publishes no more often, and a history is kept for no longer."""

MEMORY = 200_000
"""The newest examples that a fit sees; with 35 features 28 MB, and as much again while fitting."""

EXPECTED_RATE = 0.05
"""The share of positives that is said before the first fit."""

_BASE = log(EXPECTED_RATE / (1 - EXPECTED_RATE))


def is_available() -> bool:
    """Whether LightGBM is installed (``pip install needstream[batch]``)."""
    return importlib.util.find_spec("lightgbm") is not None


class BatchContestant:
    """Boosted trees over a fixed, ordered list of features and the history they are fitted on.

    Mutable and not thread-safe: one writer owns each. The history is no part of the export, so there is
    no ``restore``: it is built anew and ``recall`` brings the examples back. A fit that is due is made
    when something is asked, so bringing back a history costs one fit. Values are kept in single
    precision, which is all that examples carry.
    """

    kind: ClassVar[str] = "batch"

    def __init__(self, name: str, features: Sequence[str]) -> None:
        self.name = name
        self.features = tuple(features)
        self.examples = 0
        self.positives = 0
        self._rows, self._labels, self._weights = array("f"), array("b"), array("f")
        self._due = self._fitted = 0
        self._trees = TreesModel(name=name, version=0, positives=0, features=self.features, combine="sum", base=_BASE)

    def logit(self, values: Sequence[float]) -> float:
        """The raw logit for ``values`` in feature order, by the newest fit that was due.

        Raises:
            ValueError: not one value per feature.
        """
        return self._newest().logit(values)

    def learn(self, values: Sequence[float], label: bool, *, weight: float = 1.0) -> None:
        """Take one matured example into the history.

        Args:
            values: one per feature, in their order.
            label: what became true.
            weight: as how many examples it counts, 0 to 100.

        Raises:
            ValueError: not one value per feature, or no such weight; nothing was learned then.
        """
        if len(values) != len(self.features):
            msg = f"{len(values)} values for the {len(self.features)} features of model {self.name!r}"
            raise ValueError(msg)
        check_weight(weight)
        self._rows.extend(within_bounds(values))
        self._labels.append(bool(label))
        self._weights.append(weight)
        self.examples += 1
        self.positives += bool(label)
        if self._is_due():
            self._due = self.examples
            self._forget()

    def recall(self, values: Sequence[float], label: bool) -> None:
        """Take an example that was learned before a restart back into the history, oldest first."""
        self.learn(values, label)

    def export(self, *, calibrated: Calibration = IDENTITY) -> TreesModel:
        """The trees of the newest fit that was due, with the calibration that goes with them."""
        return msgspec.structs.replace(
            self._newest(),
            version=self.examples,
            positives=self.positives,
            calibration=calibrated,
        )

    def _is_due(self) -> bool:
        if self._due:
            return self.examples >= self._due + max(WAITS[0], min(WAITS[1], self._due // GROWTH))
        return self.examples >= FIRST and min(self.positives, self.examples - self.positives) * GROWTH >= FIRST

    def _forget(self) -> None:
        """Drop what neither this fit nor a later one sees."""
        spare = len(self._labels) - MEMORY
        if spare > 0:
            del self._rows[: spare * len(self.features)], self._labels[:spare], self._weights[:spare]

    def _newest(self) -> TreesModel:
        if self._fitted != self._due:
            self._trees = self._fit()
            self._fitted = self._due
        return self._trees

    def _fit(self) -> TreesModel:
        lightgbm = importlib.import_module("lightgbm")
        # Examples that came since the fit was due belong to the next one.
        count = len(self._labels) - (self.examples - self._due)
        rows = np.array(self._rows, dtype=np.float32).reshape(len(self._labels), len(self.features))[:count]
        labels = np.array(self._labels[:count], dtype=np.float32)
        weights = np.array(self._weights[:count], dtype=np.float32)
        seen = lightgbm.Dataset(rows, label=labels, weight=None if (weights == 1.0).all() else weights)
        booster = lightgbm.train(dict(PARAMETERS), seen, num_boost_round=ROUNDS)
        planter = Planter()
        for tree in booster.dump_model()["tree_info"]:
            planter.begin_tree(1.0)
            _plant(planter, tree["tree_structure"])
        return planter.into(msgspec.structs.replace(self._trees, base=0.0))


def _plant(planter: Planter, node: Mapping[str, Any]) -> int:
    """Write ``node`` and what is below it; returns its place."""
    if "split_feature" not in node:
        return planter.answer(float(node["leaf_value"]))
    threshold = max(-LARGEST_VALUE, min(LARGEST_VALUE, float(node["threshold"])))
    place = planter.ask(int(node["split_feature"]), threshold)
    left = _plant(planter, node["left_child"])
    planter.join(place, left=left, right=_plant(planter, node["right_child"]))
    return place
