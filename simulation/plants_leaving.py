"""Planted departures: churners who taper off, pauses that alarm, holidays and slow weeks that must not."""

from needstream.simulation import (
    behaviours,
    browsing,
    chance,
    parameters,
    plants_income,
    plants_payments,
    population,
    timeline,
    truth,
)
from needstream.simulation.life import FOREVER_DAY, Action, Life, Stretch

SHORTEST_DAYS = 50
_DAY = timeline.DAY_MS
_SILENT_DAYS = 21
_BASELINE_DAYS = 42
_DRAINABLE_UNITS = 3_500
_LONGEST_HOLIDAY = 16
_TAPERING_SHARE = 0.85
_DRAINING_SHARE = 0.6
_COMPLAINING_SHARE = 0.4
_STEADY_SALARIES = 3
_UNSURE_DAYS = 3
"""What would be noticed this close to the end of the simulation is left out: it could come or not."""


def can_fall_silent(customer: population.Customer, chosen: parameters.SimulationParameters) -> bool:
    """Return whether nothing else, such as a salary, keeps the account moving."""
    return customer.is_secondary


def inactivity(life: Life) -> None:
    """Plant 26 to 42 days without any sign of life, after which most come back."""
    rng = life.rng
    first = rng.randint(24, life.chosen.days - 25)
    after = first + rng.randint(26, 42)
    if chance.happens(rng, 0.2):
        after = FOREVER_DAY
    _ensure_contact(life, first - 1)
    life.silences.append(Stretch(first, after))
    life.schedule(life.chosen.at(first), lambda life, _: _plant_silence(life, "silent for weeks"))
    if after < life.chosen.days:
        _ensure_contact(life, after)


def can_take_holiday(customer: population.Customer, chosen: parameters.SimulationParameters) -> bool:
    """Return whether more than two weeks fit between two incomes."""
    return bool(_holiday_starts(customer, chosen, length=_LONGEST_HOLIDAY))


def holiday(life: Life) -> None:
    """Plant a holiday of 12 to 16 days without any sign of life."""
    rng = life.rng
    length = rng.randint(12, _LONGEST_HOLIDAY)
    first = rng.choice(_holiday_starts(life.customer, life.chosen, length=length))
    _ensure_contact(life, first - 1)
    _ensure_contact(life, first + length)
    life.silences.append(Stretch(first, first + length))

    def note_holiday(life: Life, _: int) -> None:
        last_ms = life.journal.last_activity_ms
        life.plant(
            truth.Claim("inactivity", "churn", expected=False, note="holiday"),
            starts_at_ms=last_ms,
            window_ms=(last_ms + 10 * _DAY, last_ms + 25 * _DAY),
        )

    life.schedule(life.chosen.at(first), note_holiday)


def _holiday_starts(
    customer: population.Customer, chosen: parameters.SimulationParameters, *, length: int
) -> list[int]:
    return [
        first
        for first in range(15, chosen.days - length - 4)
        if not any(first - 1 <= day <= first + length for day in customer.income_days)
    ]


def slow_weeks(life: Life) -> None:
    """Plant two or three slow weeks after which everything is as before: what a churner looks like at first."""
    rng = life.rng
    first = rng.randint(15, life.chosen.days - 35)
    after = first + rng.randint(14, 24)
    life.slow_weeks.append(Stretch(first, after, 0.35))
    starts_at_ms = life.chosen.at(first)
    life.plant(
        truth.Claim(None, "churner", expected=False, note="slow weeks, then as before"),
        starts_at_ms=starts_at_ms,
        window_ms=(starts_at_ms, life.chosen.at(after)),
    )


