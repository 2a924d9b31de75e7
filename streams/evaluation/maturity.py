"""When labels become visible, and how the figures of a model would look to somebody who judges too early.

In goes a history, out come figures by age. A label is settled early only one way: a conversion shows a need, an
activity shows that a customer has not left; the other class shows at the end of the horizon. Examples do not carry when
the fact was seen. It is bracketed by the same customer's other predictions (one whose horizon stayed empty; one whose
features tell the days since the fact), and any moment within the bracket is taken for as likely as any other.
"""

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from needstream.schemas.times import DAY_MS
from needstream.streams.evaluation import measures
from needstream.streams.evaluation.histories import Flags, Floats, History, Times

AGES = (0.25, 0.5, 0.75, 1.0)
_NEVER_DAYS = 365.0


class Age(Struct, frozen=True, kw_only=True):
    """The view at one age, a share of the horizon, with what is not visible yet taken for the other class.

    ``visible`` is the share of the early class that has shown itself by then.
    """

    age: float
    visible: float | None
    auc: float | None
    log_loss: float | None


def by_age(history: History, judged: Flags) -> list[Age]:
    """The figures of the served score as they would look at each age of the predictions."""
    seen = brackets(history)
    early = history.labels == history.shows
    wanted, scores = float((early & judged).sum()), history.served[judged]
    found = []
    for age in AGES:
        shown = early * seen.share_by(history.asked_ms + age * history.horizon_ms) if age < 1.0 else 1.0 * early
        provisional = (shown if history.shows else 1.0 - shown)[judged]
        found.append(
            Age(
                age=age,
                visible=float(shown[judged].sum()) / wanted if wanted else None,
                auc=measures.roc_auc(scores, provisional),
                log_loss=_loss(scores, provisional),
            )
        )
    return found


class Brackets(Struct, frozen=True):
    """Between which times, milliseconds, the fact first showed; both the end of the horizon where it never did."""

    earliest_ms: Times
    latest_ms: Times

    def share_by(self, limit_ms: NDArray[np.floating[Any]]) -> Floats:
        """How likely it had shown by then."""
        width = np.maximum(self.latest_ms - self.earliest_ms, 1)
        share: Floats = np.clip((limit_ms - self.earliest_ms) / width, 0.0, 1.0)
        return share

    def middle_ms(self) -> Times:
        """The middle of each bracket."""
        middle: Times = (self.earliest_ms + self.latest_ms) // 2
        return middle


def brackets(history: History) -> Brackets:
    """When the fact first showed after each prediction, as closely as the customer's other examples tell."""
    earliest, latest = history.due_ms.copy(), history.due_ms.copy()
    if not history.facts:
        # A decline is measured at the end of the horizon: no neighbour tells of it earlier.
        return Brackets(earliest, latest)
    last_ms = _last_fact_ms(history)
    for places in by_customer(history.customers):
        for place in places:
            if history.labels[place] == history.shows:
                earliest[place], latest[place] = _bracket(history, places, place=place, last_ms=last_ms)
    return Brackets(earliest, latest)


def _loss(scores: Floats, shares: Floats) -> float | None:
    if not scores.size:
        return None
    positive, negative = (measures.losses(scores, np.full(scores.size, label)) for label in (True, False))
    return float((shares * positive + (1.0 - shares) * negative).mean())


def by_customer(customers: Times) -> list[list[int]]:
    """The places of each customer's predictions, in order of asking."""
    found: dict[int, list[int]] = {}
    for place, customer in enumerate(customers.tolist()):
        found.setdefault(customer, []).append(place)
    return list(found.values())


def _bracket(history: History, places: list[int], *, place: int, last_ms: Floats) -> tuple[int, int]:
    asked_ms = int(history.asked_ms[place])
    earliest, latest = asked_ms, int(history.due_ms[place])
    for other in places:
        other_ms = int(history.asked_ms[other])
        if other_ms >= latest or other_ms > int(history.due_ms[place]):
            break
        is_empty = history.labels[other] != history.shows
        if other_ms < asked_ms and is_empty:
            earliest = max(earliest, min(latest, int(history.due_ms[other])))
        elif other_ms > asked_ms:
            if asked_ms <= last_ms[other] < latest:
                latest = int(last_ms[other])
            elif is_empty:
                latest = min(latest, other_ms)
    return min(earliest, latest), latest


def _last_fact_ms(history: History) -> Floats:
    """When the newest fact before each prediction was, NaN where the features do not tell."""
    names = [f"days_since.{fact}" for fact in history.facts]
    if "customer.activity" in history.facts:
        names.append("idle_days")
    known = [history.features.index(name) for name in names if name in history.features]
    if not known:
        return np.full(history.labels.size, np.nan)
    days = history.values[:, known].min(axis=1)
    return np.where(days < _NEVER_DAYS, history.asked_ms - days * DAY_MS, np.nan)
