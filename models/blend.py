"""The blend: a contestant that learns nothing but whom to trust, and says a weighed mean of the others' logits.

In go the raw logits that the members had said and the label that came of it, out come weights that sum to one. Experts
are every member, every two in the proportions 3:1, 1:1 and 1:3, and all alike; the weight of an expert is exp(-loss),
its decayed sum of matured log losses (exponential weights; Vovk, 1990, Littlestone and Warmuth, 1994), so that the
blend is soon as good as the best of them. Logits are mixed, so that the addends of the members' explanations can be
mixed as well.
"""

from collections.abc import Mapping
from itertools import combinations
from math import exp, fsum
from typing import Annotated

from msgspec import Meta, Struct, field

from needstream.models import logistic, prequential
from needstream.models.calibration import IDENTITY, Calibration

HALF_LIFE = 700
"""Labels after which an old loss counts half."""

_KEPT = 0.5 ** (1 / HALF_LIFE)

Loss = Annotated[float, Meta(ge=0, le=1e6)]


class Blend(Struct, frozen=True, kw_only=True):
    """Decayed log losses in nats by expert, named for its members; and the calibration of what the blend says."""

    losses: dict[str, Loss] = field(default_factory=dict)
    calibration: Calibration = IDENTITY

    def shares(self, members: tuple[str, ...]) -> dict[str, float]:
        """What each member's logit counts; in all 1, equal before any label has come."""
        experts = _experts(members)
        losses = {name: self.losses.get(name, _newcomer(self.losses)) for name in experts}
        least = min(losses.values())
        weights = {name: exp(least - loss) for name, loss in losses.items()}
        total = fsum(weights.values())
        return {
            member: fsum(weights[name] * counted.get(member, 0.0) for name, counted in experts.items()) / total
            for member in members
        }

    def logit(self, logits: Mapping[str, float]) -> float:
        """The raw logit of the blend from those of its members."""
        shares = self.shares(tuple(logits))
        return fsum(shares[member] * logit for member, logit in logits.items())


class Blender:
    """Learns whom to trust."""

    def __init__(self, learned: Blend | None = None) -> None:
        self._losses = dict(learned.losses) if learned else {}

    def learn(self, logits: Mapping[str, float], label: bool) -> None:
        """Learn one matured label and the raw logits that all members had said; no members is a no-op."""
        newcomer = _newcomer(self._losses)
        for name, counted in _experts(tuple(logits)).items():
            said = logistic.sigmoid(fsum(share * logits[member] for member, share in counted.items()))
            lost = self._losses.get(name, newcomer)
            self._losses[name] = lost * _KEPT + prequential.log_loss(said, label)

    def export(self, *, calibrated: Calibration = IDENTITY) -> Blend:
        """The blend as it stands, as numbers."""
        return Blend(losses=dict(self._losses), calibration=calibrated)


def _newcomer(losses: Mapping[str, float]) -> float:
    """What an expert that joins counts as having lost: as much as the worst, so that it has to earn its trust."""
    return max(losses.values(), default=0.0)


def _experts(members: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """What each member counts with each expert, by name; in whatever order the members are given."""
    named = sorted(members)
    experts = {member: {member: 1.0} for member in named}
    for one, other in combinations(named, 2):
        for share in (0.75, 0.5, 0.25):
            experts[f"{share:g} {one}, {other}"] = {one: share, other: 1.0 - share}
    if len(named) > 2:  # noqa: PLR2004 - of two the mean is there already
        experts["all"] = dict.fromkeys(named, 1.0 / len(named))
    return experts
