"""Slices: how good a model is, and how often it speaks, for each group of the customers.

In go recorded scores with their matured labels and the customer's tier, age band and channel; out come figures per
group, and the groups a model serves worse than everybody else. Figures cover the newest 10,000 to 20,000 judged
examples. Names of groups come from customers' data: those that are too long, unusual or too many are called ``other``.
"""

import re
from collections.abc import Mapping
from math import sqrt
from typing import Literal

from msgspec import Struct

from needstream.models import prequential, thresholds

ATTRIBUTES = ("tier", "age_band", "channel")
MOST_VALUES = 16
"""Groups of an attribute that are told apart, the first that come; ``other`` is one more."""
OTHER = "other"
UNKNOWN = "unknown"
"""The group of the customers whose attribute is not known."""

GENERATION = 10_000
"""Judged examples after which the figures begin anew; those of the generation before are still counted in."""

FEWEST_EXAMPLES = 200
FEWEST_EACH = 20
"""Examples of a group and of the others, and of each label for the AUC, before they are compared."""
DEVIATIONS = 4.0
"""Standard deviations a difference must be from nothing. About fifty are looked at, again and again."""
MARGINS: "dict[Measure, float]" = {"calibration_gap": 0.03, "auc": 0.05, "log_loss": 0.03}
"""By how much a group must be worse than the others: in probability, in area, in nats per example."""

Measure = Literal["calibration_gap", "auc", "log_loss"]

_NAME = re.compile(r"[A-Za-z0-9_+<>=-]{1,24}")


class SliceQuality(Struct, frozen=True, kw_only=True):
    """The figures of one group; None where there is nothing to compare.

    Attributes:
        log_loss: mean, in nats.
        surprise: log loss beyond what the scores themselves promise, in nats per example; 0 for honest scores.
        calibration_gap: mean score minus share of positives; above 0 the model promises too much.
        rate: share of the examples whose score reached the threshold.
    """

    model: str
    attribute: str
    value: str
    examples: int
    positives: int
    mean_score: float
    log_loss: float
    surprise: float
    auc: float | None
    calibration_gap: float
    rate: float


class Gap(Struct, frozen=True, kw_only=True):
    """A group that a model serves worse than all others of the attribute together.

    ``here`` and ``elsewhere`` are the figures compared: the calibration gap, the AUC, or for ``log_loss`` the surprise,
    because plain losses differ wherever the shares of positives do. ``deviations`` says how sure it is.
    """

    model: str
    attribute: str
    value: str
    measure: Measure
    here: float
    elsewhere: float
    deviations: float
    examples: int


class SliceBook:
    """The groups of one model's customers. Memory is bounded; nothing is random."""

    def __init__(self, model: str) -> None:
        self.model = model
        self._judged = 0
        self._names: dict[str, set[str]] = {attribute: set() for attribute in ATTRIBUTES}
        self._newest: dict[tuple[str, str], _Tally] = {}
        self._before: dict[tuple[str, str], _Tally] = {}

    def observe(self, slices: Mapping[str, str], score: float | None, *, label: bool, reached: bool) -> None:
        """Take one matured example; one without a score tells nothing. ``reached``: the score passed the threshold."""
        if score is None:
            return
        if self._judged == GENERATION:
            self._before, self._newest, self._judged = self._newest, {}, 0
        self._judged += 1
        loss = prequential.log_loss(score, label)
        promised = score * prequential.log_loss(score, True) + (1 - score) * prequential.log_loss(score, False)
        place = thresholds.bin_of(score)
        for attribute in ATTRIBUTES:
            key = (attribute, self._name(attribute, slices.get(attribute) or UNKNOWN))
            tally = self._newest.get(key)
            if tally is None:
                tally = self._newest[key] = _Tally()
            (tally.positives_at if label else tally.negatives_at)[place] += 1
            tally.reached += reached
            tally.loss += loss
            tally.score += score
            tally.residual_squares += (score - label) ** 2
            tally.surprise += loss - promised
            tally.surprise_squares += (loss - promised) ** 2

    def figures(self) -> list[SliceQuality]:
        """The figures of every group, by attribute and name."""
        return [
            SliceQuality(
                model=self.model,
                attribute=attribute,
                value=value,
                examples=tally.examples,
                positives=tally.positives,
                mean_score=tally.score / tally.examples,
                log_loss=tally.loss / tally.examples,
                surprise=tally.surprise / tally.examples,
                auc=tally.auc(),
                calibration_gap=tally.gap(),
                rate=tally.reached / tally.examples,
            )
            for (attribute, value), tally in self._tallies().items()
        ]

    def gaps(self) -> list[Gap]:
        """The groups that are served worse than the others, by attribute, name and measure."""
        tallies, found = self._tallies(), []
        for (attribute, value), here in tallies.items():
            others = _Tally()
            for (of, name), tally in tallies.items():
                if of == attribute and name != value:
                    others.add(tally)
            if min(here.examples, others.examples) < FEWEST_EXAMPLES:
                continue
            for measure, (mine, theirs, worse, spread) in _compared(here, others).items():
                if worse > MARGINS[measure] and worse > DEVIATIONS * spread:
                    gap = Gap(
                        model=self.model,
                        attribute=attribute,
                        value=value,
                        measure=measure,
                        here=mine,
                        elsewhere=theirs,
                        deviations=worse / max(spread, 1e-9),
                        examples=here.examples,
                    )
                    found.append(gap)
        return found

    def _name(self, attribute: str, value: str) -> str:
        known = self._names[attribute]
        if value in known:
            return value
        if value == OTHER or len(known) >= MOST_VALUES or not _NAME.fullmatch(value):
            return OTHER
        known.add(value)
        return value

    def _tallies(self) -> "dict[tuple[str, str], _Tally]":
        """Both generations together, by attribute and name."""
        together = {}
        for key in sorted(self._newest.keys() | self._before.keys()):
            together[key] = _Tally()
            for generation in (self._before, self._newest):
                if key in generation:
                    together[key].add(generation[key])
        return together


