"""A pair that learns past examples again with each new one, for labels that arrive late and in blocks.

In go feature values and matured labels, out comes what a ``PairClassifier`` says that was also shown
``REPLAYED`` of the newest ``MEMORY`` examples with each of them. Which ones is a function of the
number of examples: equal examples in equal order give equal numbers, bit for bit.
"""

from array import array
from collections.abc import Sequence
from typing import ClassVar

from needstream.models.calibration import IDENTITY, Calibration
from needstream.models.pair import PairClassifier
from needstream.models.pair_model import PairModel

MEMORY = 1000
"""The newest examples that are kept to be shown again; with 35 features 250 KB."""

REPLAYED = 2
"""Past examples that are learned again with each new one."""


class ReplayedPair:
    """A pair and a ring of past examples. Mutable and not thread-safe: one writer owns each.

    The ring is no part of the export: after ``restore``, ``recall`` has to be given the newest
    ``MEMORY`` examples, oldest first, to go on as if nothing had stopped. Values are kept in single
    precision, which is all that examples carry.
    """

    kind: ClassVar[str] = "replayed"

    def __init__(self, name: str, features: Sequence[str]) -> None:
        self._begin(PairClassifier(name, tuple(features)))

    def _begin(self, pair: PairClassifier) -> None:
        self._pair = pair
        self._rows: list[array[float]] = []
        self._labels: list[bool] = []
        self._oldest = 0

    @property
    def name(self) -> str:
        """What the model is called in its pack."""
        return self._pair.name

    @property
    def examples(self) -> int:
        """Examples learned; those that were shown again count once."""
        return self._pair.examples

    @property
    def positives(self) -> int:
        """Examples learned whose label was true."""
        return self._pair.positives

    def logit(self, values: Sequence[float]) -> float:
        """The raw logit for ``values`` in feature order.

        Raises:
            ValueError: not one value per feature.
        """
        return self._pair.logit(values)

    def learn(self, values: Sequence[float], label: bool, *, weight: float = 1.0) -> None:
        """Learn one matured example, and some past ones again.

        Args:
            values: one per feature.
            label: what became true.
            weight: as how many examples the new one turns the weights, 0 to 100; past ones count as one.

        Raises:
            ValueError: not one value per feature, or no such weight; nothing was learned then.
        """
        self._pair.learn(values, label, weight=weight)
        kept = len(self._rows)
        # Which ones follows from the count alone, so that a learner that was restarted chooses the same.
        for turn in range(REPLAYED if kept else 0):
            place = (self._oldest + _scrambled(self._pair.examples * REPLAYED + turn) % kept) % kept
            self._pair.rehearse(self._rows[place], self._labels[place])
        self._keep(values, label)

    def recall(self, values: Sequence[float], label: bool) -> None:
        """Take an example that was learned before a restart into the ring, oldest first."""
        self._keep(values, label)

    def export(self, *, calibrated: Calibration = IDENTITY) -> PairModel:
        """The pair as it stands, as numbers, with the calibration that goes with it."""
        return self._pair.export(calibrated=calibrated)

    @classmethod
    def restore(cls, exported: PairModel) -> "ReplayedPair":
        """A model that stands where ``exported`` stood, with nothing to show again yet."""
        replayed = cls(exported.name, exported.features)
        replayed._begin(PairClassifier.restore(exported))
        return replayed

    def _keep(self, values: Sequence[float], label: bool) -> None:
        row = array("f", values)
        if len(self._rows) < MEMORY:
            self._rows.append(row)
            self._labels.append(bool(label))
            return
        self._rows[self._oldest], self._labels[self._oldest] = row, bool(label)
        self._oldest = (self._oldest + 1) % MEMORY


def _scrambled(count: int) -> int:
    """A number in which no neighbourhood of counts shows (the finalizer of splitmix64; Steele et al., 2014)."""
    mask = 0xFFFFFFFFFFFFFFFF
    mixed = count * 0x9E3779B97F4A7C15 & mask
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & mask
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & mask
    return mixed ^ mixed >> 31
