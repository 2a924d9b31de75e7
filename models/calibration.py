"""Online calibration: a straight line over the logit that turns a raw score into an honest share.

In go raw logits with their matured labels, out comes ``slope * logit + offset`` (Platt, 1999). Each
label moves the line by one bounded Newton step on its log loss; the curvature that the steps are
divided by starts from a prior that holds the line to identity and forgets with a half-life. The
slope is positive, so the ranking is never changed. The line and identity are mixed by what they have
lost lately (exponential weights), so a line that labels do not speak for is hardly served.
"""

from math import isfinite
from typing import Annotated

from msgspec import Meta, Struct

from needstream.models import prequential
from needstream.models.logistic import sigmoid
from needstream.schemas.signals import Total

MIN_LABELS = 200
"""Labels, and a tenth of it of each class, before the line may leave identity."""

LARGEST_LOGIT = 12.0
"""Raw logits are held within this: one score far outside must not turn the line."""
LARGEST_OFFSET = 6.0
SLOPES = (0.2, 3.0)
"""The slopes a line may have, both inclusive."""

HALF_LIFE = 1000
"""Labels after which an old one counts half, unless the caller says otherwise."""
PRIOR = 10.0
"""What the belief in identity weighs, in units of curvature (40 labels at even odds)."""
GAIN = 2.0
"""Nats of log loss by which the line must have beaten identity lately, before it counts half."""
TRUST_HALF_LIFE = 700
"""Labels after which a nat of gain counts half."""
LONGEST_STEP = 0.05
"""How far one label may move the slope or the offset."""

_TRUST_KEPT = 0.5 ** (1 / TRUST_HALF_LIFE)
_STEPS = (-LONGEST_STEP, LONGEST_STEP)
_OFFSETS = (-LARGEST_OFFSET, LARGEST_OFFSET)

NotNegative = Annotated[float, Meta(ge=0)]
Gain = Annotated[float, Meta(ge=-1e6, le=1e6)]
Slope = Annotated[float, Meta(ge=SLOPES[0], le=SLOPES[1])]
Offset = Annotated[float, Meta(ge=-LARGEST_OFFSET, le=LARGEST_OFFSET)]


class Calibration(Struct, frozen=True, kw_only=True):
    """A line as plain numbers; the default is identity.

    ``curvature`` is the decayed second derivative of the log loss by slope, by slope and offset,
    and by offset, needed only to go on learning; ``gain`` the decayed nats it saved against identity.
    """

    labels: Total = 0
    positives: Total = 0
    slope: Slope = 1.0
    offset: Offset = 0.0
    gain: Gain = 0.0
    curvature: tuple[NotNegative, float, NotNegative] = (0.0, 0.0, 0.0)

    def trust(self) -> float:
        """What the line counts against identity, 0 to 1; 0 until there were enough labels of both classes."""
        fewest = min(self.positives, self.labels - self.positives)
        if self.labels < MIN_LABELS or fewest * 10 < MIN_LABELS:
            return 0.0
        return sigmoid(self.gain - GAIN)

    def line(self) -> tuple[float, float]:
        """Slope and offset to apply: between identity and the line, as far as it is trusted."""
        trust = self.trust()
        return 1.0 + trust * (self.slope - 1.0), trust * self.offset

    def untempered(self, raw: float) -> float:
        """What the line alone says; recorded with a prediction, it tells later what it was worth."""
        return self.slope * raw + self.offset

    def logit(self, raw: float) -> float:
        """The calibrated logit of a raw one."""
        slope, offset = self.line()
        return slope * raw + offset


IDENTITY = Calibration()


class Calibrator:
    """Learns one line. The caller scores an example first and shows it here afterwards."""

    def __init__(self, learned: Calibration = IDENTITY) -> None:
        self._labels, self._positives = learned.labels, learned.positives
        self._slope, self._offset = learned.slope, learned.offset
        self._gain = learned.gain
        self._by_slope, self._by_both, self._by_offset = learned.curvature

    def learn(self, raw: float, label: bool, *, line: float | None = None, half_life: float = HALF_LIFE) -> None:
        """Learn one matured label of an example whose raw logit was ``raw``; no number is a no-op.

        Args:
            raw: best the one that was said when the example was asked.
            label: what came.
            line: what the line alone said then; None to judge the present line instead.
            half_life: in labels. It should be some times the labels that are waited for: a line that follows a phase
                which has passed when it is applied does harm.
        """
        if not isfinite(raw):
            return
        kept = 0.5 ** (1.0 / half_life)
        logit = max(-LARGEST_LOGIT, min(LARGEST_LOGIT, raw))
        said = sigmoid(self._slope * logit + self._offset)
        judged = said if line is None else sigmoid(line)
        saved = prequential.log_loss(sigmoid(logit), label) - prequential.log_loss(judged, label)
        self._gain = self._gain * _TRUST_KEPT + saved
        error, curve = said - label, said * (1.0 - said)
        self._by_slope = self._by_slope * kept + curve * logit * logit
        self._by_both = self._by_both * kept + curve * logit
        self._by_offset = self._by_offset * kept + curve
        # The prior keeps this positive definite, so the division is safe and the step downhill.
        by_slope, by_offset = self._by_slope + PRIOR, self._by_offset + PRIOR
        determinant = by_slope * by_offset - self._by_both * self._by_both
        slope_step = error * (by_offset * logit - self._by_both) / determinant
        offset_step = error * (by_slope - self._by_both * logit) / determinant
        self._slope = _within(self._slope - _within(slope_step, _STEPS), SLOPES)
        self._offset = _within(self._offset - _within(offset_step, _STEPS), _OFFSETS)
        self._labels += 1
        self._positives += bool(label)

    def distrust(self) -> None:
        """Let the line earn its trust again; what it has learned stays."""
        self._gain = 0.0

    def export(self) -> Calibration:
        """The line as it stands, as numbers; equal labels in equal order give equal numbers."""
        return Calibration(
            labels=self._labels,
            positives=self._positives,
            slope=self._slope,
            offset=self._offset,
            gain=self._gain,
            curvature=(self._by_slope, self._by_both, self._by_offset),
        )


def is_definite(learned: Calibration) -> bool:
    """Whether its curvature is one that labels can give, up to rounding; learning on needs that."""
    by_slope, by_both, by_offset = learned.curvature
    return by_both * by_both <= by_slope * by_offset * (1 + 1e-6) + 1e-6


def _within(number: float, bounds: tuple[float, float]) -> float:
    return max(bounds[0], min(bounds[1], number))
