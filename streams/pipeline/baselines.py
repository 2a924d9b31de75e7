"""Each customer's own habits: balance, income, credit score, and decayed amounts.

Balances are exact minor units. Amounts in another currency than the customer's home currency are
counted but not added up: without a rate their sum would mean nothing.
"""

from math import exp2

from needstream.models import decay
from needstream.schemas import events, money
from needstream.schemas.parts import Balance, Credit, Income
from needstream.schemas.state import CustomerState
from needstream.schemas.times import DAY_MS
from needstream.streams.pipeline.definitions import Definitions

BUCKET_MS = 30 * DAY_MS
SAME_SALARY_DAYS = 10.0
"""Payments closer together than this belong to one salary."""

REFERENCE_DAYS = 365
"""How long an earlier best credit score stays the reference."""

_LEARNING = 0.3


def observe_transaction(
    state: CustomerState, transaction: events.Transaction, *, at_ms: int, definitions: Definitions
) -> None:
    """Take the amount and the balance of a transaction into the habits."""
    add_amount(state, transaction, at_ms=at_ms, definitions=definitions)
    stated = transaction.amount if transaction.event_type == "balance" else transaction.balance_after
    if stated is not None:
        balance_minor = money.minor_units(stated, transaction.currency)
        half_life_ms = definitions.balance_half_life_ms
        observe_balance(state, balance_minor, at_ms=at_ms, currency=transaction.currency, half_life_ms=half_life_ms)


def add_amount(state: CustomerState, transaction: events.Transaction, *, at_ms: int, definitions: Definitions) -> None:
    """Add the amount to its kind's decayed sum, in any order."""
    currency = transaction.currency
    home = state.traits.home_currency
    if not home:
        home = state.traits.home_currency = currency
    counted = definitions.amounts.get(transaction.event_type)
    if counted is None or currency != home:
        return
    # The text has been checked. Whole currency units are rounded once, to what its minor units divided would be.
    amount = float(transaction.amount)
    decay.add(state.counters, counted, amount=amount, at_ms=at_ms, half_lives_ms=definitions.half_lives_ms)


def observe_balance(
    state: CustomerState, balance_minor: int, *, at_ms: int, currency: str, half_life_ms: float
) -> None:
    """Let the old balance count for the time it stood, then take the new one; an older one changes nothing."""
    balance = state.balance
    if balance is None:
        state.balance = Balance(
            currency=currency,
            newest=balance_minor,
            newest_ms=at_ms,
            first_ms=at_ms,
            observations=1,
            mean=float(balance_minor),
            bucket_ms=at_ms,
            low=balance_minor,
            high=balance_minor,
        )
        return
    if currency != balance.currency or at_ms < balance.newest_ms:
        return
    kept = exp2((balance.newest_ms - at_ms) / half_life_ms)
    balance.mean = balance.mean * kept + balance.newest * (1.0 - kept)
    if at_ms - balance.bucket_ms >= BUCKET_MS:
        balance.previous_low, balance.previous_high = balance.low, balance.high
        balance.low = balance.high = balance.newest
        balance.bucket_ms = at_ms
    balance.newest, balance.newest_ms = balance_minor, at_ms
    balance.observations += 1
    if balance_minor < balance.low:
        balance.low = balance_minor
    elif balance_minor > balance.high:
        balance.high = balance_minor


def observe_salary(state: CustomerState, at_ms: int) -> None:
    """Learn the customer's pay rhythm; a salary older than the newest one changes nothing."""
    income = state.income
    if income is None:
        state.income = Income(1, at_ms, 30.0, 0.0)
        return
    gap_days = (at_ms - income.last_ms) / DAY_MS
    if gap_days < SAME_SALARY_DAYS:
        return
    if income.salaries == 1:
        income.interval_days = gap_days
    else:
        off_days = abs(gap_days - income.interval_days)
        income.irregularity_days += _LEARNING * (off_days - income.irregularity_days)
        income.interval_days += _LEARNING * (gap_days - income.interval_days)
    income.salaries += 1
    income.last_ms = at_ms


def observe_credit_score(state: CustomerState, score: int, *, at_ms: int) -> None:
    """Compare with the best score of the last year; an older score changes nothing."""
    credit = state.credit
    if credit is None:
        state.credit = Credit(score, at_ms, score, at_ms)
        return
    if at_ms < credit.at_ms:
        return
    if at_ms - credit.reference_ms > REFERENCE_DAYS * DAY_MS:
        credit.reference, credit.reference_ms = credit.score, credit.at_ms
    if score >= credit.reference:
        credit.reference, credit.reference_ms = score, at_ms
    credit.score, credit.at_ms = score, at_ms
