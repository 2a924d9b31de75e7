"""Drift: whether a model's matured loss has risen, and whether what it is asked about has changed.

In go matured log losses; feature values and scores as predictions are made, before any label; and
matured scores to compare with. Out come a found rise, and population stability indices. Nothing
here changes what is served, and memory is bounded.
"""

from base64 import b64decode, b64encode
from binascii import Error
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from math import isfinite
from struct import Struct as Layout
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from river.drift import ADWIN

from needstream.models import linear
from needstream.models.pair_model import BUCKETS, MIDDLE, PairModel

LARGEST_LOSS = 3.0
"""Nats; losses count as at most this, and as a share of it, for ADWIN's bound is one for numbers from 0 to 1.

The lower, the sooner a rise is seen; what is lost is the difference between a miss and a worse miss (below 5 %).
"""

LONGEST_STATE = 10_000
"""Characters; a window of 2^40 losses needs 7,000."""

WINDOW = 2_000
"""The newest predictions, and the newest matured scores of each model, that are compared."""

FEWEST = 500
"""On either side, before an index is said: with fewer, chance alone comes near 0.1."""

TOLERANCE = 0.1
"""Deviations; a value so near to a border counts to the side that fits what was learned better.

The means moved while the pair learned. A count stands on few values, and one of them just beside a border went now to
one side, now to the other: without this it looks like a large change. A shift by so little has an index near 0.01.
"""

SCORE_BUCKETS = 33
"""Buckets of half a unit of the logit, from -8 to +8."""

_FARTHEST = (SCORE_BUCKETS - 1) / 4
_SCORE_MIDDLE = SCORE_BUCKETS // 2 + 1e-9

# What River's Rust writes of a window: settings; total, variance, width, sum of widths; buckets, most buckets, ticks,
# detections; then each row of buckets (room, used, totals, variances), small ones first; and the settings again.
_HEAD = Layout("<diQdd4d4iQ")
_ROW = Layout("<QQQ6dQ6d")
_TAIL = Layout("<diQii")
_SETTINGS = 5
_MOST_ROWS = 40

Counts = NDArray[np.float64]


class LossDriftFound(Struct, frozen=True, kw_only=True):
    """The loss rose: mean nats ``before`` and ``after``, the latter over the newest ``examples``."""

    before: float
    after: float
    examples: int


class LossDrift:
    """River's ADWIN (Bifet and Gavalda, 2007) over the matured log losses of one model.

    ADWIN drops only what differs beyond doubt, so that much from before the change is left: the
    figures are those of the split of all it held that explains most. A fall ends its window as a rise
    does, but is no drift worth a message.

    ``state`` is what ``export`` gave; the empty text, or one that is no window of this River's ADWIN,
    begins anew. No code is in it and none is run: each number is looked at before River sees any, as
    it would panic over a window that cannot be.
    """

    def __init__(self, state: str = "") -> None:
        self._window: Any = ADWIN()
        window = _unpacked(state)
        if window is not None and _is_window(window, like=self._window._helper.__getstate__()):
            self._window._helper.__setstate__(window)

    def observe(self, loss: float) -> LossDriftFound | None:
        """Take one log loss in nats, oldest first; no number is a no-op."""
        if not isfinite(loss):
            return None
        share = max(0.0, min(LARGEST_LOSS, loss)) / LARGEST_LOSS
        window = self._window
        total, width = window.total + share, window.width + 1
        window.update(share)
        if not window.drift_detected:
            return None
        dropped = (int(width - window.width), total - window.total)
        before, after, examples = _split([dropped, *_buckets(window._helper.__getstate__())])
        # As River does itself at the next update; so that the state is never one in between.
        self._window = ADWIN()
        if after <= before:
            return None
        return LossDriftFound(before=before * LARGEST_LOSS, after=after * LARGEST_LOSS, examples=examples)

    def export(self) -> str:
        """The window as text; a detector that begins with it goes on as if it had not stopped."""
        return b64encode(self._window._helper.__getstate__()).decode()


