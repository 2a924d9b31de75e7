"""Every feature: named, finite, and blind for what a prediction must not know."""

import math
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from needstream.models import decay, features
from needstream.schemas import pending, state
from needstream.schemas.parts import Balance, Credit, Income, Payments, Session
from needstream.schemas.state import CustomerState

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
HALF_LIVES_MS = (1.0 * DAY_MS, 7.0 * DAY_MS, 30.0 * DAY_MS)
NOW_MS = 1_740_830_400_000

NAMES = [f"{name}.loan" if family.takes_fact else name for name, family in features.FAMILIES.items()]
READINGS = {name: features.compile_feature(name, HALF_LIVES_MS) for name in NAMES}
UNITS = {"count", "currency", "days", "hours", "seconds", "ratio", "points", "deviations", "share"}
LARGEST = 1e30
"""Well within single precision, in which predictions remember their features."""


def customer(first_ms: int = NOW_MS - 365 * DAY_MS, **known: Any) -> CustomerState:
    known_customer = state.new_customer("c1", first_ms)
    for name, value in known.items():
        setattr(known_customer, name, value)
    return known_customer


def read(name: str, known: CustomerState) -> float:
    return features.compile_feature(name, HALF_LIVES_MS)(known, NOW_MS)


def seen(*ages_days: float, amount: float = 1.0) -> list[float]:
    """The counter of a fact seen so many days ago."""
    counters: dict[str, list[float]] = {}
    for age_days in ages_days:
        at_ms = NOW_MS - round(age_days * DAY_MS)
        decay.add(counters, ("fact",), amount=amount, at_ms=at_ms, half_lives_ms=HALF_LIVES_MS)
    return counters["fact"]


times = st.integers(0, 4_102_444_800_000)
totals = st.floats(0, 1e20)
minor = st.integers(-(10**17), 10**17)
counts = st.integers(0, 10**9)
counters = st.tuples(times.map(float), totals, totals, totals).map(list)
facts = ["loan", "amount.loan", "form.loan", "apply.loan"]
states = st.builds(
    customer,
    times,
    counters=st.dictionaries(st.sampled_from(facts), counters),
    balance=st.none()
    | st.builds(
        Balance,
        *(st.sampled_from(["EUR", "JPY", "KWD", "???"]), minor, times, times, counts, st.floats(-1e17, 1e17), times),
        *(minor, minor, st.none() | minor, st.none() | minor),
    ),
    income=st.none() | st.builds(Income, counts, times, st.floats(0, 1e6), st.floats(0, 1e6)),
    credit=st.none() | st.builds(Credit, st.integers(0, 1000), times, st.integers(0, 1000), times),
    session=st.none() | st.builds(Session, times, times, counts, counts, counts),
    payments=st.none() | st.builds(Payments, counts, times, totals, totals, st.floats(0, 20)),
    unusual=st.floats(0, 1),
    active_ms=times,
)


@pytest.mark.parametrize("name", NAMES)
def test_every_feature_has_a_unit_and_a_meaning(name: str) -> None:
    described = features.describe(name)

    assert described.unit in UNITS
    assert len(described.meaning.split()) >= 2
    assert name.partition(".")[0] == described.family


@given(known=states, at_ms=times, names=st.lists(st.sampled_from([*NAMES, "count_7d.form.loan", "pace.form.loan"])))
def test_features_read_together_are_what_each_reads_alone(known: CustomerState, at_ms: int, names: list[str]) -> None:
    alone = [features.compile_feature(name, HALF_LIVES_MS)(known, at_ms) for name in names]

    assert tuple(alone) == features.compile_vector(names, HALF_LIVES_MS)(known, at_ms)


@given(known=states, at_ms=times)
def test_every_feature_is_finite_whatever_happened(known: CustomerState, at_ms: int) -> None:
    values = {name: reading(known, at_ms) for name, reading in READINGS.items()}

    assert {} == {
        name: value
        for name, value in values.items()
        if not (isinstance(value, float) and math.isfinite(value) and abs(value) < LARGEST)
    }


@given(known=states, at_ms=times)
def test_reading_changes_nothing_and_says_the_same_again(known: CustomerState, at_ms: int) -> None:
    before = state.snapshot(known)
    first = {name: reading(known, at_ms) for name, reading in READINGS.items()}

    assert first == {name: reading(known, at_ms) for name, reading in READINGS.items()}
    assert before == state.snapshot(known)


@given(known=states, at_ms=times)
def test_no_feature_sees_what_is_remembered_for_the_label(known: CustomerState, at_ms: int) -> None:
    """Pending predictions, what became of them, alarms and signals may not leak into a prediction."""
    told = deepcopy(known)
    asks = {"loan": pending.Ask(at_ms + 1, 0.9, "loan-1", converted=True)}
    packed, told.shared = pending.packed(pending.Prediction(0, b"", "", asks), pending.NOTHING)
    told.predictions = [packed]
    told.timers = {"loan": state.Timer(at_ms + 1, "e1")}
    told.armings = {"loan": state.Arming(armed=False, fired=3)}
    told.spoken, told.applied, told.recent_ids = {"sales": [at_ms + 1]}, {0: [9]}, b"12345678"
    told.clock_ms = at_ms + 1

    assert [reading(known, at_ms) for reading in READINGS.values()] == [
        reading(told, at_ms) for reading in READINGS.values()
    ]


def test_what_is_unknown_has_its_stated_value() -> None:
    nobody = customer()
    neutral = {"days_since.loan": 365.0, "idle_days": 365.0, "pace.loan": 1.0, "balance_ratio": 1.0}

    assert {name: neutral.get(name, 0.0) for name in NAMES} == {name: read(name, nobody) for name in NAMES}


