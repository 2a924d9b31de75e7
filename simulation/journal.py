"""One customer's event log and account: every event is made here, so ids are unique and balances add up exactly.

Inputs: what happens, in the order of money movements.  Output: encoded records.  Invariant: each account-moving
transaction's ``balance_after`` is the previous one plus or minus its amount, to the minor unit.
"""

import dataclasses
import math
from typing import Final, NamedTuple

import msgspec

from needstream.simulation import catalogue, population, timeline

TOPICS: Final = ("customers.v1", "clickstream.v1", "transactions.v1", "feedback.v1", "outcomes.v1")
CUSTOMERS, CLICKSTREAM, TRANSACTIONS, FEEDBACK, OUTCOMES = range(5)

INCOMING: Final = frozenset(
    ("deposit", "transfer_in", "refund", "loan_disbursement", "interest", "investment_sell"),
)
OUTGOING: Final = frozenset(
    (
        "withdrawal", "transfer_out", "card_payment", "instalment", "loan_repayment", "card_repayment", "fee",
        "fx_remittance", "investment_buy", "insurance_premium", "purchase",
    ),
)  # fmt: skip
PAYMENTS: Final = frozenset(("withdrawal", "transfer_out", "card_payment", "fx_remittance"))
"""The outgoing money whose amount the customer chooses."""
NO_ACTIVITY: Final = frozenset(("fee", "interest", "balance", "instalment", "loan_repayment"))
"""Transactions the bank makes by itself: they are no sign of life."""
INTEREST_HALF_LIFE_MS: Final = 7 * timeline.DAY_MS

# Not orjson: its bytes keep the kilobyte they were built in, four times the memory for events kept in a list.
encode = msgspec.json.encode


class Record(NamedTuple):
    """One encoded event before its way to the broker is decided."""

    event_time_ms: int
    topic: int
    """Index in TOPICS."""
    key: str
    event: bytes
    is_plain_view: bool
    """A view of a page without a product, which may get lost for days without changing what was planted."""


def money_text(amount_minor: int) -> str:
    """Format minor units as a decimal text with two places, for example ``-12.05``."""
    whole, cents = divmod(abs(amount_minor), 100)
    return f"{'-' if amount_minor < 0 else ''}{whole}.{cents:02d}"


@dataclasses.dataclass(slots=True)
class DecayedCount:
    """A count that halves every seven days; mirrors the interest counters of the bank pack."""

    level: float = 0.0
    at_ms: int = 0

    def at(self, when_ms: int) -> float:
        """Return the count at a time not before the last addition."""
        return self.level * math.exp2(-max(0, when_ms - self.at_ms) / INTEREST_HALF_LIFE_MS)

    def add(self, when_ms: int) -> float:
        """Count one more and return the count after it."""
        self.level = self.at(when_ms) + 1
        self.at_ms = max(self.at_ms, when_ms)
        return self.level


