"""Planted payments far above a customer's habit: which of the large payments of other plants are, by plain statistics.

A payment counts when twenty were made before it and it lies five standard deviations (at least half a unit each) of the
logarithms of all of them above their mean, and when it leaves the account clearly below its usual level.
"""

from typing import Final

from needstream.simulation import timeline, truth
from needstream.simulation.life import Life

_FAR_ABOVE: Final = 5.0
_FEWEST = 20
_STILL_FULL = 0.9
"""Share of the usual balance from which on nobody would worry."""


def note_if_unusual(life: Life, at_ms: int, *, amounts_minor: list[int]) -> None:
    """Say so if one of the payments that are about to be made within minutes is far above the habit.

    Who takes the money away in several payments is noticed at the first of them.
    """
    habit = life.journal.payments
    left_minor = life.journal.balance_minor - sum(amounts_minor)
    if habit.is_left or habit.count < _FEWEST or left_minor > _STILL_FULL * life.customer.target_minor:
        return
    if all(habit.deviations(amount_minor) < _FAR_ABOVE for amount_minor in amounts_minor):
        return
    habit.is_left = True
    life.plant(
        truth.Claim("unusual_payment", "risk", need="security", note="a payment far above all before it"),
        starts_at_ms=at_ms,
        window_ms=(at_ms - timeline.MINUTE_MS, at_ms + timeline.HOUR_MS),
    )
