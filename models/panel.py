"""What several models say of one vector, all at once: every word a weighed sum of raw logits.

In go models that were published and the words to be said of them, out come logits in the order of the words. Pairs and
linear models are scored together, each once however many words rest on it; trees are asked one by one.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from needstream.models.contestants import Exported
from needstream.models.pair_scorer import Floats, PairScorer
from needstream.models.trees import TreesModel


class Word(Struct, frozen=True):
    """One logit: the raw logits of ``parts``, weighed and added to ``offset``."""

    parts: tuple[tuple[Exported, float], ...] = ()
    offset: float = 0.0

    def along(self, slope: float, offset: float) -> "Word":
        """The word on a line of calibration."""
        return Word(tuple((model, share * slope) for model, share in self.parts), self.offset * slope + offset)


class Panel:
    """Says a fixed list of words; replace it whole when a model changes."""

    def __init__(self, words: Sequence[Word]) -> None:
        """Lay out the models of ``words``.

        Raises:
            ValueError: their features differ.
        """
        asked = {id(model): model for word in words for model, _ in word.parts}
        self._pairs = PairScorer([model for model in asked.values() if not isinstance(model, TreesModel)])
        self._trees = [model for model in asked.values() if isinstance(model, TreesModel)]
        place_of = {id(model): place for place, model in enumerate([*self._pairs.models, *self._trees])}
        self._shares = np.zeros((len(words), len(place_of)))
        for row, word in zip(self._shares, words, strict=True):
            for model, share in word.parts:
                row[place_of[id(model)]] += share
        self._offsets = np.array([word.offset for word in words], dtype=np.float64)

    def logits(self, values: Sequence[float]) -> Floats:
        """Every word on ``values`` in feature order.

        Raises:
            ValueError: not one value per feature.
        """
        raw = self._pairs.raw(values) if self._pairs.models else np.zeros(0)
        if self._trees:
            raw = np.concatenate([raw, [model.logit(values) for model in self._trees]])
        said: Floats = self._shares.dot(raw)
        said += self._offsets
        return said