@dataclasses.dataclass(slots=True)
class PaymentHabit:
    """Mean and spread of the logarithms of all payments so far (Welford, 1962)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    is_left: bool = False
    """Whether the truth knows of a payment far above it already."""

    def add(self, amount_minor: int) -> None:
        """Take one more payment in."""
        size = math.log1p(amount_minor / 100)
        self.count += 1
        excess = size - self.mean
        self.mean += excess / self.count
        self.squares += excess * (size - self.mean)

    def deviations(self, amount_minor: int) -> float:
        """Return how many standard deviations (at least 0.5 each) an amount lies above the mean."""
        deviation = max(0.5, math.sqrt(self.squares / max(1, self.count)))
        return (math.log1p(amount_minor / 100) - self.mean) / deviation


class Journal:
    """Writes the events of one customer and keeps the account's balance."""

    def __init__(self, customer: population.Customer, records: list[Record]) -> None:
        """Start an account at the customer's usual balance; new records are appended to ``records``."""
        self.customer = customer
        self.records = records
        self.balance_minor = customer.target_minor
        self.last_activity_ms = 0
        self.loan_views = DecayedCount()
        self.rate_views = DecayedCount()
        self.payments = PaymentHabit()
        self._last_money_ms = 0
        self._events = 0
        self._sessions = 0

    def next_session_id(self) -> str:
        """Return an id for a new web session."""
        self._sessions += 1
        return f"s{self.customer.number:05x}{self._sessions:03x}"

    def click(self, at_ms: int, event_type: str, *, fields: dict[str, object], anonymous_id: str | None = None) -> None:
        """Write a clickstream event; with ``anonymous_id`` the customer is not known yet, except to `identify`."""
        event: dict[str, object] = self._event(at_ms, event_type)
        key = self.customer.customer_id
        if anonymous_id is not None:
            event["anonymous_id"] = anonymous_id
            if event_type != "identify":
                del event["customer_id"]
                key = anonymous_id
        event.update(fields)
        if key != anonymous_id:
            self.last_activity_ms = max(self.last_activity_ms, at_ms)
        is_plain_view = event_type == "page_view" and fields.get("url") in catalogue.GENERAL_PAGES
        self.records.append(Record(at_ms, CLICKSTREAM, key, encode(event), is_plain_view))

    def money(self, at_ms: int, event_type: str, /, *, amount_minor: int, **fields: object) -> bool:
        """Write an account-moving transaction of a positive amount in minor units.

        Returns:
            Whether it was made: outgoing money beyond 97 % of the balance is refused and leaves no event.
        """
        if event_type in INCOMING:
            balance_minor = self.balance_minor + amount_minor
        else:
            balance_minor = self.balance_minor - amount_minor
            if amount_minor <= 0 or amount_minor > self.balance_minor * 0.97:
                return False
        at_ms = max(at_ms, self._last_money_ms + timeline.SECOND_MS)
        self._last_money_ms = at_ms
        self.balance_minor = balance_minor
        if event_type in PAYMENTS:
            self.payments.add(amount_minor)
        self._transaction(
            at_ms,
            event_type,
            amount=money_text(amount_minor),
            balance_after=money_text(balance_minor),
            fields=fields,
        )
        return True

    def application(self, at_ms: int, product: str, /, *, amount_minor: int = 0, **fields: object) -> None:
        """Write a completed application for a product; the amount asked for may be 0."""
        self._transaction(at_ms, "application", amount=money_text(amount_minor), fields={"product": product, **fields})

    def balance(self, at_ms: int) -> None:
        """Write the bank's statement of the balance."""
        at_ms = max(at_ms, self._last_money_ms + timeline.SECOND_MS)
        self._last_money_ms = at_ms
        text = money_text(self.balance_minor)
        self._transaction(at_ms, "balance", amount=text, balance_after=text, fields={})

    def customer_event(self, at_ms: int, event_type: str, *, fields: dict[str, object]) -> None:
        """Write a customers event (profile, consent, preference, credit score)."""
        self._append(at_ms, event_type, topic=CUSTOMERS, fields=fields)

    def feedback(self, at_ms: int, event_type: str, *, fields: dict[str, object]) -> None:
        """Write a feedback event."""
        self._append(at_ms, event_type, topic=FEEDBACK, fields=fields)

    def _transaction(
        self, at_ms: int, event_type: str, *, amount: str, balance_after: str | None = None, fields: dict[str, object]
    ) -> None:
        event = self._event(at_ms, event_type)
        event["amount"] = amount
        event["currency"] = self.customer.currency
        if balance_after is not None:
            event["balance_after"] = balance_after
        event.update((name, value) for name, value in fields.items() if value is not None)
        if event_type not in NO_ACTIVITY:
            self.last_activity_ms = max(self.last_activity_ms, at_ms)
        self.records.append(Record(at_ms, TRANSACTIONS, self.customer.customer_id, encode(event), False))

    def _append(self, at_ms: int, event_type: str, *, topic: int, fields: dict[str, object]) -> None:
        event = self._event(at_ms, event_type)
        event.update(fields)
        self.records.append(Record(at_ms, topic, self.customer.customer_id, encode(event), False))

    def _event(self, at_ms: int, event_type: str) -> dict[str, object]:
        self._events += 1
        return {
            "event_id": f"e{self.customer.number:05x}{self._events:04x}",
            "event_type": event_type,
            "event_time": timeline.rfc3339(at_ms),
            "customer_id": self.customer.customer_id,
        }
