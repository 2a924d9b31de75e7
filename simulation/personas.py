"""The kinds of people a simulated bank serves: income, habits and the range each trait is drawn from."""

import dataclasses
from typing import Final

MONTHLY = "monthly"
FORTNIGHTLY = "fortnightly"
PAYOUTS = "payouts"
PENSION = "pension"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """One kind of customer; pairs are the inclusive range a trait is drawn from.

    Incomes are whole units of account per month (one unit is one USD or EUR); buffers are the usual balance in
    months of income.
    """

    name: str
    share: float
    birth_years: tuple[int, int]
    monthly_income: tuple[int, int]
    buffer_months: tuple[float, float]
    sessions_per_week: float
    card_payments_per_month: float
    app_share: float
    rhythms: tuple[str, ...]
    """How income arrives; one is drawn, repeated names weigh more."""
    secondary_share: float
    """Share who keep their main account elsewhere and only top this one up."""
    risk_levels: tuple[int, int]
    tiers: tuple[str, ...]
    evening: float
    """Share of online activity after working hours."""


PERSONAS: Final = (
    Persona(
        name="young", share=0.28, birth_years=(1995, 2005), monthly_income=(1_900, 3_800), buffer_months=(1.8, 4.0),
        sessions_per_week=1.15, card_payments_per_month=9.0, app_share=0.85,
        rhythms=(MONTHLY, MONTHLY, FORTNIGHTLY), secondary_share=0.15, risk_levels=(2, 5), tiers=("standard",),
        evening=0.6,
    ),
    Persona(
        name="family", share=0.32, birth_years=(1975, 1994), monthly_income=(3_000, 7_000), buffer_months=(2.0, 6.0),
        sessions_per_week=0.89, card_payments_per_month=9.5, app_share=0.6,
        rhythms=(MONTHLY, MONTHLY, FORTNIGHTLY), secondary_share=0.14, risk_levels=(2, 4),
        tiers=("standard", "silver"), evening=0.5,
    ),
    Persona(
        name="affluent", share=0.12, birth_years=(1958, 1988), monthly_income=(8_000, 22_000),
        buffer_months=(3.0, 9.0), sessions_per_week=1.02, card_payments_per_month=9.0, app_share=0.5,
        rhythms=(MONTHLY,), secondary_share=0.2, risk_levels=(3, 5), tiers=("gold", "private"), evening=0.4,
    ),
    Persona(
        name="retired", share=0.16, birth_years=(1940, 1958), monthly_income=(1_500, 3_800), buffer_months=(3.5, 12.0),
        sessions_per_week=0.47, card_payments_per_month=6.5, app_share=0.2, rhythms=(PENSION,),
        secondary_share=0.12, risk_levels=(1, 3), tiers=("standard", "silver"), evening=0.2,
    ),
    Persona(
        name="gig", share=0.12, birth_years=(1980, 2004), monthly_income=(1_500, 3_200), buffer_months=(1.6, 3.0),
        sessions_per_week=1.10, card_payments_per_month=8.5, app_share=0.9, rhythms=(PAYOUTS,),
        secondary_share=0.12, risk_levels=(1, 4), tiers=("standard",), evening=0.5,
    ),
)  # fmt: skip

CURRENCIES: Final = (("USD", 0.44, 1.0), ("EUR", 0.26, 1.0), ("GBP", 0.15, 0.8), ("CNY", 0.12, 7.0), ("SGD", 0.03, 1.3))
"""Currency, share of the customers, and how many of it one unit of account is."""
