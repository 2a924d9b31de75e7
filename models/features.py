"""Features: the only place that names and computes them, shared by live, replay and scenarios.

A feature is a pure reading of a customer's state at an event time. Names are ``family`` or
``family.fact`` (for example ``count_7d.view.loan``); ``describe`` gives meaning and unit of each.
Every feature is finite; what is unknown has a stated neutral value. No feature grows with the age
of the stream, so a model cannot learn the calendar.
"""

from collections.abc import Callable, Sequence
from math import copysign

from msgspec import Struct

from needstream.models import counter_readings
from needstream.models.counter_readings import CounterReading, Reading, Vector
from needstream.schemas.money import EXPONENTS
from needstream.schemas.state import CustomerState
from needstream.schemas.times import DAY_MS, HOUR_MS

NEVER_DAYS = 365.0
"""Days since something that never happened, and the cap of every such feature."""

_DAY, _WEEK, _MONTH = 0, 1, 2
"""The half-lives of a counter by place, named for what they are unless a pack says otherwise."""

__all__ = [
    "FAMILIES",
    "NEVER_DAYS",
    "Feature",
    "Reading",
    "UnknownFeature",
    "Vector",
    "compile_feature",
    "compile_vector",
    "describe",
]

_MOST_TIMES = 100.0
"""The largest ratio told apart."""

_PAIR = 2
"""Salaries it takes to know an interval."""


class UnknownFeature(ValueError):
    """Raised when a name is no feature; the message lists what would be valid."""


class Feature(Struct, frozen=True):
    """A named feature: ``takes_fact`` tells whether the name continues with a fact."""

    family: str
    unit: str
    meaning: str
    takes_fact: bool
    compile: Callable[[str, Sequence[float]], Reading | CounterReading]


def _count(place: int) -> Callable[[str, Sequence[float]], CounterReading]:
    return lambda fact, _half_lives: CounterReading(fact, f"left{place}", 0.0)


def _amount(fact: str, _: Sequence[float]) -> CounterReading:
    return CounterReading(f"amount.{fact}", "left2", 0.0)


def _monthly(fact: str, _: Sequence[float]) -> CounterReading:
    """An estimate of the amount per 30 days, corrected for a short history."""
    return CounterReading(f"amount.{fact}", "left2 * LN2 * (MONTH_MS / half_life2) / observed", 0.0)


def _days_since(fact: str, _: Sequence[float]) -> CounterReading:
    since = "(days if days < {most} else {most}) if (days := (at_ms - last_ms) / DAY_MS) > 0.0 else 0.0"
    return CounterReading(fact, since.format(most=NEVER_DAYS), NEVER_DAYS)


def _pace(fact: str, _: Sequence[float]) -> CounterReading:
    """Rate of the last week against the rate of the last month: 1 is steady, 0 stopped."""
    paced = "(pace if (pace := left1 / steady1 / usual) < 10.0 else 10.0)"
    known = f"{paced} if (usual := left2 / steady2) > 0 else 1.0"
    return CounterReading(fact, known, 1.0)


def _hours_open(fact: str, _: Sequence[float]) -> Reading:
    """Hours since the last step of an application that was not submitted since."""
    form, submitted = f"form.{fact}", f"apply.{fact}"

    def reading(state: CustomerState, at_ms: int) -> float:
        started = state.counters.get(form)
        if started is None:
            return 0.0
        finished = state.counters.get(submitted)
        if finished is not None and finished[0] >= started[0]:
            return 0.0
        return min(720.0, max(0.0, (at_ms - started[0]) / HOUR_MS))

    return reading


_MINOR = {currency: 10.0**exponent for currency, exponent in EXPONENTS.items()}
_USUALLY = 100.0
"""Minor units of one unit, by currency and of any other."""


def _balance(state: CustomerState, _: int) -> float:
    balance = state.balance
    return balance.newest / _MINOR.get(balance.currency, _USUALLY) if balance else 0.0


def _balance_usual(state: CustomerState, _: int) -> float:
    balance = state.balance
    return balance.mean / _MINOR.get(balance.currency, _USUALLY) if balance else 0.0