def test_counts_are_decayed_with_their_own_half_life() -> None:
    known = customer(counters={"loan": seen(7)})

    assert pytest.approx([2**-7, 0.5, 2 ** (-7 / 30)]) == [
        read(name, known) for name in ("count_1d.loan", "count_7d.loan", "count_30d.loan")
    ]


def test_a_steady_amount_is_told_per_month_whatever_the_age_of_the_customer() -> None:
    for history_days in (30, 60, 365):
        spent = seen(*range(history_days), amount=10.0)
        known = customer(NOW_MS - history_days * DAY_MS, counters={"amount.loan": spent})

        assert pytest.approx(300.0, rel=0.03) == read("monthly.loan", known)


def test_amounts_are_decayed_sums() -> None:
    assert pytest.approx(150.0) == read(
        "amount_30d.loan", customer(counters={"amount.loan": seen(30, 0, amount=100.0)})
    )


def test_pace_is_one_when_steady_and_falls_to_nothing_after_a_stop() -> None:
    steady = customer(counters={"loan": seen(*range(365))})
    stopped = customer(counters={"loan": seen(*range(40, 365))})
    new = customer(NOW_MS - 10 * DAY_MS, counters={"loan": seen(*range(10))})

    assert pytest.approx(1.0, abs=0.05) == read("pace.loan", steady)
    assert pytest.approx(1.0, abs=0.05) == read("pace.loan", new)
    assert read("pace.loan", stopped) < 0.1


def test_days_since_counts_from_the_newest_and_stops_at_a_year() -> None:
    assert [3.5, 365.0, 0.0] == [
        read("days_since.loan", customer(counters={"loan": seen(*ages)})) for ages in ((9, 3.5), (400,), (-1,))
    ]


def test_an_application_is_open_until_it_is_submitted() -> None:
    assert [24.0, 0.0, 24.0, 720.0] == [
        read("hours_open.loan", customer(counters=counted))
        for counted in (
            {"form.loan": seen(1)},
            {"form.loan": seen(1), "apply.loan": seen(0.5)},
            {"form.loan": seen(1), "apply.loan": seen(2)},
            {"form.loan": seen(60)},
        )
    ]


def test_balances_are_in_major_units_of_their_currency() -> None:
    names = ("balance", "balance_usual", "balance_ratio", "balance_excess", "balance_above_high", "balance_below_low")
    euro = Balance("EUR", 300_000, NOW_MS, NOW_MS - 40 * DAY_MS, 6, 100_000.0, NOW_MS, 0, 0, 90_000, 120_000)
    yen = Balance("JPY", 3_000, NOW_MS, NOW_MS - 40 * DAY_MS, 6, 1_000.0, NOW_MS, 0, 0, 900, 1_200)

    for balance in (euro, yen):
        assert [3000.0, 1000.0, 3.0, 2000.0, 1800.0, -2100.0] == [
            read(name, customer(balance=balance)) for name in names
        ]
    assert (6.0, 40.0) == (
        read("balance_observations", customer(balance=euro)),
        read("balance_known_days", customer(balance=euro)),
    )


def test_without_a_month_before_a_balance_is_neither_above_nor_below() -> None:
    balance = Balance("EUR", 300_000, NOW_MS, NOW_MS, 1, 100_000.0, NOW_MS, 0, 0)

    assert (0.0, 0.0) == (
        read("balance_above_high", customer(balance=balance)),
        read("balance_below_low", customer(balance=balance)),
    )


def test_a_payment_surprises_for_a_day() -> None:
    def surprise(age_ms: int) -> float:
        return read("payment_surprise", customer(payments=Payments(30, NOW_MS - age_ms, 3.0, 1.0, 7.5)))

    assert [7.5, 7.5, 0.0] == [surprise(age_ms) for age_ms in (0, DAY_MS, DAY_MS + 1)]


def test_payments_are_counted_up_to_a_thousand() -> None:
    assert [30.0, 1000.0] == [
        read("payments_known", customer(payments=Payments(known, NOW_MS, 3.0, 1.0))) for known in (30, 10**6)
    ]


def test_unusual_is_the_word_of_the_newest_prediction() -> None:
    assert 0.9995 == read("unusual", customer(unusual=0.9995))


def test_a_salary_is_overdue_after_its_interval() -> None:
    def overdue(salaries: int, days_ago: int) -> float:
        income = Income(salaries, NOW_MS - days_ago * DAY_MS, 30.0, 1.5)
        return read("salary_overdue_days", customer(income=income))

    assert [7.0, -20.0, 0.0] == [overdue(3, 37), overdue(3, 10), overdue(1, 37)]


def test_the_rhythm_of_a_salary_is_told() -> None:
    known = customer(income=Income(3, NOW_MS, 30.0, 1.5))

    assert [3.0, 30.0, 1.5] == [
        read(name, known) for name in ("salaries", "salary_interval_days", "salary_irregularity_days")
    ]


def test_credit_idleness_and_session_are_told() -> None:
    known = customer(
        credit=Credit(640, NOW_MS, 700, NOW_MS),
        active_ms=NOW_MS - 2 * DAY_MS,
        session=Session(NOW_MS, NOW_MS, 7, 3, 90_500),
    )

    assert [640.0, 60.0, 2.0, 7.0, 90.5] == [
        read(name, known)
        for name in ("credit_score", "credit_score_drop", "idle_days", "session_events", "session_dwell_s")
    ]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("colour", "families are amount_30d, balance"),
        ("count_7d", "write count_7d.<fact>"),
        ("balance.loan", "write balance"),
        ("", "families are"),
        (".loan", "families are"),
    ],
)
def test_what_is_no_feature_is_refused_with_what_would_be(name: str, advice: str) -> None:
    with pytest.raises(features.UnknownFeature, match=advice):
        features.compile_feature(name, HALF_LIVES_MS)
