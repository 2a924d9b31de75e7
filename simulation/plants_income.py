"""Planted strain: missing salaries, instalments on a low income, falling credit scores, and what only looks like it."""

import itertools
import random

from needstream.simulation import chance, parameters, personas, population, timeline, truth
from needstream.simulation.life import Life

_DAY = timeline.DAY_MS
_STEADY = 3
"""Salaries before a missing one can be noticed."""
_PATIENCE_DAYS = 7
_WEALTHY_INCOME_UNITS = 6_000
_WEALTHY_BALANCE_UNITS = 12_000


def interval_days(customer: population.Customer) -> int:
    """Return the usual number of days between two salaries."""
    return 14 if customer.rhythm == personas.FORTNIGHTLY else 30


def _missable(customer: population.Customer, chosen: parameters.SimulationParameters, *, room_days: int) -> list[int]:
    """Return the positions in the income days that can go missing and be noticed before the end."""
    if not customer.has_salary:
        return []
    days = customer.income_days
    latest = chosen.days - interval_days(customer) - room_days
    return [number for number in range(_STEADY, len(days)) if days[number - 1] < latest]


def can_miss_salary(customer: population.Customer, chosen: parameters.SimulationParameters) -> bool:
    """Return whether a steady salary can stop in time to be noticed, and the customer can live on for a while."""
    saved = customer.target_minor >= 2.4 * customer.income_minor
    return saved and bool(_missable(customer, chosen, room_days=_PATIENCE_DAYS + 4))


def salary_missing(life: Life) -> None:
    """Plant a salary that stops while the customer stays active; for some it comes back much later."""
    rng, customer = life.rng, life.customer
    number = rng.choice(_missable(customer, life.chosen, room_days=_PATIENCE_DAYS + 4))
    interval = interval_days(customer)
    last_day = customer.income_days[number - 1]
    comes_back = chance.happens(rng, 0.4)
    returns_on = last_day + interval + _PATIENCE_DAYS + 6
    customer.income_days = [
        day for day in customer.income_days if day <= last_day or (comes_back and day >= returns_on)
    ]
    starts_at_ms = life.chosen.at(last_day, 7 * timeline.HOUR_MS)
    due_ms = starts_at_ms + (interval + _PATIENCE_DAYS) * _DAY
    life.plant(
        truth.Claim("salary_missing", "churn", note="the salary stops, the customer stays"),
        starts_at_ms=starts_at_ms,
        window_ms=(due_ms - 3 * _DAY, due_ms + 4 * _DAY),
    )


def can_be_paid_late(customer: population.Customer, chosen: parameters.SimulationParameters) -> bool:
    """Return whether some salary, after enough steady ones, can come some days late without seeming lost."""
    return bool(_delays(customer, chosen)) and customer.target_minor >= 2 * customer.income_minor


def salary_late(life: Life) -> None:
    """Plant a salary that comes two to four days late."""
    customer = life.customer
    number, late_days = life.rng.choice(_delays(customer, life.chosen))
    due_day = customer.income_days[number]
    customer.income_days[number] = due_day + late_days
    due_ms = life.chosen.at(due_day, 7 * timeline.HOUR_MS)
    life.plant(
        truth.Claim("salary_missing", "churn", expected=False, note="salary some days late"),
        starts_at_ms=due_ms,
        window_ms=(due_ms, due_ms + (_PATIENCE_DAYS + 4) * _DAY),
    )


def _delays(customer: population.Customer, chosen: parameters.SimulationParameters) -> list[tuple[int, int]]:
    """Return position and days late of salaries that still come well before they would be missed.

    Months differ in length: a late salary after a long month can already look lost against short ones.
    """
    days = customer.income_days
    found = []
    for number in _missable(customer, chosen, room_days=0):
        usual = min(later - day for day, later in itertools.pairwise(days[:number]))
        for late_days in (2, 3, 4):
            if days[number] + late_days - days[number - 1] <= usual + _PATIENCE_DAYS - 2:
                found.append((number, late_days))
    return found


def can_be_stretched(customer: population.Customer, chosen: parameters.SimulationParameters) -> bool:
    """Return whether the customer may turn out to live from pay to pay on a low income."""
    return customer.persona.name in ("young", "gig") and not customer.is_secondary and customer.scale <= 1


