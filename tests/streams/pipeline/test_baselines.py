import pytest
from hypothesis import given
from hypothesis import strategies as st

import stories
from builders import transaction
from needstream.schemas import money
from needstream.schemas.times import DAY_MS
from needstream.streams.packs import loader
from needstream.streams.pipeline import baselines

BANK = loader.load("bank")


def _balance(*observed, half_life_days=30.0):
    state = stories.new_customer()
    for day, balance_minor in observed:
        baselines.observe_balance(
            state, balance_minor, at_ms=day * DAY_MS, currency="EUR", half_life_ms=half_life_days * DAY_MS
        )
    return state.balance


def test_the_usual_balance_is_what_stood_before_the_newest():
    balance = _balance((0, 1000), (30, 9000))

    assert (9000, 1000.0, 2) == (balance.newest, balance.mean, balance.observations)


def test_a_balance_counts_for_the_time_it_stood():
    balance = _balance((0, 1000), (30, 3000), (60, 0))

    assert 2000.0 == balance.mean


def test_an_older_balance_changes_nothing():
    assert _balance((0, 1000), (30, 3000)) == _balance((0, 1000), (30, 3000), (29, 9))


def test_extremes_are_those_of_the_month_before():
    balance = _balance((0, 1000), (10, 5000), (20, 200), (31, 900), (40, 800))

    assert (200, 5000, 200, 900) == (balance.previous_low, balance.previous_high, balance.low, balance.high)


def test_balances_in_another_currency_are_another_account():
    state = stories.new_customer()
    for currency in ("EUR", "JPY"):
        baselines.observe_balance(state, 100, at_ms=0, currency=currency, half_life_ms=1.0)

    assert ("EUR", 1) == (state.balance.currency, state.balance.observations)


def test_amounts_in_another_currency_are_not_added_up():
    state = stories.new_customer()
    for currency in ("EUR", "USD", "EUR"):
        deposit = transaction("deposit", amount="10.00", currency=currency)
        baselines.add_amount(state, deposit, at_ms=0, definitions=BANK)

    assert 20.0 == pytest.approx(state.counters["amount.tx.deposit"][1], rel=1e-6)
    assert "EUR" == state.traits.home_currency


@given(st.integers(0, 10**17 - 1), st.sampled_from(("EUR", "JPY", "KWD")))
def test_an_amount_is_added_as_its_minor_units_divided(amount_minor, currency):
    state = stories.new_customer()
    amount = money.decimal_text(amount_minor, currency) if currency != "JPY" else str(amount_minor // 100)
    baselines.add_amount(state, transaction("deposit", amount=amount, currency=currency), at_ms=0, definitions=BANK)

    exact = money.minor_units(amount, currency) / 10 ** money.EXPONENTS[currency]
    assert exact == state.counters["amount.tx.deposit"][1]


def test_only_amounts_that_something_reads_are_kept():
    state = stories.new_customer()
    baselines.add_amount(state, transaction("fee"), at_ms=0, definitions=BANK)

    assert {} == state.counters


def _income(*days):
    state = stories.new_customer()
    for day in days:
        baselines.observe_salary(state, day * DAY_MS)
    return state.income


def test_the_pay_rhythm_is_learned():
    income = _income(0, 30, 60, 90)

    assert (4, 90 * DAY_MS, 30.0, 0.0) == (
        income.salaries,
        income.last_ms,
        income.interval_days,
        income.irregularity_days,
    )


def test_payments_within_ten_days_are_one_salary():
    assert _income(0, 30) == _income(0, 5, 30, 39)


def test_an_older_salary_changes_nothing():
    assert _income(0, 30) == _income(0, 30, 10)


def test_irregular_pay_is_irregular():
    assert 5 < _income(0, 15, 60, 75).irregularity_days


def _credit(*observed):
    state = stories.new_customer()
    for day, score in observed:
        baselines.observe_credit_score(state, score, at_ms=day * DAY_MS)
    return state.credit


def test_a_score_is_compared_with_the_best_of_the_last_year():
    assert 700 == _credit((0, 650), (30, 700), (60, 640)).reference
    assert 640 == _credit((0, 700), (30, 640), (400, 600)).reference


def test_an_older_score_changes_nothing():
    assert _credit((0, 700), (30, 650)) == _credit((0, 700), (30, 650), (20, 900))
