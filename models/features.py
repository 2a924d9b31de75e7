"""Features: the only place that names and computes them, shared by live, replay and scenarios.

A feature is a pure reading of a customer's state at an event time. Names are ``family`` or
``family.fact`` (for example ``count_7d.view.loan``); ``describe`` gives meaning and unit of each.
Every feature is finite; what is unknown has a stated neutral value. No feature grows with the age
of the stream, so a model cannot learn the calendar.
"""

from collections.abc import Callable, Sequence
from math import exp2

from msgspec import Struct

from needstream.models import decay
from needstream.schemas.money import EXPONENTS
from needstream.schemas.state import CustomerState
from needstream.schemas.times import DAY_MS, HOUR_MS

Reading = Callable[[CustomerState, int], float]
"""A compiled feature: state and event time in milliseconds to a finite number."""

NEVER_DAYS = 365.0
"""Days since something that never happened, and the cap of every such feature."""

_DAY, _WEEK, _MONTH = 0, 1, 2
"""The half-lives of a counter by place, named for what they are unless a pack says otherwise."""

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
    compile: Callable[[str, Sequence[float]], Reading]


def _count(place: int) -> Callable[[str, Sequence[float]], Reading]:
    def compiled(fact: str, half_lives_ms: Sequence[float]) -> Reading:
        half_life_ms = half_lives_ms[place]

        def reading(state: CustomerState, at_ms: int) -> float:
            return decay.read(state.counters.get(fact), place, at_ms=at_ms, half_life_ms=half_life_ms)

        return reading

    return compiled


def _amount(fact: str, half_lives_ms: Sequence[float]) -> Reading:
    half_life_ms = half_lives_ms[_MONTH]
    key = f"amount.{fact}"

    def reading(state: CustomerState, at_ms: int) -> float:
        return decay.read(state.counters.get(key), _MONTH, at_ms=at_ms, half_life_ms=half_life_ms)

    return reading


def _monthly(fact: str, half_lives_ms: Sequence[float]) -> Reading:
    """An estimate of the amount per 30 days, corrected for a short history."""
    half_life_ms = half_lives_ms[_MONTH]
    total = _amount(fact, half_lives_ms)

    def reading(state: CustomerState, at_ms: int) -> float:
        observed = 1.0 - exp2(-max(at_ms - state.first_ms, 30 * DAY_MS) / half_life_ms)
        return total(state, at_ms) * decay.LN2 * (30 * DAY_MS / half_life_ms) / observed

    return reading


def _days_since(fact: str, _: Sequence[float]) -> Reading:
    def reading(state: CustomerState, at_ms: int) -> float:
        counter = state.counters.get(fact)
        if counter is None:
            return NEVER_DAYS
        return min(NEVER_DAYS, max(0.0, (at_ms - counter[0]) / DAY_MS))

    return reading


def _pace(fact: str, half_lives_ms: Sequence[float]) -> Reading:
    """Rate of the last week against the rate of the last month: 1 is steady, 0 stopped."""
    week_ms, month_ms = half_lives_ms[_WEEK], half_lives_ms[_MONTH]

    def reading(state: CustomerState, at_ms: int) -> float:
        counter = state.counters.get(fact)
        if counter is None:
            return 1.0
        age_ms = max(at_ms - state.first_ms, DAY_MS)
        recent = decay.read(counter, _WEEK, at_ms=at_ms, half_life_ms=week_ms) / (
            week_ms * (1 - exp2(-age_ms / week_ms))
        )
        usual = decay.read(counter, _MONTH, at_ms=at_ms, half_life_ms=month_ms) / (
            month_ms * (1 - exp2(-age_ms / month_ms))
        )
        return min(10.0, recent / usual) if usual > 0 else 1.0

    return reading


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


def _major(state: CustomerState) -> float:
    currency = state.balance.currency if state.balance else ""
    return 10.0 ** EXPONENTS.get(currency, 2)


def _balance(state: CustomerState, _: int) -> float:
    return state.balance.newest / _major(state) if state.balance else 0.0


def _balance_usual(state: CustomerState, _: int) -> float:
    return state.balance.mean / _major(state) if state.balance else 0.0


def _balance_ratio(state: CustomerState, _: int) -> float:
    balance = state.balance
    if balance is None:
        return 1.0
    usual = max(balance.mean, _major(state))
    return max(-100.0, min(100.0, balance.newest / usual))


def _balance_excess(state: CustomerState, at_ms: int) -> float:
    return _balance(state, at_ms) - _balance_usual(state, at_ms)


def _balance_above_high(state: CustomerState, _: int) -> float:
    balance = state.balance
    if balance is None or balance.previous_high is None:
        return 0.0
    return (balance.newest - balance.previous_high) / _major(state)


def _balance_below_low(state: CustomerState, _: int) -> float:
    balance = state.balance
    if balance is None or balance.previous_low is None:
        return 0.0
    return (balance.previous_low - balance.newest) / _major(state)


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
    return max(-NEVER_DAYS, min(NEVER_DAYS, days))


def _credit_score(state: CustomerState, _: int) -> float:
    return float(state.credit.score) if state.credit else 0.0


def _credit_score_drop(state: CustomerState, _: int) -> float:
    return float(state.credit.reference - state.credit.score) if state.credit else 0.0


def _idle_days(state: CustomerState, at_ms: int) -> float:
    if not state.active_ms:
        return NEVER_DAYS
    return min(NEVER_DAYS, max(0.0, (at_ms - state.active_ms) / DAY_MS))


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
    feature = describe(name)
    return feature.compile(name.partition(".")[2], half_lives_ms)