def liquidity_stress(life: Life) -> None:
    """Plant instalments in quick succession on a low income and an account that is nearly empty each month."""
    rng, customer = life.rng, life.customer
    customer.income_minor = customer.minor(rng.uniform(750, 1_200))
    customer.target_minor = round(customer.income_minor * rng.uniform(0.55, 0.8))
    customer.rhythm = personas.PAYOUTS if customer.persona.name == "gig" else personas.FORTNIGHTLY
    life.journal.balance_minor = customer.target_minor
    population.set_income(customer, life.chosen, rng=rng)
    population.set_orders(customer, life.chosen, rng=rng)
    customer.orders = [order for order in customer.orders if order.amount_minor < customer.target_minor * 0.4]
    life.may_complain = False
    _plant_instalments(
        life, amount_units=(15, 45), note="instalments pile up on a low income", expected=True,
        first_day=rng.randint(30, life.chosen.days - 20),
    )  # fmt: skip


def is_wealthy(customer: population.Customer, chosen: parameters.SimulationParameters) -> bool:
    """Return whether instalments are a choice and no sign of strain."""
    return (
        not customer.is_secondary
        and customer.units(customer.income_minor) > _WEALTHY_INCOME_UNITS
        and customer.units(customer.target_minor) > _WEALTHY_BALANCE_UNITS
    )


def wealthy_instalments(life: Life) -> None:
    """Plant the same instalments for a customer with high income and balance."""
    first_day = life.rng.randint(30, life.chosen.days - 20)
    _plant_instalments(
        life, amount_units=(80, 300), note="instalments of a wealthy customer", expected=False, first_day=first_day
    )


def _plant_instalments(life: Life, *, amount_units: tuple[int, int], note: str, expected: bool, first_day: int) -> None:
    rng = life.rng
    shops = rng.sample(("Volt Store", "Parcelhaus", "Thread & Co", "Homeware Loft", "PhonePoint"), 4)
    day, days = first_day, []
    for _ in range(rng.randint(4, 6)):
        days.append(day)
        day += rng.randint(3, 6)
    paid_at: list[int] = []

    def pay(life: Life, at_ms: int) -> None:
        amount_minor = life.customer.minor(rng.uniform(*amount_units))
        if life.journal.balance_minor < amount_minor * 1.1:  # Lent by a friend, so that the instalment goes through.
            life.journal.money(
                at_ms - timeline.HOUR_MS, "transfer_in", amount_minor=amount_minor * 2, counterparty="A friend"
            )
        life.journal.money(at_ms, "instalment", amount_minor=amount_minor, counterparty=rng.choice(shops))
        paid_at.append(at_ms)
        if len(paid_at) == min(len(days), sum(day < life.chosen.days for day in days)):
            life.plant(
                truth.Claim("liquidity_stress", "care", need="liquidity", expected=expected, note=note),
                starts_at_ms=paid_at[0],
                window_ms=(paid_at[2] - timeline.HOUR_MS, paid_at[-1] + 4 * _DAY),
            )

    for one in days:
        life.schedule(life.waking(one), pay)


def _score_position(life: Life, rng: random.Random) -> int:
    """Return a day with a credit score that has at least one before it."""
    return rng.choice(life.customer.score_days[1:])


def credit_score_drop(life: Life) -> None:
    """Plant a credit score that falls by 55 to 120 points and stays low."""
    _plant_score(life, points=life.rng.randint(55, 120), expected=True, note="the credit score falls")


def small_score_drop(life: Life) -> None:
    """Plant a credit score that falls by about 15 points."""
    _plant_score(life, points=life.rng.randint(12, 18), expected=False, note="the credit score falls a little")


def _plant_score(life: Life, *, points: int, expected: bool, note: str) -> None:
    life.may_complain = False
    day = _score_position(life, life.rng)
    life.customer.score_drops[day] = -points
    at_ms = life.chosen.at(day, 4 * timeline.HOUR_MS)
    life.plant(
        truth.Claim("credit_score_drop", "care", need="credit_repair", expected=expected, note=note),
        starts_at_ms=at_ms,
        window_ms=(at_ms - timeline.MINUTE_MS, at_ms + 2 * _DAY),
    )
