"""Sessions on ordinary days: a look around, now and then at a product, often at the product of a latent need.

Where the parameters ask for it there are further visits for everyday matters, at plain screens only.
Looks at loans stay clearly below what counts as repeated queries, or for a latent need go clearly above it.
"""

import math

from needstream.simulation import catalogue, chance, timeline, truth, web
from needstream.simulation.life import Life

SCREENS_PER_VISIT = 10
"""Of a visit for everyday matters, on average; at a person's pace it lasts some minutes."""

_USUAL_SESSIONS_PER_DAY = 0.143
"""The mean of `Customer.sessions_per_day` over the personas: who is online more often has more further visits."""

_WEB_WEEKDAY = (1.1, 1.05, 1.0, 1.0, 1.0, 0.9, 0.95)
_LOAN_VIEWS_LIMIT = 2.3
_RATE_VIEWS_LIMIT = 1.6
_LOAN_ALARM = 3.1
"""From this decayed count on, an interest in loans is made unmistakable instead of being left near the threshold."""


def schedule_sessions(life: Life, day: int) -> None:
    """Schedule the day's sessions; after a long pause there is at least one."""
    customer, rng = life.customer, life.rng
    weekday = timeline.weekday(life.chosen.first_day_number + day)
    boost = 1.0
    for interest in life.interests:
        if interest.first <= day < interest.after:
            boost += 1.1 * interest.intensity
    count = chance.poisson(rng, customer.sessions_per_day * _WEB_WEEKDAY[weekday] * life.activity(day) * boost)
    pause_ms = life.chosen.at(day) - life.journal.last_activity_ms
    if count == 0 and pause_ms >= customer.longest_pause_days * timeline.DAY_MS:
        count = 1
    for _ in range(count):
        life.schedule(life.waking(day), visit_bank)
    # Nothing is drawn without the parameter: the other draws, and so all bytes, stay what they were.
    if life.chosen.screens_per_day:
        visits = life.chosen.screens_per_day / SCREENS_PER_VISIT * customer.sessions_per_day / _USUAL_SESSIONS_PER_DAY
        for _ in range(chance.poisson(rng, visits * _WEB_WEEKDAY[weekday] * life.activity(day))):
            life.schedule(life.waking(day), see_to_things)


def visit_bank(life: Life, at_ms: int) -> None:
    """Log in and look around; now and then at some product, often at the product of a latent need."""
    rng = life.rng
    visits = [web.general_visit(rng) for _ in range(1 + chance.poisson(rng, 1.3))]
    if chance.happens(rng, life.customer.curiosity):
        product = rng.choice(("wealth", "card", "card", "insurance", "remittance", "deposit", "mortgage", "loan"))
        visits += [web.product_visit(rng, product, search_share=0.1) for _ in range(rng.choice((1, 1, 1, 2)))]
    interested_in_loans = False
    for interest in life.current_interests(at_ms):
        if chance.happens(rng, interest.intensity):
            visits += [web.product_visit(rng, interest.need) for _ in range(rng.choice((1, 2, 2, 3)))]
            interested_in_loans = interested_in_loans or interest.need == "loan"
            if interest.need == "loan" and chance.happens(rng, 0.2):
                visits.append(web.Page(rng.choice(catalogue.RATE_PAGES)))
    anonymous = web.anonymous_visits(life)
    shown = _within_limits(life, at_ms, visits=visits, interested_in_loans=interested_in_loans)
    web.session(life, at_ms, visits=shown, anonymous=anonymous)


def see_to_things(life: Life, at_ms: int) -> None:
    """Log in for everyday matters: balance, payments, settings; no product, so no limit on loan pages is touched."""
    screens = 1 + chance.poisson(life.rng, SCREENS_PER_VISIT - 1)
    web.session(life, at_ms, visits=[web.general_visit(life.rng) for _ in range(screens)])


def _within_limits(life: Life, at_ms: int, *, visits: list[web.Visit], interested_in_loans: bool) -> list[web.Visit]:
    """Keep loan pages clearly below, or for a latent need clearly above, what counts as repeated queries."""
    day = (at_ms - life.chosen.start_ms) // timeline.DAY_MS
    blocked = any(stretch.holds(day) for stretch in life.no_loan_pages)
    views, rates = life.journal.loan_views.at(at_ms), life.journal.rate_views.at(at_ms)
    kept: list[web.Visit] = []
    before = views
    for visit in visits:
        if not web.is_loan(visit):
            kept.append(visit)
            continue
        is_rate = isinstance(visit, web.Page) and visit.url in catalogue.RATE_PAGES
        if blocked or (is_rate and rates + 1 > _RATE_VIEWS_LIMIT):
            continue
        if not interested_in_loans and views + 1 > _LOAN_VIEWS_LIMIT:
            continue
        kept.append(visit)
        views += 1
        rates += is_rate
    if before < _LOAN_ALARM <= views:
        missing = max(0, math.ceil(4.2 - views))
        kept += [web.product_visit(life.rng, "loan") for _ in range(missing)]
        if day >= life.loan_need_known_until:
            ends = max((one.after for one in life.current_interests(at_ms) if one.need == "loan"), default=day)
            life.loan_need_known_until = ends + 7
            life.plant(
                truth.Claim("repeated_loan_queries", "need", need="loan", note="a latent need for a loan shows"),
                starts_at_ms=at_ms,
                window_ms=(at_ms - timeline.DAY_MS, max(life.chosen.at(ends), at_ms) + 3 * timeline.DAY_MS),
            )
    return kept