def churner(life: Life) -> None:
    """Plant a departure: for most a taper of two to four weeks, then silence for ever.

    Income moves to another bank during the taper.  Who has enough money may take it along: some payments out and
    a last one that empties the account.  Each consequence a scenario would notice gets its own row.
    """
    rng, customer, chosen = life.rng, life.customer, life.chosen
    taper = rng.randint(14, 28) if chance.happens(rng, _TAPERING_SHARE) else rng.randint(0, 4)
    for _ in range(50):
        last_day = rng.randint(32, chosen.days - 3)
        begins = max(4, last_day - taper)
        sweep_day = min(last_day, max(begins + 1, last_day - rng.randint(0, 10)))
        stops = rng.randint(begins, sweep_day)  # A salary on an emptied account would look like a windfall.
        noticed = (last_day + _SILENT_DAYS, _salary_noticed(customer, stops))
        if not any(-_UNSURE_DAYS <= day - chosen.days <= _UNSURE_DAYS for day in noticed):
            break
    has_enough = customer.units(customer.target_minor) >= _DRAINABLE_UNITS and sweep_day >= _BASELINE_DAYS
    if has_enough and chance.happens(rng, _DRAINING_SHARE):
        _drain(life, begins, sweep_day=sweep_day)
    life.leaves_on = begins
    life.may_complain = False
    if chance.happens(rng, _COMPLAINING_SHARE):
        life.schedule(life.waking(rng.randint(max(1, begins - 5), last_day)), behaviours.complain)
    for share, factor in ((0.0, 0.5), (0.5, 0.4)):
        life.slow_weeks.append(Stretch(begins + round(taper * share), FOREVER_DAY, factor))
    _move_income(life, stops)
    for order in customer.orders:
        order.days = [day for day in order.days if day <= begins + taper // 2]
    _ensure_contact(life, last_day)
    life.silences.append(Stretch(last_day + 1, FOREVER_DAY))
    life.schedule(chosen.at(last_day + 1), lambda life, _: _note_churn(life, begins))


def _note_churn(life: Life, begins: int) -> None:
    churned_at_ms = life.journal.last_activity_ms
    life.plant(
        truth.Claim(None, "churner", churned_at_ms=churned_at_ms, note="leaves for good"),
        starts_at_ms=life.chosen.at(begins),
        window_ms=(churned_at_ms - 60 * _DAY, churned_at_ms),
    )
    _plant_silence(life, "a churner falls silent")


def _plant_silence(life: Life, note: str) -> None:
    last_ms = life.journal.last_activity_ms
    due_ms = last_ms + _SILENT_DAYS * _DAY
    if due_ms + _DAY >= life.chosen.end_ms:
        return
    life.plant(
        truth.Claim("inactivity", "churn", note=note),
        starts_at_ms=last_ms,
        window_ms=(due_ms - 12 * timeline.HOUR_MS, due_ms + 3 * _DAY),
    )


def _salary_noticed(customer: population.Customer, stops: int) -> int:
    """Return the day a salary that stops would be missed, or a day far off if it never is."""
    kept = [day for day in customer.income_days if day < stops]
    if not customer.has_salary or len(kept) < _STEADY_SALARIES or len(kept) == len(customer.income_days):
        return FOREVER_DAY
    return kept[-1] + plants_income.interval_days(customer) + 7


def _move_income(life: Life, stops: int) -> None:
    """Stop the income on a day; where that leaves a salary missing before the end, say so."""
    customer, chosen = life.customer, life.chosen
    noticed = _salary_noticed(customer, stops)
    customer.income_days = kept = [day for day in customer.income_days if day < stops]
    if noticed >= chosen.days:
        return
    due_ms = chosen.at(noticed, 7 * timeline.HOUR_MS)
    life.plant(
        truth.Claim("salary_missing", "churn", note="a churner's salary goes elsewhere"),
        starts_at_ms=chosen.at(kept[-1], 7 * timeline.HOUR_MS),
        window_ms=(due_ms - 3 * _DAY, due_ms + 4 * _DAY),
    )


def _drain(life: Life, begins: int, *, sweep_day: int) -> None:
    """Take the money along: up to two smaller payments out, then one that leaves a few percent."""
    rng = life.rng
    for _ in range(rng.randint(0, 2)):
        day = rng.randint(begins, sweep_day)
        share = rng.uniform(0.1, 0.18)
        if day < sweep_day:
            life.schedule(life.waking(day), _payment_out(share))

    def sweep(life: Life, at_ms: int) -> None:
        _payment_out(rng.uniform(0.92, 0.96))(life, at_ms)
        life.plant(
            truth.Claim("balance_drop", "churn", note="a churner takes the money along"),
            starts_at_ms=at_ms,
            window_ms=(at_ms - timeline.MINUTE_MS, at_ms + 5 * _DAY),
        )

    life.schedule(life.waking(sweep_day), sweep)


def _payment_out(share: float) -> Action:
    def pay(life: Life, at_ms: int) -> None:
        amount_minor = round(life.journal.balance_minor * share)
        plants_payments.note_if_unusual(life, at_ms, amounts_minor=[amount_minor])
        payee = "Own account elsewhere"
        life.journal.money(at_ms, "transfer_out", amount_minor=amount_minor, counterparty=payee, channel="web")

    return pay


def _ensure_contact(life: Life, day: int) -> None:
    """Let the customer certainly look at the account on a day."""
    life.schedule(life.waking(day), browsing.visit_bank)
