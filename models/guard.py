"""The guard: which matured examples must not be learned, because somebody may want the model to learn them.

In goes one labelled example after the other, out comes a reason or nothing. What it answers depends on the newest
examples it was shown and on nothing else, so shown those again in order it stands where it stood. Customers are held
as hashes of 8 bytes, and memory is bounded.

Not caught: copies of a vector that differ in any bit, and one need feigned by many accounts in many ways.
"""

import hashlib
import struct
from collections import deque

from needstream.models.features import NEVER_DAYS
from needstream.schemas.signals import LabelledExample, Quarantine
from needstream.schemas.times import parse_rfc3339

NEWEST = 2000
"""Examples that are remembered: show the guard as many to rebuild it."""

FEWEST_CUSTOMERS = 5
"""Customers with one and the same informative vector among the ``NEWEST``, from which on it is an attack."""
FEWEST_DISTINCT = 8
"""Distinct values that are not neutral, from which on a vector is informative.

One event gives about six (its decayed counts, its age, a pace), and customers who did one thing once share them
honestly.
"""

ALWAYS_FREE = 8
"""Examples of one customer among the ``NEWEST`` that are never too many."""
USUAL_TIMES = 5
"""More is too many above so many times what others usually have. Customers are sampled at about the same rate."""
SMALL_POPULATION = 10
"""With fewer customers than this among the ``NEWEST``, nobody is dominant: a demonstration must learn."""

LATEST_MS = 4_102_444_800_000
"""No label is due after the year 2099."""

LARGEST = 1e18
"""No feature is larger: an amount has at most 15 whole digits."""

_NEUTRAL = frozenset({0.0, 1.0, NEVER_DAYS})
_COUNTED = (0.0, 1e9)
_CAPS: dict[str, tuple[float, float]] = {
    "count_1d": _COUNTED,
    "count_7d": _COUNTED,
    "count_30d": _COUNTED,
    "days_since": (0.0, NEVER_DAYS),
    "pace": (0.0, 10.0),
    "hours_open": (0.0, 720.0),
    "balance_ratio": (-100.0, 100.0),
    "balance_observations": (0.0, 1000.0),
    "balance_known_days": (0.0, NEVER_DAYS),
    "salaries": (0.0, 100.0),
    "salary_interval_days": (0.0, NEVER_DAYS),
    "salary_irregularity_days": (0.0, NEVER_DAYS),
    "salary_overdue_days": (-NEVER_DAYS, NEVER_DAYS),
    "credit_score": (0.0, 1000.0),
    "credit_score_drop": (-1000.0, 1000.0),
    "idle_days": (0.0, NEVER_DAYS),
    "session_events": (0.0, 1000.0),
    "session_dwell_s": (0.0, 36_000.0),
}
"""What the readings of ``models.features`` can be, by family; others are held to ``LARGEST`` only."""


class Guard:
    """Judges the examples of one model, in the order in which they are learned.

    Parameters
    ----------
    features
        The names in the order of the values: each is then held to what its family can be. Without names every value
        is held to ``LARGEST``.
    """

    def __init__(self, features: tuple[str, ...] = (), *, horizon_ms: int | None = None) -> None:
        self._horizon_ms = horizon_ms
        self._caps = tuple(_CAPS.get(name.partition(".")[0], (-LARGEST, LARGEST)) for name in features)
        self._dominance = _Dominance()
        self._copies = _Copies()

    def judge(self, example: LabelledExample) -> Quarantine:
        """Why ``example`` must not be learned; empty when it may be. It is remembered either way."""
        customer = _hashed(example.customer_id.encode())
        is_possible = self._is_possible(example)
        is_dominant = self._dominance.finds(customer)
        is_repeated = self._copies.finds(customer, _informative(example.features) if is_possible else 0)
        if example.quarantine:
            return example.quarantine
        if not is_possible:
            return "impossible"
        if is_repeated:
            return "repeated"
        return "dominant" if is_dominant else ""

    def _is_possible(self, example: LabelledExample) -> bool:
        if not self._has_possible_times(example):
            return False
        said = example.contestants.values() if example.score is None else (example.score, *example.contestants.values())
        if not all(0.0 <= score <= 1.0 for score in said):
            return False
        values = example.features
        if not self._caps:
            return all(-LARGEST <= value <= LARGEST for value in values)
        if len(values) != len(self._caps):
            return False
        return all(low <= value <= high for value, (low, high) in zip(values, self._caps, strict=True))

    def _has_possible_times(self, example: LabelledExample) -> bool:
        try:
            predicted_ms, due_ms = parse_rfc3339(example.predicted_at), parse_rfc3339(example.due_at)
        except ValueError:
            return False
        if not 0 <= predicted_ms <= due_ms <= LATEST_MS:
            return False
        return self._horizon_ms is None or due_ms - predicted_ms == self._horizon_ms


class _Dominance:
    """Who gave how many of the newest examples."""

    def __init__(self) -> None:
        self._newest: deque[int] = deque()
        self._given: dict[int, int] = {}
        self._customers_with: dict[int, int] = {}

    def finds(self, customer: int) -> bool:
        """Take an example of ``customer``; whether there are too many of them now."""
        self._newest.append(customer)
        self._move(customer, 1)
        if len(self._newest) > NEWEST:
            self._move(self._newest.popleft(), -1)
        given = self._given[customer]
        if given <= ALWAYS_FREE or len(self._given) < SMALL_POPULATION:
            return False
        return given > USUAL_TIMES * self._usual(given)

    def _move(self, customer: int, by: int) -> None:
        before = self._given.get(customer, 0)
        _count(self._given, customer, by=by)
        if before:
            _count(self._customers_with, before, by=-1)
        if before + by:
            _count(self._customers_with, before + by, by=1)

    def _usual(self, given: int) -> int:
        """How many the customer of the median example of the others gave.

        Half of the examples would have to be made up to move it far, by few customers or by many; the mean per
        customer falls with every account that gives one.
        """
        others = len(self._newest) - given
        passed = 0
        for many in sorted(self._customers_with):
            customers = self._customers_with[many]
            passed += many * (customers - (many == given))
            if passed * 2 >= others:
                return many
        return given


class _Copies:
    """Which informative vectors were given, and under how many customers."""

    def __init__(self) -> None:
        self._newest: deque[tuple[int, int]] = deque()
        self._customers_of: dict[int, dict[int, int]] = {}

    def finds(self, customer: int, vector: int) -> bool:
        """Take the vector of ``customer``, 0 for none; whether too many others gave the same."""
        self._newest.append((customer, vector))
        if len(self._newest) > NEWEST:
            self._forget(*self._newest.popleft())
        if not vector:
            return False
        customers = self._customers_of.setdefault(vector, {})
        _count(customers, customer, by=1)
        return len(customers) >= FEWEST_CUSTOMERS

    def _forget(self, customer: int, vector: int) -> None:
        customers = self._customers_of.get(vector)
        if customers is not None:
            _count(customers, customer, by=-1)
            if not customers:
                del self._customers_of[vector]


def _count(counts: dict[int, int], key: int, *, by: int) -> None:
    """Count ``key``; 0 is not kept."""
    count = counts.get(key, 0) + by
    if count:
        counts[key] = count
    else:
        del counts[key]


def _informative(values: tuple[float, ...]) -> int:
    """The hash of a vector that says enough of a customer to be nobody else's, else 0."""
    if len(set(values) - _NEUTRAL) < FEWEST_DISTINCT:
        return 0
    return _hashed(struct.pack(f"<{len(values)}d", *values)) or 1


def _hashed(text: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
