"""Ordinary days: income, bills, card payments, sessions, feedback, and what the bank does by itself.

Spending follows the balance, so that an account swings around its owner's usual level and crosses no threshold
unless something planted makes it.
"""

import heapq
import math
import random

from needstream.simulation import catalogue, personas, population, timeline, web
from needstream.simulation.life import Interest, Life

_CARD_WEEKDAY = (0.85, 0.85, 0.9, 1.0, 1.25, 1.35, 0.8)
_WEB_WEEKDAY = (1.1, 1.05, 1.0, 1.0, 1.0, 0.9, 0.95)
_LOAN_VIEWS_LIMIT = 2.3
_RATE_VIEWS_LIMIT = 1.6
_LOAN_ALARM = 3.1
"""From this decayed count on, an interest in loans is made unmistakable instead of being left near the threshold."""
_FEEDBACK_PER_DAY = 0.0035
_SALARY_HOURS = (5, 9)


def introduce(life: Life) -> None:
    """Write what the bank knows at the start: profile and consents."""
    customer, rng = life.customer, life.rng
    at_ms = life.chosen.at(0, rng.randrange(20 * timeline.MINUTE_MS))
    writer = life.journal
    writer.customer_event(
        at_ms,
        "profile",
        {
            "birth_year": customer.birth_year,
            "tier": customer.tier,
            "risk_level": customer.risk_level,
            "language": "zh" if customer.currency == "CNY" else "en",
            "home_currency": customer.currency,
            "party_type": "person",
        },
    )
    for purpose, status in (
        ("marketing", customer.marketing),
        ("profiling", customer.profiling),
        ("service", customer.service),
    ):
        if status is not None:
            at_ms += 50
            writer.customer_event(at_ms, "consent", {"purpose": purpose, "status": status})


def live(life: Life) -> None:
    """Live all days in order."""
    introduce(life)
    last_order: dict[int, list[int]] = {}
    for number, order in enumerate(life.customer.orders):
        for day in order.days:
            last_order.setdefault(day, []).append(number)
    deferred: list[int] = []
    for day in range(life.chosen.days):
        due = last_order.get(day, [])
        if life.is_silent(day):
            deferred += [number for number in due if life.customer.orders[number].event_type != "fx_remittance"]
        else:
            for number in dict.fromkeys(deferred + due):
                _schedule_order(life, day, life.customer.orders[number])
            deferred = []
            _schedule_money(life, day)
            _schedule_sessions(life, day)
            if life.rng.random() < _FEEDBACK_PER_DAY * life.activity(day):
                life.schedule(life.waking(day), give_feedback)
        _schedule_bank(life, day)
        queue = life.agenda.get(day, [])
        while queue:  # An action may add another one to the same day.
            at_ms, _, action = heapq.heappop(queue)
            action(life, at_ms)
        life.agenda.pop(day, None)


def poisson(rng: random.Random, mean: float) -> int:
    """Draw a Poisson number; fit for the small means of daily events."""
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


def _schedule_order(life: Life, day: int, order: population.StandingOrder) -> None:
    amount_minor = round(order.amount_minor * (1 + life.rng.uniform(-order.flexible, order.flexible)))

    def pay(life: Life, at_ms: int) -> None:
        life.journal.money(
            at_ms, order.event_type, amount_minor, counterparty=order.counterparty, product=order.product
        )

    life.schedule(life.chosen.at(day, 3 * timeline.HOUR_MS + life.rng.randrange(timeline.HOUR_MS)), pay)


def _schedule_money(life: Life, day: int) -> None:
    customer, rng = life.customer, life.rng
    if day in customer.income_days:
        hour = rng.uniform(*_SALARY_HOURS)
        life.schedule(life.chosen.at(day, int(hour * timeline.HOUR_MS)), receive_income)
    weekday = timeline.weekday(life.chosen.first_day_number + day)
    for _ in range(poisson(rng, customer.cards_per_day * _CARD_WEEKDAY[weekday] * life.activity(day))):
        life.schedule(life.waking(day), pay_by_card)
    if day < life.leaves_on:
        level = life.journal.balance_minor / customer.target_minor
        if level < (0.8 if customer.is_secondary else 0.6) and rng.random() < 0.3:
            life.schedule(life.waking(day), top_up)
        elif level > 1.35 and rng.random() < 0.12:
            life.schedule(life.waking(day), save_surplus)
        elif rng.random() < 0.025:
            life.schedule(life.waking(day), draw_cash)