class InputDrift:
    """What one process predicts from, against what the models have learned from. In memory only.

    All figures are population stability indices, sum((p - q) * log(p / q)) over buckets with the shares p
    now and q then. By convention below 0.1 is no change worth a look, above 0.25 a large one. A seasonal
    change is one too: the index says that the input moved, not that the model became worse.
    """

    def __init__(self, features: Sequence[str]) -> None:
        self._features = {name: column for column, name in enumerate(features)}
        self._newest = np.zeros((WINDOW, len(features)))
        self._seen = 0
        self._made: dict[str, deque[float]] = {}
        self._matured: dict[str, deque[float]] = {}

    def observe(self, values: Sequence[float], scores: Mapping[str, float | None]) -> None:
        """Take one moment of prediction: values in feature order, scores by model; None is no score.

        Raises:
            ValueError: not one value per feature.
        """
        if len(values) != len(self._features):
            msg = f"{len(values)} values given for {len(self._features)} features"
            raise ValueError(msg)
        self._newest[self._seen % WINDOW] = values  # squashed when somebody asks, which is seldom
        self._seen += 1
        for model, score in scores.items():
            _take(self._made, model, score=score)

    def matured(self, model: str, score: float | None) -> None:
        """Take the score that was recorded with a matured example; None is no score."""
        _take(self._matured, model, score=score)

    def features(self, model: PairModel) -> dict[str, float]:
        """The index of each feature over the newest predictions, against the examples ``model`` has learned.

        Buckets are the model's own, up to ``TOLERANCE``. Its first examples were sorted by what it knew then of
        means and deviations, so a young model's index is too high. Empty as long as there are fewer than
        ``FEWEST`` of either.
        """
        seen = min(self._seen, WINDOW)
        if min(seen, model.version) < FEWEST:
            return {}
        places = [place for place, name in enumerate(model.features) if name in self._features]
        columns = [self._features[model.features[place]] for place in places]
        means, variances = np.array(model.means)[places], np.array(model.variances)[places]
        varies = variances > 0.0
        squashed = np.array([linear.squashed(values) for values in self._newest[:seen, columns].tolist()])
        deviations = (squashed - means) / np.sqrt(np.where(varies, variances, 1.0))
        deviations = np.where(varies, deviations, 0.0)
        then = np.array(model.bucket_counts, dtype=np.float64).reshape(-1, BUCKETS)[places]
        indices = stability(_fitted(deviations, then), then)
        return {model.features[place]: float(index) for place, index in zip(places, indices, strict=True)}

    def scores(self) -> dict[str, float]:
        """The index of each model's newest scores against its newest matured ones; of those with ``FEWEST`` of both."""
        said = {}
        for model, made in self._made.items():
            matured = self._matured.get(model, ())
            if min(len(made), len(matured)) >= FEWEST:
                said[model] = float(stability(_sorted_in(made), _sorted_in(matured)))
        return said


def stability(now: Counts, then: Counts) -> Counts:
    """The index by row of counts of two populations, both of one at least.

    Half an observation of the smaller population is added to every bucket of both, as shares: an empty bucket
    does not explode, and one that is empty in both adds nothing.
    """
    least = 0.5 / np.minimum(now.sum(axis=-1), then.sum(axis=-1))[..., None]
    shares = [counts / counts.sum(axis=-1)[..., None] + least for counts in (now, then)]
    p, q = (share / share.sum(axis=-1)[..., None] for share in shares)
    index: Counts = ((p - q) * np.log(p / q)).sum(axis=-1)
    return index


def _fitted(deviations: Counts, then: Counts) -> Counts:
    """Counts by feature and bucket; those near a border go where they are missed, the lower side first."""
    low, high = (_places(deviations - TOLERANCE), _places(deviations + TOLERANCE))
    firm, free = _counted(low[low == high], like=then), _counted(low[low != high], like=then)
    wanted = then / then.sum(axis=1, keepdims=True) * len(deviations)
    for bucket in range(BUCKETS - 1):
        stays = np.clip(wanted[:, bucket] - firm[:, bucket], 0.0, free[:, bucket])
        firm[:, bucket] += stays
        firm[:, bucket + 1] += free[:, bucket] - stays
    return firm


