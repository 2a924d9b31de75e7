"""The customers before anything happens: traits, income dates and standing orders, drawn from the personas.

Money is integer minor units of the customer's own currency.
"""

import dataclasses
import random

from needstream.simulation import catalogue, chance, parameters, personas, timeline

GRANTED = "GRANTED"
DENIED = "DENIED"
_PAYDAYS = (1, 5, 9, 10, 12, 14, 15, 15, 17, 19, 25, 28)
_SATURDAY = 5
_INSTALMENT_INCOME_UNITS = 3_000
_LOAN_INCOME_UNITS = 2_500


@dataclasses.dataclass(slots=True, kw_only=True)
class StandingOrder:
    """A payment that recurs on the given days (counted from the start) without the customer doing anything."""

    event_type: str
    amount_minor: int
    days: list[int]
    counterparty: str
    product: str | None = None
    flexible: float = 0.0
    """Relative spread of the amount."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Customer:
    """One customer's traits; plants may change them before the first day."""

    number: int
    customer_id: str
    persona: personas.Persona
    currency: str
    scale: float
    income_minor: int
    target_minor: int
    """The balance the customer's spending keeps near."""
    rhythm: str | None
    employer: str
    income_days: list[int]
    income_factors: dict[int, float] = dataclasses.field(default_factory=dict)
    orders: list[StandingOrder] = dataclasses.field(default_factory=list)
    sessions_per_day: float
    cards_per_day: float
    curiosity: float
    """Chance that a session looks at some product without a need."""
    anonymous_share: float
    longest_pause_days: int
    marketing: str | None
    profiling: str | None
    service: str
    credit_score: int
    score_days: list[int]
    score_drops: dict[int, int] = dataclasses.field(default_factory=dict)
    """Change of the credit score that stays from this day on."""
    tier: str
    risk_level: int
    birth_year: int
    device: str

    @property
    def is_secondary(self) -> bool:
        """Whether the main account is at another bank: no income arrives here."""
        return self.rhythm is None

    @property
    def has_salary(self) -> bool:
        """Whether a payroll pays into this account at a steady interval."""
        return self.rhythm in (personas.MONTHLY, personas.FORTNIGHTLY)

    def minor(self, units: float) -> int:
        """Convert whole units of account (1 unit = 1 USD) to minor units of the customer's currency."""
        return round(units * self.scale * 100)

    def units(self, amount_minor: int) -> float:
        """Convert minor units of the customer's currency to units of account."""
        return amount_minor / (self.scale * 100)


def days_of_month(chosen: parameters.SimulationParameters, day_of_month: int) -> list[int]:
    """Return the days, counted from the start, that fall on this day of a month (28 at most)."""
    first = chosen.first_day_number
    return [day for day in range(chosen.days) if timeline.date_of(first + day).day == min(day_of_month, 28)]


def create(chosen: parameters.SimulationParameters) -> list[Customer]:
    """Return the whole population; each customer depends on the seed and its own number alone."""
    return [_customer(chosen, number) for number in range(1, chosen.customers + 1)]


def set_income(customer: Customer, chosen: parameters.SimulationParameters, *, rng: random.Random) -> None:
    """Draw the days income arrives, from the customer's rhythm; a payday at a weekend moves to the Friday."""
    days: list[int] = []
    if customer.rhythm in (personas.MONTHLY, personas.PENSION):
        for day in days_of_month(chosen, rng.choice(_PAYDAYS)):
            over = timeline.weekday(chosen.first_day_number + day) - _SATURDAY + 1
            early = 1 if chance.happens(rng, 0.06) else 0
            days.append(day - max(over, 0) - early)
    elif customer.rhythm == personas.FORTNIGHTLY:
        days = list(range(rng.randrange(14), chosen.days, 14))
    elif customer.rhythm == personas.PAYOUTS:
        day = rng.randrange(7)
        while day < chosen.days:
            days.append(day)
            day += rng.choice((6, 7, 7, 7, 8))
    customer.income_days = [day for day in days if day >= 0]


