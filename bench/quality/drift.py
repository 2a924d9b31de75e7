"""An abrupt drift: the bank's feature vectors, with labels of a concept that changes half-way.

In go simulated examples, out come a stream of questions without delay and, of what was said to them, after how
many examples the log loss is back. Both concepts are equally hard: logits of the same mean and spread.
"""

import random
import statistics
from collections import deque
from collections.abc import Sequence

from bench.quality.task import Question
from msgspec import Struct

from needstream.models import linear, logistic, prequential

LENGTH = 16_000
HALF = LENGTH // 2
WINDOW = 1_000
"""Examples whose mean log loss is compared, before the drift and after it."""
WITHIN = 1.05
_CENTRE, _SPREAD = -1.0, 2.0
_ACTIVE = 12
"""Features that a concept reads."""


class Recovery(Struct, frozen=True, kw_only=True):
    """``examples`` until the mean log loss of the newest ``WINDOW`` is back within 5 %; None: never."""

    before: float
    worst: float
    examples: int | None


def questions(vectors: Sequence[tuple[float, ...]], seed: int) -> tuple[Question, ...]:
    """Vectors drawn again and again, with labels of one concept and then of another; equal seeds, equal streams."""
    rng = random.Random(seed)
    concepts = [_concept(vectors, rng) for _ in range(2)]
    asked = []
    for place in range(LENGTH):
        drawn = rng.randrange(len(vectors))
        label = rng.random() < logistic.sigmoid(concepts[place >= HALF][drawn])
        asked.append(Question(float(place), float(place), vectors[drawn], label))
    return tuple(asked)


def recovery(scores: Sequence[float], labels: Sequence[bool]) -> Recovery:
    """What the drift in the middle did to the log loss."""
    losses = [prequential.log_loss(score, label) for score, label in zip(scores, labels, strict=True)]
    before = statistics.fmean(losses[HALF - WINDOW : HALF])
    newest: deque[float] = deque(maxlen=WINDOW)
    worst = 0.0
    for count, loss in enumerate(losses[HALF:], start=1):
        newest.append(loss)
        if count >= WINDOW:
            level = statistics.fmean(newest)
            worst = max(worst, level)
            if level <= WITHIN * before:
                return Recovery(before=before, worst=worst, examples=count)
    return Recovery(before=before, worst=worst, examples=None)


def _concept(vectors: Sequence[tuple[float, ...]], rng: random.Random) -> list[float]:
    """A logit for each vector: a random direction over some features, scaled to a fixed mean and spread."""
    width = len(vectors[0])
    places = rng.sample(range(width), min(_ACTIVE, width))
    columns = []
    for place in places:
        column = linear.squashed([vector[place] for vector in vectors])
        spread = statistics.pstdev(column)
        weight = rng.choice((-1.0, 1.0)) * rng.uniform(0.5, 1.5) / spread if spread else 0.0
        columns.append([weight * value for value in column])
    sums = [sum(row) for row in zip(*columns, strict=True)]
    centre, spread = statistics.fmean(sums), statistics.pstdev(sums) or 1.0
    return [_CENTRE + _SPREAD * (each - centre) / spread for each in sums]
