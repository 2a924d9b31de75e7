"""What is declared of one model's learning: who takes part, when one replaces another, what the threshold is for."""

from msgspec import Struct

from needstream.models import contestants
from needstream.models.standing import BLEND
from needstream.schemas import pack


class Rules(Struct, frozen=True, kw_only=True):
    """What a pack declares of one model's learning.

    Attributes:
        promotion: when a challenger becomes champion.
        target: what the threshold is chosen for, None to leave it as declared.
        enter_score: the declared threshold.
        horizon_ms: how long after the prediction the label is due, None for whatever examples say.
        assumes: the label that is assumed at once and corrected if it turns out wrong; None to wait for the horizon.
        watches: the model's examples also tell what is usual among all customers.
    """

    champion: pack.Contestant = "pair"
    challengers: tuple[pack.Contestant, ...] = ()
    promotion: pack.Promotion = pack.Promotion()
    target: pack.Target | None = None
    enter_score: float = 0.5
    horizon_ms: int | None = None
    assumes: bool | None = None
    watches: bool = False

    def kinds(self) -> tuple[pack.Contestant, ...]:
        """The contestants that can be had here, the declared champion first; where there is none of them, the pair."""
        named = (self.champion, *self.challengers)
        members = [kind for kind in named if kind != BLEND and self._can_learn(kind)]
        if not members:
            return ("pair",)
        return tuple(kind for kind in named if kind in members or (kind == BLEND and len(members) > 1))

    def _can_learn(self, kind: str) -> bool:
        """Whether a contestant can learn here; early labels have weights, which one that keeps examples would lose."""
        return contestants.is_available(kind) and (self.assumes is None or not contestants.keeps_examples(kind))