def set_orders(customer: Customer, chosen: parameters.SimulationParameters, *, rng: random.Random) -> None:
    """Draw rent, utilities, instalments and the other recurring payments that fit the customer's income."""
    customer.orders = orders = []
    if customer.is_secondary:
        return
    income = customer.income_minor
    day_of_month = rng.randint(1, 28)

    def monthly(event_type: str, share: float, *, counterparty: str, shift: int, product: str | None = None) -> None:
        days = days_of_month(chosen, (day_of_month + shift - 1) % 28 + 1)
        flexible = 0.15 if event_type in ("withdrawal", "card_repayment") else 0.0
        orders.append(
            StandingOrder(
                event_type=event_type,
                amount_minor=round(income * share),
                days=days,
                counterparty=counterparty,
                product=product,
                flexible=flexible,
            )
        )

    renting = 0.15 if customer.persona.name == "retired" else 0.7
    if chance.happens(rng, renting):
        monthly("transfer_out", rng.uniform(0.2, 0.3), counterparty=rng.choice(catalogue.LANDLORDS), shift=0)
    monthly("transfer_out", rng.uniform(0.03, 0.06), counterparty=rng.choice(catalogue.UTILITIES), shift=9)
    if chance.happens(rng, 0.3):
        monthly("card_repayment", rng.uniform(0.05, 0.12), counterparty="Card centre", shift=15, product="card")
    units = customer.units(income)
    if units > _INSTALMENT_INCOME_UNITS and chance.happens(rng, 0.16):
        monthly("instalment", rng.uniform(0.02, 0.05), counterparty="Volt Store", shift=5)
    if units > _LOAN_INCOME_UNITS and chance.happens(rng, 0.12):
        monthly("loan_repayment", rng.uniform(0.05, 0.1), counterparty="Loan account", shift=3, product="loan")
    if chance.happens(rng, 0.02):
        day, days = rng.randrange(30), []
        while day < chosen.days:
            days.append(day)
            day += rng.randint(19, 40)
        orders.append(
            StandingOrder(
                event_type="fx_remittance",
                amount_minor=round(income * rng.uniform(0.04, 0.12)),
                days=days,
                counterparty="Family abroad",
                product="remittance",
                flexible=0.3,
            )
        )


def _customer(chosen: parameters.SimulationParameters, number: int) -> Customer:
    rng = random.Random(f"{chosen.seed}/customer/{number}")
    persona = rng.choices(personas.PERSONAS, [persona.share for persona in personas.PERSONAS])[0]
    currency, _, scale = rng.choices(personas.CURRENCIES, [share for _, share, _ in personas.CURRENCIES])[0]
    income_units = rng.uniform(*persona.monthly_income)
    buffer_months = rng.uniform(*persona.buffer_months)
    is_secondary = chance.happens(rng, persona.secondary_share)
    if is_secondary:
        buffer_months = max(1.5, buffer_months * 0.8)
    first_score_day = rng.randrange(26)
    draw = rng.random()
    granted = chosen.marketing_granted_share
    marketing = GRANTED if draw < granted else DENIED if draw < granted + (1 - granted) * 0.75 else None
    customer = Customer(
        number=number,
        customer_id=f"c{number:06d}",
        persona=persona,
        currency=currency,
        scale=scale,
        income_minor=round(income_units * scale * 100),
        target_minor=round(income_units * scale * 100 * buffer_months),
        rhythm=None if is_secondary else rng.choice(persona.rhythms),
        employer=rng.choice(catalogue.EMPLOYERS),
        income_days=[],
        sessions_per_day=persona.sessions_per_week * rng.lognormvariate(0, 0.35) / 7,
        cards_per_day=persona.card_payments_per_month * rng.lognormvariate(0, 0.25) / 30,
        curiosity=rng.betavariate(1.2, 12),
        anonymous_share=rng.choice((0.0, 0.0, 0.0, 0.15, 0.3)),
        longest_pause_days=rng.randint(5, 9),
        marketing=marketing,
        profiling=DENIED if chance.happens(rng, 0.03) else GRANTED,
        service=DENIED if chance.happens(rng, 0.015) else GRANTED,
        credit_score=rng.randint(520, 860),
        score_days=list(range(first_score_day, chosen.days, 30)),
        tier=rng.choice(persona.tiers),
        risk_level=rng.randint(*persona.risk_levels),
        birth_year=rng.randint(*persona.birth_years),
        device=rng.choice(("ios", "android"))
        if chance.happens(rng, persona.app_share)
        else rng.choice(("chrome", "safari")),
    )
    set_income(customer, chosen, rng=rng)
    set_orders(customer, chosen, rng=rng)
    return customer