def receive_income(life: Life, at_ms: int) -> None:
    """Book a salary, pension or platform payout."""
    customer, rng = life.customer, life.rng
    share = {personas.FORTNIGHTLY: 0.46, personas.PAYOUTS: 0.235}.get(customer.rhythm or "", 1.0)
    spread = 0.3 if customer.rhythm == personas.PAYOUTS else 0.01
    day = (at_ms - life.chosen.start_ms) // timeline.DAY_MS
    factor = share * (1 + rng.uniform(-spread, spread)) * customer.income_factors.get(day, 1.0)
    if customer.rhythm == personas.PENSION:
        event_type, payer = "transfer_in", "State pension office"
    elif customer.rhythm == personas.PAYOUTS:
        event_type, payer = "transfer_in", catalogue.PLATFORMS[customer.number % len(catalogue.PLATFORMS)]
    else:
        event_type, payer = "deposit", customer.employer
    life.journal.money(at_ms, event_type, round(customer.income_minor * factor), counterparty=payer)


def pay_by_card(life: Life, at_ms: int) -> None:
    """Pay by card: less when the account runs low, more when it is full."""
    customer, rng, writer = life.customer, life.rng, life.journal
    monthly_minor = 0.12 * customer.target_minor if customer.is_secondary else 0.42 * customer.income_minor
    level = writer.balance_minor / customer.target_minor
    mood = min(2.2, max(0.25, 1 + 1.6 * (level - 1)))
    mean_minor = monthly_minor / (customer.cards_per_day * 30)
    amount_minor = min(
        round(mean_minor * mood * rng.lognormvariate(-0.18, 0.6)), round(writer.balance_minor * 0.12)
    )
    mcc = rng.choice(catalogue.MERCHANT_CODES)
    for interest in _interests(life, at_ms):
        codes = catalogue.NEED_MERCHANT_CODES.get(interest.need)
        if codes and rng.random() < 0.3:
            mcc = rng.choice(codes)
    amount_minor = max(amount_minor, 150)
    merchant = catalogue.MERCHANTS[mcc]
    paid = writer.money(at_ms, "card_payment", amount_minor, mcc=mcc, channel="pos", counterparty=merchant)
    if paid and rng.random() < 0.008:
        day = (at_ms - life.chosen.start_ms) // timeline.DAY_MS + rng.randint(2, 9)
        if not life.is_silent(day) and day < life.leaves_on:

            def take_back(life: Life, at_ms: int) -> None:
                life.journal.money(at_ms, "refund", amount_minor, mcc=mcc, counterparty=merchant)

            life.schedule(life.waking(day), take_back)


def top_up(life: Life, at_ms: int) -> None:
    """Bring money from another bank."""
    amount_minor = round(life.customer.target_minor * life.rng.uniform(0.15, 0.28))
    life.journal.money(at_ms, "transfer_in", amount_minor, counterparty="Own account elsewhere", channel="web")


def save_surplus(life: Life, at_ms: int) -> None:
    """Move what is above the usual level to savings."""
    amount_minor = round((life.journal.balance_minor - life.customer.target_minor * 1.1) * life.rng.uniform(0.6, 1))
    if amount_minor > 0:
        life.journal.money(at_ms, "transfer_out", amount_minor, counterparty="Own savings", channel="web")


def draw_cash(life: Life, at_ms: int) -> None:
    """Draw cash from a machine."""
    amount_minor = life.customer.minor(life.rng.choice((20, 40, 50, 80, 100)))
    if amount_minor < life.journal.balance_minor * 0.15:
        life.journal.money(at_ms, "withdrawal", amount_minor, channel="atm")


def _schedule_sessions(life: Life, day: int) -> None:
    customer, rng = life.customer, life.rng
    weekday = timeline.weekday(life.chosen.first_day_number + day)
    boost = 1.0
    for interest in life.interests:
        if interest.first <= day < interest.after:
            boost += 1.1 * interest.intensity
    count = poisson(rng, customer.sessions_per_day * _WEB_WEEKDAY[weekday] * life.activity(day) * boost)
    pause_ms = life.chosen.at(day) - life.journal.last_activity_ms
    if count == 0 and pause_ms >= customer.longest_pause_days * timeline.DAY_MS:
        count = 1
    for _ in range(count):
        life.schedule(life.waking(day), visit_bank)


