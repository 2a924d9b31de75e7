"""Rivals from outside, for which the ``bench`` extra is needed: LightGBM retrained, Vowpal Wabbit.

They get the same vectors at the same moments as the models of needstream. A rival whose package is not
there is named by ``missing`` and left out.
"""

import importlib
import importlib.util
from collections import deque
from collections.abc import Mapping, Sequence
from math import log
from types import MappingProxyType
from typing import Any

import numpy as np
from bench.quality.goals import BATCH, CALIBRATED, SMALL_TREES
from bench.quality.harness import Contender, Said
from bench.quality.task import Question

from needstream.models import batch, linear, logistic
from needstream.models.calibration import HALF_LIFE, Calibrator
from needstream.models.track import AWAITED_TIMES

RETRAINED = 20
"""LightGBM is trained anew whenever another twentieth of the stream has matured."""
WINDOW = 5
"""The windowed LightGBM sees as many of the newest examples as a fifth of the stream."""
SMALL: Mapping[str, object] = MappingProxyType({"num_leaves": 4, "min_data_in_leaf": 50})
SMALL_ROUNDS = 40
_LEAST = 1e-5
"""The smallest probability that is calibrated, as in a track."""

VOWPAL = "Vowpal Wabbit"
_PACKAGES = {BATCH: "lightgbm", VOWPAL: "vowpalwabbit"}


def missing() -> dict[str, str]:
    """The rivals that cannot run here, each with the package it lacks."""
    return {line: package for line, package in _PACKAGES.items() if importlib.util.find_spec(package) is None}


class LightGbm:
    """Trained from nothing on what has matured, each time another 5 % of the stream has come."""

    def __init__(
        self,
        stream: int,
        line: str = BATCH,
        *,
        newest: int | None = None,
        parameters: Mapping[str, object] = MappingProxyType({}),
        rounds: int = batch.ROUNDS,
    ) -> None:
        """For a stream of that many questions; on the ``newest`` examples only, or on all (None)."""
        self._step = max(1, stream // RETRAINED)
        self._line = line
        self._parameters, self._rounds = {**batch.PARAMETERS, **parameters}, rounds
        self._vectors: deque[Sequence[float]] = deque(maxlen=newest)
        self._labels: deque[bool] = deque(maxlen=newest)
        self._learned = 0
        self._trees: list[Any] = []

    def say(self, values: Sequence[float]) -> Said:
        """The probability; the share of positives until there is a model."""
        if not self._trees:
            return Said({self._line: (sum(self._labels) + 1) / (len(self._labels) + 2)})
        return Said({self._line: logistic.sigmoid(sum(_leaf(tree, values) for tree in self._trees))})

    def learn(self, question: Question, *, said: Said) -> None:
        """Keep the example; train when it is time and both classes are there."""
        del said
        self._vectors.append(question.values)
        self._labels.append(question.label)
        self._learned += 1
        if self._learned % self._step == 0 and 0 < sum(self._labels) < len(self._labels):
            vectors, labels = np.array(self._vectors), np.array(self._labels, dtype=np.float64)
            self._trees = _trained(vectors, labels, parameters=self._parameters, rounds=self._rounds)


class CalibratedToo:
    """LightGBM, and the same trees behind a calibration like that of the served score, learned from what was said."""

    def __init__(self, trees: LightGbm) -> None:
        self._trees, self._calibrator = trees, Calibrator()
        self._labels, self._first = 0, 0.0

    def say(self, values: Sequence[float]) -> Said:
        """The probability of the trees, and what the calibration makes of it."""
        said = self._trees.say(values).lines
        calibrated = self._calibrator.export().logit(_logit(said[BATCH]))
        return Said({**said, CALIBRATED: logistic.sigmoid(calibrated)})

    def learn(self, question: Question, *, said: Said) -> None:
        """Let both learn; the calibration forgets as slowly as that of a track does."""
        self._trees.learn(question, said=said)
        self._first = self._first if self._labels else question.due
        self._labels += 1
        known = question.due - self._first
        awaited = self._labels * (question.due - question.at) / known if known > 0 else 0.0
        half_life = max(HALF_LIFE, AWAITED_TIMES * awaited)
        self._calibrator.learn(_logit(said.lines[BATCH]), question.label, half_life=half_life)


def all_of(stream: int) -> list[Contender]:
    """The LightGBMs of a task of that many questions."""
    small = LightGbm(stream, SMALL_TREES, parameters=SMALL, rounds=SMALL_ROUNDS)
    return [CalibratedToo(LightGbm(stream)), small]


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
        return Said({VOWPAL: float(self._workspace.predict(self._line(values)))})

    def learn(self, question: Question, *, said: Said) -> None:
        """One online step."""
        del said
        self._workspace.learn(f"{1 if question.label else -1} {self._line(question.values)}")

    def _line(self, values: Sequence[float]) -> str:
        squashed = zip(self._names, linear.squashed(values), strict=True)
        return "| " + " ".join(f"{name}:{value:.6g}" for name, value in squashed if value)


def _trained(vectors: Any, labels: Any, *, parameters: dict[str, object], rounds: int) -> list[Any]:
    """The trees of a model, walked here: asking LightGBM for one vector costs ten times as much."""
    lightgbm = importlib.import_module("lightgbm")
    booster = lightgbm.train(parameters, lightgbm.Dataset(vectors, labels), num_boost_round=rounds)
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


def _logit(share: float) -> float:
    bounded = min(1.0 - _LEAST, max(_LEAST, share))
    return log(bounded / (1.0 - bounded))
