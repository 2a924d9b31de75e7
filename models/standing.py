"""Where one model stands: every contestant's numbers, which of them is served, and what is needed to go on.

A standing is what a snapshot carries: a scorer serves it, a learner goes on from it. It is JSON of plain numbers; equal
standings give equal bytes, and what is decoded can be scored without overflow.
"""

from collections.abc import Sequence
from typing import Annotated, get_args

import msgspec
from msgspec import Meta, Struct, field

from needstream.models import anomaly_model, contestants, thresholds
from needstream.models.anomaly_model import AnomalyModel
from needstream.models.blend import Blend
from needstream.models.calibration import Calibration
from needstream.models.contestants import Exported
from needstream.models.panel import Word
from needstream.models.promotion import ContestState
from needstream.models.thresholds import ThresholdState
from needstream.schemas.pack import Contestant
from needstream.schemas.signals import Share, Total

BLEND = "blend"
"""The contestant that says a weighed mean of what the others say."""

LINE = "line"
"""Under this name is recorded what the calibration of the champion alone says."""

RECORDED: tuple[str, ...] = (LINE, *get_args(Contestant))
"""The order in which what was said is recorded: new kinds are appended, none is moved or removed."""


class Standing(Struct, frozen=True, kw_only=True):
    """One model as it stands.

    Attributes:
        version: examples taken in, whatever became of them; a later standing has a higher one.
        labels: matured labels among them that were not quarantined; ``positives`` of these.
        learned_through: the offset of the newest example taken from a topic, -1 for none.
        first_ms, newest_ms: event times at which the first and the newest matured label were due, milliseconds; 0
            before the first.
        champion: the kind of contestant that is served; ``declared`` the one the pack begins with.
        contestants: numbers by kind; those of the blend are ``blend``.
        enter_score: the threshold chosen for the pack's target, None where there is none yet.
        loss_drift: the state of the drift detector, as it writes it.
        gaps: the gaps between slices that have been told: attribute, value and measure.
        anomaly: what is usual among all customers, in the standing of one model only.
    """

    name: str
    features: tuple[str, ...]
    version: Total = 0
    labels: Total = 0
    positives: Total = 0
    learned_through: Annotated[int, Meta(ge=-1)] = -1
    first_ms: Total = 0
    newest_ms: Total = 0
    champion: str
    declared: str = ""
    contestants: dict[str, Exported]
    blend: Blend | None = None
    contest: ContestState = field(default_factory=ContestState)
    thresholds: ThresholdState | None = None
    enter_score: Share | None = None
    loss_drift: str = ""
    gaps: tuple[tuple[str, str, str], ...] = ()
    anomaly: AnomalyModel | None = None

    def raw_logits(self, values: Sequence[float]) -> dict[str, float]:
        """What every contestant says of ``values``, by kind, before calibration."""
        said = {kind: model.logit(values) for kind, model in self.contestants.items()}
        if self.blend is not None:
            said[BLEND] = self.blend.logit(said)
        return said

    def experience(self) -> tuple[int, int]:
        """Examples and positives that what is served has learned from; of a blend, its most experienced member's."""
        kinds = self.contestants if self.champion == BLEND else (self.champion,)
        members = [self.contestants[kind] for kind in kinds if kind in self.contestants]
        return max(((model.version, model.positives) for model in members), default=(0, 0))

    def said(self, values: Sequence[float]) -> dict[str, float]:
        """What is recorded with a prediction, as logits: every contestant's, and the champion's line alone."""
        said = self.raw_logits(values)
        return said | {LINE: self._calibration().untempered(said[self.champion])}

    def words(self) -> dict[str, Word]:
        """What ``said`` says, prepared for any vector."""
        words = {kind: Word(((model, 1.0),)) for kind, model in self.contestants.items()}
        if self.blend is not None:
            shares = self.blend.shares(tuple(self.contestants))
            words[BLEND] = Word(tuple((model, shares[kind]) for kind, model in self.contestants.items()))
        calibration = self._calibration()
        words[LINE] = words[self.champion].along(calibration.slope, calibration.offset)
        return words

    def champion_word(self) -> Word:
        """What ``champion_logit`` says, prepared for any vector."""
        return self.words()[self.champion].along(*self._calibration().line())

    def champion_logit(self, values: Sequence[float]) -> float:
        """The calibrated logit that is served."""
        if self.champion == BLEND:
            return self._calibration().logit(self.raw_logits(values)[BLEND])
        return self._calibration().logit(self.contestants[self.champion].logit(values))

    def _calibration(self) -> Calibration:
        if self.blend is not None and self.champion == BLEND:
            return self.blend.calibration
        return self.contestants[self.champion].calibration


def kinds(standing: Standing) -> tuple[str, ...]:
    """Every contestant's kind."""
    return (*standing.contestants, *((BLEND,) if standing.blend is not None else ()))


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Standing)


def encode(standing: Standing) -> bytes:
    """JSON text; equal standings give equal bytes."""
    return _ENCODER.encode(standing)


def decode(body: bytes) -> Standing:
    """The standing in ``body``.

    Raises:
        ValueError: no standing, or numbers that no model can have.
    """
    standing = _DECODER.decode(body)
    if not standing.contestants:
        msg = "it holds no contestant"
        raise ValueError(msg)
    for kind, model in standing.contestants.items():
        if model.features != standing.features:
            msg = f"contestant {kind} has other features than the model"
            raise ValueError(msg)
        if not contestants.is_of(kind, model):
            msg = f"contestant {kind} cannot be a model of kind {model.__struct_config__.tag}"
            raise ValueError(msg)
        contestants.check(model)
    if standing.champion not in kinds(standing):
        msg = f"its champion {standing.champion!r} is none of its contestants"
        raise ValueError(msg)
    if standing.positives > standing.labels or standing.labels > standing.version:
        msg = "it has more positives than labels, or more labels than examples"
        raise ValueError(msg)
    if standing.anomaly is not None:
        anomaly_model.check(standing.anomaly)
        if standing.anomaly.features != standing.features:
            msg = "what is usual was learned from other features than the model's"
            raise ValueError(msg)
    if standing.thresholds is not None:
        thresholds.check(standing.thresholds)
    return standing