def _balance_ratio(state: CustomerState, _: int) -> float:
    balance = state.balance
    if balance is None:
        return 1.0
    usual, unit = balance.mean, _MINOR.get(balance.currency, _USUALLY)
    ratio = balance.newest / (usual if usual > unit else unit)
    return ratio if -_MOST_TIMES <= ratio <= _MOST_TIMES else copysign(_MOST_TIMES, ratio)


def _balance_excess(state: CustomerState, at_ms: int) -> float:
    return _balance(state, at_ms) - _balance_usual(state, at_ms)


def _balance_above_high(state: CustomerState, _: int) -> float:
    balance = state.balance
    if balance is None or balance.previous_high is None:
        return 0.0
    return (balance.newest - balance.previous_high) / _MINOR.get(balance.currency, _USUALLY)


def _balance_below_low(state: CustomerState, _: int) -> float:
    balance = state.balance
    if balance is None or balance.previous_low is None:
        return 0.0
    return (balance.previous_low - balance.newest) / _MINOR.get(balance.currency, _USUALLY)


def _balance_observations(state: CustomerState, _: int) -> float:
    return float(min(state.balance.observations, 1000)) if state.balance else 0.0


def _balance_known_days(state: CustomerState, at_ms: int) -> float:
    if state.balance is None:
        return 0.0
    return min(NEVER_DAYS, max(0.0, (at_ms - state.balance.first_ms) / DAY_MS))


def _salaries(state: CustomerState, _: int) -> float:
    return float(min(state.income.salaries, 100)) if state.income else 0.0


def _salary_interval_days(state: CustomerState, _: int) -> float:
    return min(NEVER_DAYS, state.income.interval_days) if state.income else 0.0


def _salary_irregularity_days(state: CustomerState, _: int) -> float:
    return min(NEVER_DAYS, state.income.irregularity_days) if state.income else 0.0


def _salary_overdue_days(state: CustomerState, at_ms: int) -> float:
    income = state.income
    if income is None or income.salaries < _PAIR:
        return 0.0
    days = (at_ms - income.last_ms) / DAY_MS - income.interval_days
    return days if -NEVER_DAYS <= days <= NEVER_DAYS else copysign(NEVER_DAYS, days)


def _credit_score(state: CustomerState, _: int) -> float:
    return float(state.credit.score) if state.credit else 0.0


def _credit_score_drop(state: CustomerState, _: int) -> float:
    return float(state.credit.reference - state.credit.score) if state.credit else 0.0


def _idle_days(state: CustomerState, at_ms: int) -> float:
    if not state.active_ms:
        return NEVER_DAYS
    days = (at_ms - state.active_ms) / DAY_MS
    return 0.0 if days < 0.0 else days if days < NEVER_DAYS else NEVER_DAYS


def _payment_surprise(state: CustomerState, at_ms: int) -> float:
    """The newest payment is news for a day; whoever looks later asks about something else."""
    payments = state.payments
    if payments is None or at_ms - payments.last_ms > DAY_MS:
        return 0.0
    return payments.surprise


def _payments_known(state: CustomerState, _: int) -> float:
    return float(min(state.payments.observations, 1000)) if state.payments else 0.0


def _unusual(state: CustomerState, _: int) -> float:
    return state.unusual


def _session_events(state: CustomerState, _: int) -> float:
    return float(min(state.session.events, 1000)) if state.session else 0.0


def _session_dwell_s(state: CustomerState, _: int) -> float:
    return min(state.session.dwell_ms / 1000, 36_000.0) if state.session else 0.0


def _plain(reading: Reading) -> Callable[[str, Sequence[float]], Reading]:
    return lambda _fact, _half_lives: reading


