"""Why trees say what they say: each question on the way adds what it changed, to the feature it asked.

In go trees and one feature vector, out come an intercept and an addend per feature that sum to the raw logit (path
contributions; Saabas, 2014). Before a question a tree expects the mean of its answers; trees carry no counts, so each
answer is taken to be as likely as the other. Where trees are summed the addends are exact on the logit. Where their
probabilities are averaged they are exact on the probability, and all scaled by one factor to the logit: shares and
signs are those of the probability, the sizes depend on where on the curve it lies.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import fsum

from needstream.models.trees import LEAF, TreesModel, logit_of, within_bounds


def addends(model: TreesModel, values: Sequence[float]) -> tuple[float, list[float]]:
    """The intercept and what each feature adds to the raw logit, in feature order.

    Raises:
        ValueError: not one value per feature.
    """
    raw = model.logit(values)
    if not model.starts:
        return raw, [0.0] * len(model.features)
    expected = _expected(model)
    bounded = within_bounds(values)
    changes: list[list[float]] = [[] for _ in model.features]
    begun: list[float] = []
    counted = 0.0
    for start, weight in zip(model.starts, model.tree_weights, strict=True):
        path = _path(model, start, bounded=bounded)
        if model.feature[path[-1]] != LEAF:
            continue
        counted += weight
        begun.append(weight * expected[start])
        for node, child in pairwise(path):
            changes[model.feature[node]].append(weight * (expected[child] - expected[node]))
    added = [fsum(steps) for steps in changes]
    if model.combine == "mean" and counted > 0.0:
        added = _on_the_logit([each / counted for each in added], fsum(begun) / counted)
    return raw - fsum(added), added


def _on_the_logit(added: list[float], begun: float) -> list[float]:
    """Changes of a probability that begins at ``begun``, as changes of its logit."""
    change = fsum(added)
    if not change:
        factor = 1.0 / max(begun * (1.0 - begun), 1e-9)
    else:
        factor = (logit_of(begun + change) - logit_of(begun)) / change
    return [each * factor for each in added]


def _path(model: TreesModel, start: int, *, bounded: Sequence[float]) -> list[int]:
    path = [start]
    while (asked := model.feature[path[-1]]) >= 0:
        node = path[-1]
        path.append(model.left[node] if bounded[asked] <= model.threshold[node] else model.right[node])
    return path


def _expected(model: TreesModel) -> list[float]:
    """What is expected at each node; a silent leaf has no part in it, and below a node of silent ones it is 0."""
    feature, lefts, rights = model.feature, model.left, model.right
    expected = list(model.value)
    speaks = [asked == LEAF for asked in feature]
    # Children stand behind their parent.
    for node in range(len(expected) - 1, -1, -1):
        if feature[node] < 0:
            continue
        left, right = lefts[node], rights[node]
        speaks[node] = speaks[left] or speaks[right]
        if speaks[left] and speaks[right]:
            expected[node] = (expected[left] + expected[right]) / 2
        else:
            expected[node] = expected[left] if speaks[left] else expected[right]
    return expected
