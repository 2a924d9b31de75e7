"""Rivals from outside, for which the ``bench`` extra is needed: LightGBM retrained, Vowpal Wabbit.

They get the same vectors at the same moments as the models of needstream. A rival whose package is not
there is named by ``missing`` and left out.
"""

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
from bench.quality.goals import BATCH
from bench.quality.harness import Said
from bench.quality.task import Question

from needstream.models import batch, linear, logistic

RETRAINED = 20
"""LightGBM is trained anew whenever another twentieth of the stream has matured."""

VOWPAL = "Vowpal Wabbit"
_PACKAGES = {BATCH: "lightgbm", VOWPAL: "vowpalwabbit"}


def missing() -> dict[str, str]:
    """The rivals that cannot run here, each with the package it lacks."""
    return {line: package for line, package in _PACKAGES.items() if importlib.util.find_spec(package) is None}


class LightGbm:
    """Trained from nothing on everything matured, each time another 5 % of the stream has come."""

    def __init__(self, stream: int) -> None:
        """For a stream of that many questions."""
        self._step = max(1, stream // RETRAINED)
        self._vectors: list[Sequence[float]] = []
        self._labels: list[bool] = []
        self._trees: list[Any] = []

    def say(self, values: Sequence[float]) -> Said:
        """The probability; the share of positives until there is a model."""
        if not self._trees:
            return {BATCH: (sum(self._labels) + 1) / (len(self._labels) + 2)}
        return {BATCH: logistic.sigmoid(sum(_leaf(tree, values) for tree in self._trees))}

    def learn(self, question: Question, *, said: Said) -> None:
        """Keep the example; train when it is time and both classes are there."""
        del said
        self._vectors.append(question.values)
        self._labels.append(question.label)
        if len(self._labels) % self._step == 0 and 0 < sum(self._labels) < len(self._labels):
            self._trees = _trained(np.array(self._vectors), np.array(self._labels, dtype=np.float64))


class VowpalWabbit:
    """``--coin`` with logistic loss, over the same signed logarithms that the pair sees."""

    def __init__(self, features: int) -> None:
        vowpalwabbit = importlib.import_module("vowpalwabbit")
        self._names = [f"f{place}" for place in range(features)]
        self._workspace = vowpalwabbit.Workspace(
            "--coin --loss_function logistic --link logistic --quiet --random_seed 7"
        )

    def say(self, values: Sequence[float]) -> Said:
        """The probability."""
        return {VOWPAL: float(self._workspace.predict(self._line(values)))}

    def learn(self, question: Question, *, said: Said) -> None:
        """One online step."""
        del said
        self._workspace.learn(f"{1 if question.label else -1} {self._line(question.values)}")

    def _line(self, values: Sequence[float]) -> str:
        squashed = zip(self._names, linear.squashed(values), strict=True)
        return "| " + " ".join(f"{name}:{value:.6g}" for name, value in squashed if value)


def _trained(vectors: Any, labels: Any) -> list[Any]:
    """The trees of a model, walked here: asking LightGBM for one vector costs ten times as much."""
    lightgbm = importlib.import_module("lightgbm")
    booster = lightgbm.train(dict(batch.PARAMETERS), lightgbm.Dataset(vectors, labels), num_boost_round=batch.ROUNDS)
    return [_nested(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"]]


def _nested(node: dict[str, Any]) -> Any:
    if "leaf_value" in node:
        return float(node["leaf_value"])
    return (
        int(node["split_feature"]),
        float(node["threshold"]),
        _nested(node["left_child"]),
        _nested(node["right_child"]),
    )


def _leaf(node: Any, values: Sequence[float]) -> float:
    while type(node) is tuple:
        node = node[2] if values[node[0]] <= node[1] else node[3]
    return float(node)