def _places(deviations: Counts) -> NDArray[np.int64]:
    """Places in the pair's bucket lists, by value and feature."""
    buckets = (np.clip(deviations, -linear.CLIP, linear.CLIP) * 2.0 + MIDDLE).astype(np.int64)
    return buckets + np.arange(deviations.shape[1]) * BUCKETS


def _counted(places: NDArray[np.int64], *, like: Counts) -> Counts:
    return np.bincount(places, minlength=like.size).reshape(like.shape).astype(np.float64)


def _take(into: dict[str, deque[float]], model: str, *, score: float | None) -> None:
    if score is None or not 0.0 <= score <= 1.0:
        return
    newest = into.get(model)
    if newest is None:
        newest = into[model] = deque(maxlen=WINDOW)
    newest.append(score)


def _sorted_in(scores: Iterable[float]) -> Counts:
    """How many scores are in each bucket of their logits."""
    shares = np.fromiter(scores, dtype=np.float64)
    logits = np.log(np.maximum(shares, 1e-9) / np.maximum(1.0 - shares, 1e-9))
    places = (np.clip(logits, -_FARTHEST, _FARTHEST) * 2.0 + _SCORE_MIDDLE).astype(np.int64)
    return np.bincount(places, minlength=SCORE_BUCKETS).astype(np.float64)


def _unpacked(state: str) -> bytes | None:
    if not 0 < len(state) <= LONGEST_STATE:
        return None
    try:
        return b64decode(state, validate=True)
    except (Error, ValueError):
        return None


def _is_window(window: bytes, *, like: bytes) -> bool:
    """Whether ``window`` is one that losses can have made, with the settings of the empty one ``like``."""
    rows, rest = divmod(len(window) - _HEAD.size - _TAIL.size, _ROW.size)
    if rest or not 1 <= rows <= _MOST_ROWS or window[-_TAIL.size :] != like[-_TAIL.size :]:
        return False
    head, empty = _HEAD.unpack_from(window), _HEAD.unpack_from(like)
    numbers, counts = head[_SETTINGS : _SETTINGS + 4], head[_SETTINGS + 4 : -1]
    if head[:_SETTINGS] != empty[:_SETTINGS] or head[-1] != rows or min(counts) < 0:
        return False
    room = head[2]
    used, sums = list[int](), list(numbers)
    for row in _ROW.iter_unpack(window[_HEAD.size : -_TAIL.size]):
        if (row[0], row[2], row[9]) != (room, room + 1, room + 1) or row[1] > room:
            return False
        used.append(row[1])
        sums.extend(chain(row[3:9], row[10:]))
    if not all(map(isfinite, sums)) or (rows > 1 and min(used) < 1):
        return False
    return bool(numbers[2] == sum(count << place for place, count in enumerate(used)))


def _buckets(window: bytes) -> list[tuple[int, float]]:
    """Size and total of each bucket of a window, oldest first."""
    rows = list(_ROW.iter_unpack(window[_HEAD.size : -_TAIL.size]))
    return [
        (1 << place, total) for place in reversed(range(len(rows))) for total in rows[place][3 : 3 + rows[place][1]]
    ]


def _split(buckets: list[tuple[int, float]]) -> tuple[float, float, int]:
    """The means before and after the border with the largest sum of squares between them, and the newer size."""
    size, total = sum(size for size, _ in buckets), sum(total for _, total in buckets)
    older, older_total = 0, 0.0
    best, found = -1.0, (0.0, 0.0, 0)
    for count, held in buckets[:-1]:
        older, older_total = older + count, older_total + held
        before, after = older_total / older, (total - older_total) / (size - older)
        between = older * (size - older) * (after - before) ** 2
        if between > best:
            best, found = between, (before, after, size - older)
    return found
