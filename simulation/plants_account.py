"""Planted balance movements: a windfall, an emptied account, and the bonus or big purchase that only look like them."""

from needstream.simulation import (
    catalogue,
    chance,
    parameters,
    personas,
    plants_payments,
    population,
    timeline,
    truth,
)
from needstream.simulation.life import Life

_DAY = timeline.DAY_MS
_BASELINE_DAYS = 42
"""Days before anything is planted, so that the account has a usual level."""
_SMALL_INCOME_MINOR = 400_000


def balance_jump(life: Life) -> None:
    """Plant a windfall of at least 8,000 units that more than doubles the balance and stays."""
    rng, customer = life.rng, life.customer
    life.may_complain = False
    customer.risk_level = rng.randint(3, 5)
    amount_minor = max(customer.minor(8_000), round(customer.target_minor * rng.uniform(1.6, 3.4)))
    day = rng.randint(_BASELINE_DAYS, life.chosen.days - 6)

    def receive(life: Life, at_ms: int) -> None:
        customer.target_minor += amount_minor
        life.journal.money(
            at_ms, "transfer_in", amount_minor=amount_minor, counterparty=rng.choice(catalogue.WINDFALLS)
        )
        life.plant(
            truth.Claim("balance_jump", "need", need="wealth", note="a windfall arrives and stays"),
            starts_at_ms=at_ms,
            window_ms=(at_ms - timeline.MINUTE_MS, at_ms + 2 * _DAY),
        )

    life.schedule(life.waking(day), receive)


def can_get_bonus(customer: population.Customer, chosen: parameters.SimulationParameters) -> bool:
    """Return whether a doubled monthly salary is small against the usual balance."""
    days = [day for day in customer.income_days if _BASELINE_DAYS <= day < chosen.days - 4]
    return customer.rhythm == personas.MONTHLY and bool(days) and customer.target_minor >= 3.2 * customer.income_minor


def bonus_salary(life: Life) -> None:
    """Plant a salary with a bonus: the balance rises, but not far above its usual level."""
    customer = life.customer
    days = [day for day in customer.income_days if _BASELINE_DAYS <= day < life.chosen.days - 4]
    day = life.rng.choice(days)
    customer.income_factors[day] = life.rng.uniform(1.6, 1.95)
    at_ms = life.chosen.at(day, 5 * timeline.HOUR_MS)
    life.plant(
        truth.Claim("balance_jump", "need", need="wealth", expected=False, note="salary with a bonus"),
        starts_at_ms=at_ms,
        window_ms=(at_ms, at_ms + 5 * _DAY),
    )


def can_empty(customer: population.Customer, chosen: parameters.SimulationParameters) -> bool:
    """Return whether what is left after emptying the account is clearly below, and not soon made good by income.

    A salary above 4,000 would make the emptied account jump at the next payday.
    """
    if customer.is_secondary:
        return customer.target_minor >= customer.minor(4_500)
    enough = customer.target_minor >= max(customer.minor(4_500), 4 * customer.income_minor)
    return enough and customer.income_minor <= _SMALL_INCOME_MINOR


def balance_drop(life: Life) -> None:
    """Plant one or two large payments out that leave a tenth to a fifth of the usual balance."""
    rng, customer = life.rng, life.customer
    day = rng.randint(_BASELINE_DAYS, life.chosen.days - 4)
    kept = rng.uniform(0.1, 0.2)

    def empty(life: Life, at_ms: int) -> None:
        writer = life.journal
        wanted_minor = round(min(customer.target_minor, writer.balance_minor) * kept)
        amounts = [writer.balance_minor - wanted_minor]
        if chance.happens(rng, 0.4):
            first_minor = round(amounts[0] * rng.uniform(0.15, 0.3))
            amounts = [first_minor, amounts[0] - first_minor]
        plants_payments.note_if_unusual(life, at_ms, amounts_minor=amounts)
        for number, amount_minor in enumerate(amounts):
            writer.money(
                at_ms + number * 4 * timeline.MINUTE_MS, "transfer_out", amount_minor=amount_minor,
                counterparty="Own account elsewhere", channel="web",
            )  # fmt: skip
        customer.target_minor = wanted_minor + (0 if customer.is_secondary else round(0.6 * customer.income_minor))
        life.plant(
            truth.Claim("balance_drop", "churn", note="the account is emptied"),
            starts_at_ms=at_ms,
            window_ms=(at_ms - timeline.MINUTE_MS, at_ms + 2 * _DAY),
        )

    life.schedule(life.waking(day), empty)


def can_buy_big(customer: population.Customer, chosen: parameters.SimulationParameters) -> bool:
    """Return whether the balance stays well above two fifths of its usual level after a big purchase."""
    incomes = 0.0 if customer.is_secondary else 3.0
    return customer.target_minor >= max(customer.minor(4_500), incomes * customer.income_minor)


def big_purchase(life: Life) -> None:
    """Plant a purchase of about a quarter of the balance; the rest stays."""
    rng, customer = life.rng, life.customer
    day = rng.randint(_BASELINE_DAYS, life.chosen.days - 6)

    def buy(life: Life, at_ms: int) -> None:
        amount_minor = round(life.journal.balance_minor * rng.uniform(0.2, 0.3))
        mcc = rng.choice(("5511", "5732", "4722"))
        plants_payments.note_if_unusual(life, at_ms, amounts_minor=[amount_minor])
        life.journal.money(
            at_ms,
            "card_payment",
            amount_minor=amount_minor,
            mcc=mcc,
            channel="pos",
            counterparty=catalogue.MERCHANTS[mcc],
        )
        customer.target_minor = round(customer.target_minor * 0.85)
        life.plant(
            truth.Claim("balance_drop", "churn", expected=False, note="a big purchase, most of the balance stays"),
            starts_at_ms=at_ms,
            window_ms=(at_ms, at_ms + 5 * _DAY),
        )

    life.schedule(life.waking(day), buy)