_FAMILIES: tuple[Feature, ...] = (
    Feature("count_1d", "count", "decayed count of a fact, first half-life", True, _count(_DAY)),
    Feature("count_7d", "count", "decayed count of a fact, second half-life", True, _count(_WEEK)),
    Feature("count_30d", "count", "decayed count of a fact, third half-life", True, _count(_MONTH)),
    Feature("amount_30d", "currency", "decayed sum of amounts, third half-life", True, _amount),
    Feature("monthly", "currency", "estimated amount per 30 days", True, _monthly),
    Feature("days_since", "days", "days since a fact, 365 for never", True, _days_since),
    Feature("pace", "ratio", "week's rate over month's rate, 1 when unknown", True, _pace),
    Feature("hours_open", "hours", "hours an application waits, 0 for none", True, _hours_open),
    Feature("balance", "currency", "newest balance, 0 when unknown", False, _plain(_balance)),
    Feature("balance_usual", "currency", "time-weighted mean balance before the newest", False, _plain(_balance_usual)),
    Feature("balance_ratio", "ratio", "newest over usual balance, 1 when unknown", False, _plain(_balance_ratio)),
    Feature("balance_excess", "currency", "newest minus usual balance", False, _plain(_balance_excess)),
    Feature(
        "balance_above_high",
        "currency",
        "newest minus last month's highest balance",
        False,
        _plain(_balance_above_high),
    ),
    Feature(
        "balance_below_low", "currency", "last month's lowest minus newest balance", False, _plain(_balance_below_low)
    ),
    Feature("balance_observations", "count", "balances seen, at most 1000", False, _plain(_balance_observations)),
    Feature("balance_known_days", "days", "days since the first balance", False, _plain(_balance_known_days)),
    Feature("salaries", "count", "salaries seen, at most 100", False, _plain(_salaries)),
    Feature("salary_interval_days", "days", "usual days between salaries", False, _plain(_salary_interval_days)),
    Feature(
        "salary_irregularity_days",
        "days",
        "usual deviation from that interval",
        False,
        _plain(_salary_irregularity_days),
    ),
    Feature(
        "salary_overdue_days",
        "days",
        "days since the salary was due, negative before",
        False,
        _plain(_salary_overdue_days),
    ),
    Feature("credit_score", "points", "newest credit score, 0 when unknown", False, _plain(_credit_score)),
    Feature("credit_score_drop", "points", "reference minus newest credit score", False, _plain(_credit_score_drop)),
    Feature("idle_days", "days", "days since the customer's last own activity", False, _plain(_idle_days)),
    Feature(
        "payment_surprise",
        "deviations",
        "newest outgoing payment above the customer's usual, 0 after a day",
        False,
        _plain(_payment_surprise),
    ),
    Feature("payments_known", "count", "outgoing payments seen, at most 1000", False, _plain(_payments_known)),
    Feature("unusual", "share", "predictions less unusual than the newest, 0 to 1", False, _plain(_unusual)),
    Feature("session_events", "count", "events of the open session", False, _plain(_session_events)),
    Feature("session_dwell_s", "seconds", "dwell time of the open session", False, _plain(_session_dwell_s)),
)

FAMILIES: dict[str, Feature] = {feature.family: feature for feature in _FAMILIES}


def describe(name: str) -> Feature:
    """The family of a feature name.

    Raises:
        UnknownFeature: no such family, or a fact is missing or superfluous.
    """
    family, _, fact = name.partition(".")
    feature = FAMILIES.get(family)
    if feature is None:
        msg = f"{name!r} is no feature; families are {', '.join(sorted(FAMILIES))}"
        raise UnknownFeature(msg)
    if feature.takes_fact != bool(fact):
        wanted = f"{family}.<fact>" if feature.takes_fact else family
        msg = f"{name!r} is no feature; write {wanted}"
        raise UnknownFeature(msg)
    return feature


def compile_feature(name: str, half_lives_ms: Sequence[float]) -> Reading:
    """The reading of a feature name.

    Raises:
        UnknownFeature: as ``describe``.
    """
    compiled = _compiled(name, half_lives_ms)
    return counter_readings.single(compiled, half_lives_ms) if isinstance(compiled, CounterReading) else compiled


def compile_vector(names: Sequence[str], half_lives_ms: Sequence[float]) -> Vector:
    """The readings of several features as one function, which gives what each gives alone.

    Raises:
        UnknownFeature: as ``describe``.
    """
    return counter_readings.together([_compiled(name, half_lives_ms) for name in names], half_lives_ms)


def _compiled(name: str, half_lives_ms: Sequence[float]) -> Reading | CounterReading:
    return describe(name).compile(name.partition(".")[2], half_lives_ms)
