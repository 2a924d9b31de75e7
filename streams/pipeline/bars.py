"""Over which score a model speaks of a customer: the expert's, else the one chosen from labels, else the declared one.

The leaving score stands as far below the entering one as the pack declares, in proportion.
"""

from msgspec import Struct

from needstream.schemas import pack
from needstream.schemas.parts import Traits


class Bar(Struct, frozen=True):
    """A model speaks from ``enter`` up, and is silent after that until its score has fallen to ``leave``.

    From 1 up it is silent: no threshold keeps what the pack asks for. ``override`` is the expert's rule it comes from,
    if it does.
    """

    enter: float
    leave: float
    override: pack.Override | None = None

    def speaks(self, score: float) -> bool:
        """Whether a score is worth a candidate."""
        return self.enter < 1.0 and score >= self.enter


def bar(declared: pack.Model, traits: Traits, *, chosen: float | None) -> Bar:
    """The bar for a customer with these traits; ``chosen`` is the threshold that labels speak for, if they do."""
    override = next((each for each in declared.overrides if _matches(each, traits)), None)
    learned = declared.enter_score if chosen is None else chosen
    enter = learned if override is None else override.enter_score
    gap = declared.leave_score / declared.enter_score if declared.enter_score else 1.0
    return Bar(enter, enter * gap, override)


def _matches(override: pack.Override, traits: Traits) -> bool:
    asked = ((override.tier, traits.tier), (override.age_band, traits.age_band), (override.channel, traits.channel))
    return all(wanted in (None, found) for wanted, found in asked)
