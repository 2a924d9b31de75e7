"""Who gets what planted: each scenario with its near misses, churners, and never two that would collide."""

import dataclasses
import random
from collections.abc import Callable, Sequence

from needstream.simulation import (
    parameters,
    plants_account,
    plants_income,
    plants_leaving,
    plants_web,
    population,
)
from needstream.simulation.life import Life


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """Something that can be planted in a life.

    ``sow`` writes it into the agenda before the first day; ``fits`` says which customers can carry it believably.
    """

    role: str
    is_near_miss: bool
    shortest_days: int
    """Below this many simulated days there is no room for it."""
    fits: Callable[[population.Customer, parameters.SimulationParameters], bool]
    sow: Callable[[Life], None]
    weight: float = 1.0
    """How many customers get it, relative to the share in the parameters."""


def _anyone(customer: population.Customer, chosen: parameters.SimulationParameters) -> bool:
    return True


# Hardest to place first: later ones take whoever is left.
PLANTS: Sequence[Plant] = (
    Plant(
        role="liquidity_stress", is_near_miss=False, shortest_days=50,
        fits=plants_income.can_be_stretched, sow=plants_income.liquidity_stress,
    ),
    Plant(
        role="liquidity_stress", is_near_miss=True, shortest_days=50,
        fits=plants_income.is_wealthy, sow=plants_income.wealthy_instalments,
    ),
    Plant(
        role="inactivity", is_near_miss=False, shortest_days=55,
        fits=plants_leaving.can_fall_silent, sow=plants_leaving.inactivity,
    ),
    Plant(
        role="salary_missing", is_near_miss=False, shortest_days=75,
        fits=plants_income.can_miss_salary, sow=plants_income.salary_missing,
    ),
    Plant(
        role="salary_missing", is_near_miss=True, shortest_days=75,
        fits=plants_income.can_be_paid_late, sow=plants_income.salary_late,
    ),
    Plant(
        role="balance_drop", is_near_miss=False, shortest_days=52,
        fits=plants_account.can_empty, sow=plants_account.balance_drop,
    ),
    Plant(
        role="balance_jump", is_near_miss=True, shortest_days=52,
        fits=plants_account.can_get_bonus, sow=plants_account.bonus_salary,
    ),
    Plant(
        role="balance_drop", is_near_miss=True, shortest_days=52,
        fits=plants_account.can_buy_big, sow=plants_account.big_purchase,
    ),
    Plant(
        role="inactivity", is_near_miss=True, shortest_days=45,
        fits=plants_leaving.can_take_holiday, sow=plants_leaving.holiday,
    ),
    Plant(role="balance_jump", is_near_miss=False, shortest_days=52, fits=_anyone, sow=plants_account.balance_jump),
    Plant(
        role="credit_score_drop", is_near_miss=False, shortest_days=62, fits=_anyone,
        sow=plants_income.credit_score_drop,
    ),
    Plant(
        role="credit_score_drop", is_near_miss=True, shortest_days=62, fits=_anyone,
        sow=plants_income.small_score_drop,
    ),
    Plant(
        role="repeated_loan_queries", is_near_miss=False, shortest_days=25, fits=_anyone,
        sow=plants_web.repeated_loan_queries,
    ),
    Plant(
        role="repeated_loan_queries", is_near_miss=True, shortest_days=25, fits=_anyone,
        sow=plants_web.two_loan_views,
    ),
    Plant(
        role="loan_rate_shopping", is_near_miss=False, shortest_days=30, fits=_anyone,
        sow=plants_web.loan_rate_shopping,
    ),
    Plant(
        role="loan_rate_shopping", is_near_miss=True, shortest_days=30, fits=_anyone,
        sow=plants_web.rate_shopping_then_application,
    ),
    Plant(
        role="application_abandoned", is_near_miss=False, shortest_days=12, fits=_anyone,
        sow=plants_web.application_abandoned, weight=1.3,
    ),
    Plant(
        role="application_abandoned", is_near_miss=True, shortest_days=12, fits=_anyone,
        sow=plants_web.application_after_pause,
    ),
    Plant(role="slow_weeks", is_near_miss=True, shortest_days=60, fits=_anyone, sow=plants_leaving.slow_weeks),
)  # fmt: skip


def sow_all(lives: Sequence[Life], chosen: parameters.SimulationParameters) -> None:
    """Choose the customers of every plant and write it into their agendas; one plant per customer.

    Small populations get at least one of each plant that somebody fits.
    """
    rng = random.Random(f"{chosen.seed}/plants")
    free = list(lives)
    rng.shuffle(free)
    churners = round(chosen.customers * chosen.churner_share)
    for plant in PLANTS:
        share = chosen.near_miss_share if plant.is_near_miss else chosen.plant_share
        if chosen.days < plant.shortest_days or share == 0:
            continue
        wanted = max(1, round(chosen.customers * share * plant.weight))
        taken = [life for life in free if plant.fits(life.customer, chosen)][:wanted]
        for life in taken:
            life.roles.append(f"{'not ' if plant.is_near_miss else ''}{plant.role}")
            plant.sow(life)
        chosen_ids = {life.customer.customer_id for life in taken}
        free = [life for life in free if life.customer.customer_id not in chosen_ids]
    if chosen.days >= plants_leaving.SHORTEST_DAYS:
        for life in free[:churners]:
            life.roles.append("churner")
            plants_leaving.churner(life)