def visit_bank(life: Life, at_ms: int) -> None:
    """Log in and look around; now and then at some product, often at the product of a latent need."""
    rng = life.rng
    visits = [web.general_visit(rng) for _ in range(1 + poisson(rng, 1.3))]
    if rng.random() < life.customer.curiosity:
        product = rng.choice(("wealth", "card", "card", "insurance", "remittance", "deposit", "mortgage", "loan"))
        visits += [web.product_visit(rng, product, search_share=0.1) for _ in range(rng.choice((1, 1, 1, 2)))]
    interested_in_loans = False
    for interest in _interests(life, at_ms):
        if rng.random() < interest.intensity:
            visits += [web.product_visit(rng, interest.need) for _ in range(rng.choice((1, 2, 2, 3)))]
            interested_in_loans = interested_in_loans or interest.need == "loan"
            if interest.need == "loan" and rng.random() < 0.2:
                visits.append(web.Page(rng.choice(catalogue.RATE_PAGES)))
    anonymous = web.anonymous_visits(life)
    web.session(life, at_ms, _within_limits(life, at_ms, visits, interested_in_loans), anonymous=anonymous)


def _within_limits(life: Life, at_ms: int, visits: list[web.Visit], interested_in_loans: bool, /) -> list[web.Visit]:
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
            ends = max((one.after for one in _interests(life, at_ms) if one.need == "loan"), default=day)
            life.loan_need_known_until = ends + 7
            life.plant(
                "repeated_loan_queries",
                "need",
                need="loan",
                starts_at_ms=at_ms,
                window_ms=(at_ms - timeline.DAY_MS, max(life.chosen.at(ends), at_ms) + 3 * timeline.DAY_MS),
                note="a latent need for a loan shows",
            )
    return kept


def _interests(life: Life, at_ms: int) -> list[Interest]:
    if not life.interests:
        return []
    day = (at_ms - life.chosen.start_ms) // timeline.DAY_MS
    return [interest for interest in life.interests if interest.first <= day < interest.after]


def give_feedback(life: Life, at_ms: int) -> None:
    """Say something to the bank; who has something planted that a complaint would suppress does not complain."""
    rng = life.rng
    kind = rng.choice(("survey", "survey", "chat_message", "chat_message", "review", "suggestion", "call", "complaint"))
    if kind == "complaint" and not life.may_complain:
        kind = "survey"
    lang, topic, text = rng.choice(catalogue.FEEDBACK[kind])
    fields: dict[str, object] = {"text": text, "lang": lang, "topic": topic, "channel": "web"}
    if kind in ("survey", "review"):
        fields["rating"] = rng.choice((6, 7, 8, 8, 9, 10))
    if kind == "complaint":
        fields["resolved"] = rng.random() < 0.4
        if topic in ("billing", "fees"):
            fields["amount_at_issue"] = f"{life.rng.randint(5, 400)}.00"
            fields["currency"] = life.customer.currency
    life.journal.feedback(at_ms, kind, fields)


def _schedule_bank(life: Life, day: int) -> None:
    """Let the bank act: statements, interest and a fee at the turn of the month, credit scores."""
    customer, rng = life.customer, life.rng
    date = timeline.date_of(life.chosen.first_day_number + day)
    if date.day == 1:
        life.schedule(life.chosen.at(day, 2 * timeline.HOUR_MS + rng.randrange(timeline.HOUR_MS)), _close_month)
    if day in customer.score_days:
        life.schedule(life.chosen.at(day, 4 * timeline.HOUR_MS + rng.randrange(timeline.HOUR_MS)), _score_credit)


def _close_month(life: Life, at_ms: int) -> None:
    writer, customer = life.journal, life.customer
    interest_minor = round(writer.balance_minor * 0.0008)
    if interest_minor > 0 and customer.persona.name in ("affluent", "retired"):
        writer.money(at_ms, "interest", interest_minor)
    if customer.number % 3 == 0:
        writer.money(at_ms, "fee", customer.minor(4))
    writer.balance(at_ms)


def _score_credit(life: Life, at_ms: int) -> None:
    customer = life.customer
    day = (at_ms - life.chosen.start_ms) // timeline.DAY_MS
    fallen = sum(points for since, points in customer.score_drops.items() if since <= day)
    score = max(0, customer.credit_score + fallen + life.rng.randint(-4, 4))
    life.journal.customer_event(at_ms, "credit_score", {"score": score})