class _Tally:
    """Sums over the examples of a group."""

    __slots__ = (
        "loss",
        "negatives_at",
        "positives_at",
        "reached",
        "residual_squares",
        "score",
        "surprise",
        "surprise_squares",
    )

    def __init__(self) -> None:
        self.negatives_at, self.positives_at = [0] * thresholds.BINS, [0] * thresholds.BINS
        self.reached = 0
        self.loss = self.score = self.residual_squares = self.surprise = self.surprise_squares = 0.0

    @property
    def positives(self) -> int:
        return sum(self.positives_at)

    @property
    def examples(self) -> int:
        return sum(self.negatives_at) + self.positives

    def add(self, other: "_Tally") -> None:
        self.negatives_at = [a + b for a, b in zip(self.negatives_at, other.negatives_at, strict=True)]
        self.positives_at = [a + b for a, b in zip(self.positives_at, other.positives_at, strict=True)]
        self.reached += other.reached
        self.loss += other.loss
        self.score += other.score
        self.residual_squares += other.residual_squares
        self.surprise += other.surprise
        self.surprise_squares += other.surprise_squares

    def gap(self) -> float:
        """Mean score minus share of positives."""
        return (self.score - self.positives) / self.examples

    def auc(self) -> float | None:
        return prequential.binned_auc(self.negatives_at, self.positives_at)


def _compared(here: _Tally, others: _Tally) -> dict[Measure, tuple[float, float, float, float]]:
    """By measure: the figure here and of the others, by how much it is worse, and the deviation of that."""
    compared: dict[Measure, tuple[float, float, float, float]] = {}
    both = (here, others)
    gap, usual_gap = here.gap(), others.gap()
    spread = sqrt(sum(_error(tally.residual_squares, tally.gap(), examples=tally.examples) for tally in both))
    compared["calibration_gap"] = (gap, usual_gap, abs(gap) - abs(usual_gap), spread)
    auc, usual_auc = here.auc(), others.auc()
    fewest = min(min(tally.positives, tally.examples - tally.positives) for tally in both)
    if auc is not None and usual_auc is not None and fewest >= FEWEST_EACH:
        spread = sqrt(_auc_error(here, auc) + _auc_error(others, usual_auc))
        compared["auc"] = (auc, usual_auc, usual_auc - auc, spread)
    surprise, usual = (tally.surprise / tally.examples for tally in both)
    spread = sqrt(
        _error(here.surprise_squares, surprise, examples=here.examples)
        + _error(others.surprise_squares, usual, examples=others.examples)
    )
    compared["log_loss"] = (surprise, usual, surprise - max(usual, 0.0), spread)
    return compared


def _error(squares: float, mean: float, *, examples: int) -> float:
    """The squared standard error of a mean."""
    return max(0.0, squares / examples - mean * mean) / examples


def _auc_error(tally: _Tally, auc: float) -> float:
    """The squared standard error of an AUC (Hanley and McNeil, 1982)."""
    positives = tally.positives
    negatives = tally.examples - positives
    by_positives = auc / (2 - auc) - auc * auc
    by_negatives = 2 * auc * auc / (1 + auc) - auc * auc
    own = auc * (1 - auc)
    return (own + (positives - 1) * by_positives + (negatives - 1) * by_negatives) / (positives * negatives)
