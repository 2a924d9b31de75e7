"""What a model is compared with, asked at the same moments and told each label as late.

In go arrays in order of asking: features, labels, when each was asked and when its label could be known. Out comes one
score per example. Nothing is asked with a label that could not be known at that moment. LightGBM (Ke et al., 2017) and
Vowpal Wabbit are used when they are installed.
"""

import heapq
import importlib
import importlib.util
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from msgspec import Struct

from needstream.models import linear
from needstream.streams.evaluation.histories import Flags, Floats, History, Times

RETRAINED_EVERY = 0.05
"""Share of the stream between two trainings of the batch model."""
_ROUNDS = 100
_BATCH = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 20,
    "verbose": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 7,
}
_VOWPAL = "--loss_function logistic --link logistic --coin --quiet --random_seed 7"


class Questions(Struct, frozen=True, kw_only=True):
    """Examples in order of asking; ``known_ms`` is when the label of each may be used, never before it was asked."""

    values: Floats
    labels: Flags
    asked_ms: Times
    known_ms: Times

    def at_once(self) -> "Questions":
        """The same examples as if each label were known as soon as the score is given."""
        return Questions(values=self.values, labels=self.labels, asked_ms=self.asked_ms, known_ms=self.asked_ms)


def questions(history: History) -> Questions:
    """A history as questions."""
    return Questions(values=history.values, labels=history.labels, asked_ms=history.asked_ms, known_ms=history.known_ms)


def in_turn(asked: Questions) -> Iterator[tuple[int, list[int]]]:
    """Each example in order of asking, with those whose labels have become known since the last one."""
    pending: list[tuple[int, int]] = []
    known_ms = asked.known_ms.tolist()
    for place, at_ms in enumerate(asked.asked_ms.tolist()):
        told = []
        while pending and pending[0][0] <= at_ms:
            told.append(heapq.heappop(pending)[1])
        yield place, told
        heapq.heappush(pending, (known_ms[place], place))


def no_learn(asked: Questions) -> Floats:
    """The share of positives among the labels known so far."""
    said = np.empty(asked.labels.size)
    positives = known = 0
    for place, told in in_turn(asked):
        known += len(told)
        positives += int(asked.labels[told].sum())
        said[place] = (positives + 1) / (known + 2)
    return said


def retrained(asked: Questions, *, every: float = RETRAINED_EVERY) -> Floats:
    """LightGBM trained anew on every label known so far, whenever that share of the stream has passed.

    Raises:
        ModuleNotFoundError: LightGBM is not installed.
    """
    lightgbm = importlib.import_module("lightgbm")
    said = no_learn(asked)
    blocks = round(1 / every)
    borders = [round(block * asked.labels.size / blocks) for block in range(blocks + 1)]
    for start, stop in itertools.pairwise(borders[1:]):
        if start == stop:
            continue
        known = np.flatnonzero(asked.known_ms[:start] <= asked.asked_ms[start])
        if len(set(asked.labels[known].tolist())) > 1:
            trained = lightgbm.train(_BATCH, lightgbm.Dataset(asked.values[known], asked.labels[known]), _ROUNDS)
            said[start:stop] = trained.predict(asked.values[start:stop])
    return said


def vowpal(asked: Questions) -> Floats:
    """Vowpal Wabbit, logistic with coin betting, one pass over the signed logarithms of the features.

    Raises:
        ModuleNotFoundError: Vowpal Wabbit is not installed.
    """
    workspace: Any = importlib.import_module("vowpalwabbit").Workspace(_VOWPAL)
    said = np.empty(asked.labels.size)
    written = [_written(values) for values in asked.values.tolist()]
    for place, told in in_turn(asked):
        for each in told:
            workspace.learn(f"{1 if asked.labels[each] else -1} {written[each]}")
        said[place] = workspace.predict(written[place])
    workspace.finish()
    return said


EXTERNAL: dict[str, tuple[str, Callable[[Questions], Floats]]] = {
    "LightGBM, retrained every 5 %": ("lightgbm", retrained),
    "Vowpal Wabbit": ("vowpalwabbit", vowpal),
}
"""Baselines that need a package of the extra ``bench``: name of the package, and what says the scores."""


def is_installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def recency(history: History) -> tuple[str, Floats] | None:
    """The feature that tells most plainly how recent the behaviour is, and the ranking it gives.

    For churn the days since the last activity; for a need the decayed count of interest in it, else the days since its
    own fact. None when the feature list has nothing of the kind.
    """
    away = [(f"days_since.{fact}", 1.0) for fact in history.facts]
    if "customer.activity" in history.facts:
        away.insert(0, ("idle_days", 1.0))
    away.append(("idle_days", 1.0))
    if history.shows:
        interest = [(f"count_{span}.interest.{history.model}", 1.0) for span in ("7d", "1d", "30d")]
        ranked = [*interest, *((name, -1.0) for name, _ in away)]
    else:
        ranked = away
    for name, sign in ranked:
        if name in history.features:
            return name, sign * history.values[:, history.features.index(name)]
    return None


def _written(values: list[float]) -> str:
    squashed = linear.squashed(values)
    return "|f " + " ".join(f"{place}:{value:.6g}" for place, value in enumerate(squashed) if value)
