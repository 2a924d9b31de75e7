"""One customer's life during the simulation: the agenda of things to come, pauses, slow weeks, interests, truth.

Plants and latent needs write into the agenda before the first day; `behaviours` lives the days in order.
"""

import dataclasses
import heapq
import random
from collections.abc import Callable
from typing import TypeAlias

from needstream.simulation import chance, journal, parameters, population, timeline, truth

Action: TypeAlias = "Callable[[Life, int], None]"
"""Something that happens at a time (milliseconds since 1970)."""

FOREVER_DAY = 1 << 30


@dataclasses.dataclass(frozen=True, slots=True)
class Stretch:
    """Days from ``first`` up to but not including ``after``, with a factor on the customer's activity."""

    first: int
    after: int
    factor: float = 1.0

    def holds(self, day: int) -> bool:
        """Return whether the day lies within."""
        return self.first <= day < self.after


@dataclasses.dataclass(frozen=True, slots=True)
class Interest:
    """A latent need: for these days the customer looks at the need's pages with this chance per session."""

    need: str
    first: int
    after: int
    intensity: float


@dataclasses.dataclass(slots=True)
class Life:
    """Everything one customer will do; actions of one day run in the order of their times."""

    customer: population.Customer
    chosen: parameters.SimulationParameters
    rng: random.Random
    journal: journal.Journal
    planted: list[truth.Planted]
    agenda: dict[int, list[tuple[int, int, Action]]] = dataclasses.field(default_factory=dict)
    silences: list[Stretch] = dataclasses.field(default_factory=list)
    slow_weeks: list[Stretch] = dataclasses.field(default_factory=list)
    interests: list[Interest] = dataclasses.field(default_factory=list)
    no_loan_pages: list[Stretch] = dataclasses.field(default_factory=list)
    leaves_on: int = FOREVER_DAY
    """From this day on the account is no longer topped up or swept: the customer is leaving."""
    loan_need_known_until: int = 0
    """Before this day, another burst of loan views belongs to the latent need that is already in the truth."""
    may_complain: bool = True
    roles: list[str] = dataclasses.field(default_factory=list)
    _order: int = 0

    def schedule(self, at_ms: int, action: Action) -> None:
        """Let something happen at a time; what falls after the last day never happens."""
        day = (at_ms - self.chosen.start_ms) // timeline.DAY_MS
        self._order += 1
        heapq.heappush(self.agenda.setdefault(day, []), (at_ms, self._order, action))

    def waking(self, day: int) -> int:
        """Return a random time of the day (milliseconds since 1970) that fits the customer's rhythm."""
        rng = self.rng
        if chance.happens(rng, self.customer.persona.evening):
            minute = int(rng.triangular(17 * 60, 23 * 60, 20 * 60))
        else:
            minute = int(rng.triangular(7 * 60, 19 * 60, 12 * 60 + 30))
        return self.chosen.at(day, minute * timeline.MINUTE_MS + rng.randrange(timeline.MINUTE_MS))

    def current_interests(self, at_ms: int) -> list[Interest]:
        """Return the latent needs the customer has at a time."""
        if not self.interests:
            return []
        day = (at_ms - self.chosen.start_ms) // timeline.DAY_MS
        return [interest for interest in self.interests if interest.first <= day < interest.after]

    def is_silent(self, day: int) -> bool:
        """Return whether the customer does nothing at all that day."""
        return any(stretch.holds(day) for stretch in self.silences)

    def activity(self, day: int) -> float:
        """Return the factor on the customer's usual activity for the day, 1 when nothing is special."""
        factor = 1.0
        for stretch in self.slow_weeks:
            if stretch.holds(day):
                factor *= stretch.factor
        return factor

    def may(self, kind: str) -> bool:
        """Return whether the customer's consents let a signal of this kind (need, churn, care) out."""
        customer = self.customer
        if kind == "need":
            return customer.marketing == population.GRANTED
        if kind == "churn":
            return customer.profiling != population.DENIED
        return customer.service != population.DENIED

    def plant(self, claim: truth.Claim, *, starts_at_ms: int, window_ms: tuple[int, int]) -> None:
        """Record a row of truth; without the consent it needs an expected signal becomes one that must not appear."""
        allowed = self.may({"churner": "churn", "latent": "need"}.get(claim.kind, claim.kind))
        self.planted.append(
            truth.Planted(
                customer_id=self.customer.customer_id,
                kind=claim.kind,
                starts_at_ms=starts_at_ms,
                expected_from_ms=window_ms[0],
                expected_until_ms=window_ms[1],
                expected=claim.expected and allowed,
                scenario=claim.scenario,
                need=claim.need,
                product=claim.product,
                churned_at_ms=claim.churned_at_ms,
                note=truth.NO_CONSENT if claim.expected and not allowed else claim.note,
            )
        )
