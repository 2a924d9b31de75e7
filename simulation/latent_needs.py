"""Latent needs: for days or weeks a customer looks at a product more often, and then converts or loses interest.

The online models are to learn this.  Interest shows in page views, searches and some payments, with individual
noise; about half of it converts, and a few customers convert without any sign.
"""

import random
from collections.abc import Sequence
from typing import Final

from needstream.simulation import catalogue, chance, parameters, timeline, truth, web
from needstream.simulation.life import Action, Interest, Life

NEEDS: Final = ("loan", "wealth", "card", "insurance", "remittance")
_CONVERTS = 0.55
_ENOUGH_LOAN_VIEWS = 1.5
_MOST_NEEDS = 2
_SHORTEST_DAYS = 14
_UNANNOUNCED_PER_DAY = 0.00006
_FITTING: Final[dict[str, tuple[str, ...]]] = {
    "loan": ("young", "family"),
    "wealth": ("affluent", "family", "retired"),
    "card": ("young", "family", "affluent"),
    "insurance": ("family", "retired", "affluent"),
    "remittance": ("young", "gig"),
}


def sow_all(lives: Sequence[Life], chosen: parameters.SimulationParameters) -> None:
    """Give latent needs to customers for whom nothing planted would be disturbed by them."""
    for need in NEEDS:
        rng = random.Random(f"{chosen.seed}/latent/{need}")
        wanted = round(chosen.customers * chosen.latent_share)
        ready = [life for life in lives if _may_have(life, need)]
        weights = [3.0 if life.customer.persona.name in _FITTING[need] else 1.0 for life in ready]
        # Sorting by a weighted random key is a weighted sample without replacement (Efraimidis and Spirakis).
        order = sorted(range(len(ready)), key=lambda number: -(rng.random() ** (1 / weights[number])))
        for number in order[:wanted]:
            _sow(ready[number], need)
    for life in lives:
        if not life.roles or life.roles == ["not slow_weeks"]:
            interests = {interest.need for interest in life.interests}
            for need in NEEDS:
                if need not in interests and chance.happens(life.rng, _UNANNOUNCED_PER_DAY * chosen.days):
                    day = life.rng.randrange(2, max(3, chosen.days))
                    life.schedule(life.waking(day), _conversion(need))


def _may_have(life: Life, need: str) -> bool:
    if len(life.interests) >= _MOST_NEEDS or life.chosen.days < _SHORTEST_DAYS:
        return False
    if not life.roles:
        return True
    # Look-alikes of other needs may have a need of their own; loans are too entangled with the loan scenarios.
    return need != "loan" and life.roles[0] in ("not slow_weeks", "not salary_missing", "not inactivity")


def _sow(life: Life, need: str) -> None:
    rng, chosen = life.rng, life.chosen
    length = rng.randint(6, 30)
    taken = life.interests
    first = rng.randint(2, max(2, chosen.days - 8))
    if any(interest.first - 10 <= first < interest.after + 10 for interest in taken):
        return
    after = min(first + length, chosen.days)
    intensity = min(0.95, max(0.12, rng.gauss(0.5, 0.22)))
    life.interests.append(Interest(need, first, after, intensity))
    # Keener interest converts more often, which is what a score has to find out.
    converts = chance.happens(rng, _CONVERTS * (0.6 + 0.8 * intensity)) and first + length < chosen.days
    if converts:
        life.schedule(life.waking(after - 1), _conversion(need))
    life.plant(
        truth.Claim(None, "latent", need=need, note="converts" if converts else "does not convert"),
        starts_at_ms=chosen.at(first),
        window_ms=(chosen.at(first), chosen.at(after)),
    )


def _conversion(need: str) -> Action:
    def convert(life: Life, at_ms: int) -> None:
        rng, customer, writer = life.rng, life.customer, life.journal
        life.interests = [interest for interest in life.interests if interest.need != need]
        before: list[web.Visit] = [web.Page(catalogue.PRODUCT_PAGES[need][0])]
        if need == "loan":
            if writer.loan_views.at(at_ms) > _ENOUGH_LOAN_VIEWS:
                before = []  # One look more would cross the threshold of the repeated queries by accident.
            web.apply_for(
                life, at_ms, product="loan", amount_minor=customer.minor(rng.randint(8, 80) * 250), before=before
            )
        elif need == "wealth":
            amount_minor = round(writer.balance_minor * rng.uniform(0.04, 0.16))
            invested_ms = web.session(life, at_ms, visits=before)[-1] + 2 * timeline.MINUTE_MS
            writer.money(invested_ms, "investment_buy", amount_minor=amount_minor, product="fund", channel="web")
        elif need == "remittance":
            amount_minor = round(writer.balance_minor * rng.uniform(0.03, 0.12))
            sent_ms = web.session(life, at_ms, visits=before)[-1] + 2 * timeline.MINUTE_MS
            writer.money(
                sent_ms, "fx_remittance", amount_minor=amount_minor, product="remittance", channel="web",
                counterparty="Family abroad",
            )  # fmt: skip
        else:
            web.apply_for(life, at_ms, product=need, before=before)

    return convert
