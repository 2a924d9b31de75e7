from math import log1p

import pytest

import stories
from builders import transaction
from needstream.models import features
from needstream.schemas.times import DAY_MS
from needstream.streams.pipeline import payments

HALF_LIVES_MS = (1.0, 1.0, 1.0)


def _payer(*amounts, kind="card_payment", every_days=1.0, currency="EUR"):
    """A customer who has paid these amounts, one every so many days."""
    state = stories.new_customer()
    state.traits.home_currency = "EUR"
    return _pay(state, *amounts, kind=kind, every_days=every_days, currency=currency)


def _pay(state, *amounts, kind="card_payment", every_days=1.0, currency="EUR", from_day=0.0):
    for number, amount in enumerate(amounts):
        event = transaction(kind, amount=amount, currency=currency)
        payments.observe(state, event, at_ms=round((from_day + number * every_days) * DAY_MS))
    return state


def _surprise(state, at_ms):
    return features.compile_feature("payment_surprise", HALF_LIVES_MS)(state, at_ms)


def test_a_payment_far_above_the_habit_surprises():
    state = _payer(*["20.00"] * 20, "2000.00")

    expected = (log1p(2000) - log1p(20)) / payments.LEAST_DEVIATION

    assert expected == pytest.approx(state.payments.surprise)


def test_surprise_is_measured_in_the_customers_own_deviations():
    steady = _payer(*["20.00"] * 30, "200.00").payments
    varied = _payer(*["5.00", "20.00", "80.00"] * 10, "200.00").payments

    assert steady.surprise > varied.surprise > 0


def test_a_payment_is_compared_with_what_was_usual_before_it():
    before = _payer(*["20.00"] * 20)
    mean = before.payments.mean

    after = _pay(before, "2000.00", from_day=20)

    assert after.payments.mean > mean
    assert (log1p(2000) - mean) / payments.LEAST_DEVIATION == pytest.approx(after.payments.surprise)


def test_small_payments_do_not_surprise():
    assert 0.0 == _payer(*["2000.00"] * 20, "1.00").payments.surprise


@pytest.mark.parametrize(("known", "surprises"), [(payments.FEWEST - 1, False), (payments.FEWEST, True)])
def test_it_takes_eight_payments_to_know_what_is_usual(known, surprises):
    assert surprises is (_payer(*["20.00"] * known, "2000.00").payments.surprise > 0)


def test_surprise_is_limited():
    assert payments.LARGEST == _payer(*["1.00"] * 20, "900000000.00").payments.surprise


def test_a_late_payment_changes_nothing():
    punctual = _payer(*["20.00"] * 20, "2000.00").payments
    late = _pay(_payer(*["20.00"] * 20, "2000.00"), "90000.00", from_day=19.5).payments

    assert punctual == late


def test_one_theft_does_not_make_the_next_one_usual():
    state = _payer(*["20.00"] * 30, *["2000.00"] * 3)

    assert state.payments.surprise > 3.0


def test_a_new_habit_is_learned_in_time():
    state = _payer(*["20.00"] * 30, *["2000.00"] * 30)

    assert state.payments.surprise < 1.5


def test_old_payments_fade():
    recent = _payer(*["20.00"] * 10, *["40.00"] * 5)
    long_ago = _pay(_payer(*["20.00"] * 10), *["40.00"] * 5, from_day=400)

    assert long_ago.payments.mean > recent.payments.mean


def test_moments_without_forgetting_are_mean_and_variance():
    amounts = ["10.00", "20.00", "40.00", "80.00"]
    sizes = [log1p(float(amount)) for amount in amounts]
    mean = sum(sizes) / 4

    learned = _payer(*amounts, every_days=0.0).payments

    assert (4.0, pytest.approx(mean), pytest.approx(sum((size - mean) ** 2 for size in sizes) / 4)) == (
        learned.weight,
        learned.mean,
        learned.variance,
    )


@pytest.mark.parametrize("kind", ["deposit", "transfer_in", "refund", "instalment", "fee", "card_repayment", "balance"])
def test_what_the_customer_does_not_pay_out_at_will_is_no_payment(kind):
    assert _payer("20.00", kind=kind).payments is None


@pytest.mark.parametrize("kind", sorted(payments.OUTGOING))
def test_outgoing_kinds_belong_to_one_habit(kind):
    assert 2 == _pay(_payer("20.00", kind=kind), "20.00", from_day=1).payments.observations


def test_other_currencies_and_payments_of_nothing_are_passed_over():
    assert _payer("20.00", currency="USD").payments is None
    assert _payer("0.00").payments is None


def test_a_visitor_has_no_habit():
    state = _payer()
    payments.observe(state, transaction(customer=None, anonymous_id="a1"), at_ms=0)

    assert state.payments is None


def test_a_new_home_currency_begins_a_new_habit():
    state = _payer(*["20.00"] * 20)
    state.traits.home_currency = "JPY"

    moved = _pay(state, "2000", currency="JPY", from_day=20).payments

    assert (1, "JPY", 0.0) == (moved.observations, moved.currency, moved.surprise)


def test_surprise_is_over_after_a_day():
    state = _payer(*["20.00"] * 20, "2000.00")
    paid_ms = state.payments.last_ms

    assert [True, True, False] == [_surprise(state, paid_ms + age_ms) > 0 for age_ms in (0, DAY_MS, DAY_MS + 1)]


def test_an_ordinary_payment_ends_the_surprise():
    state = _payer(*["20.00"] * 20, "2000.00", "20.00")

    assert 0.0 == _surprise(state, state.payments.last_ms)
