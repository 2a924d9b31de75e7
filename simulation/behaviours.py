"""Days in order: what the customer does and says, what the bank does by itself, and whatever is planted."""

import heapq

from needstream.simulation import browsing, catalogue, chance, spending, timeline
from needstream.simulation.life import Life

_FEEDBACK_PER_DAY = 0.0035


def introduce(life: Life) -> None:
    """Write what the bank knows at the start: profile and consents."""
    customer, rng = life.customer, life.rng
    at_ms = life.chosen.at(0, rng.randrange(20 * timeline.MINUTE_MS))
    writer = life.journal
    writer.customer_event(
        at_ms,
        "profile",
        fields={
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
            writer.customer_event(at_ms, "consent", fields={"purpose": purpose, "status": status})


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
                spending.schedule_order(life, day, order=life.customer.orders[number])
            deferred = []
            spending.schedule_money(life, day)
            browsing.schedule_sessions(life, day)
            if chance.happens(life.rng, _FEEDBACK_PER_DAY * life.activity(day)):
                life.schedule(life.waking(day), give_feedback)
        _schedule_bank(life, day)
        queue = life.agenda.get(day, [])
        while queue:  # An action may add another one to the same day.
            at_ms, _, action = heapq.heappop(queue)
            action(life, at_ms)
        life.agenda.pop(day, None)


def give_feedback(life: Life, at_ms: int) -> None:
    """Say something to the bank; who has something planted that a complaint would suppress does not complain."""
    rng = life.rng
    kind = rng.choice(("survey", "survey", "chat_message", "chat_message", "review", "suggestion", "call", "complaint"))
    if kind == "complaint" and not life.may_complain:
        kind = "survey"
    _say(life, at_ms, kind=kind)


def complain(life: Life, at_ms: int) -> None:
    """Complain to the bank."""
    _say(life, at_ms, kind="complaint")


def _say(life: Life, at_ms: int, *, kind: str) -> None:
    rng = life.rng
    lang, topic, text = rng.choice(catalogue.FEEDBACK[kind])
    fields: dict[str, object] = {"text": text, "lang": lang, "topic": topic, "channel": "web"}
    if kind in ("survey", "review"):
        fields["rating"] = rng.choice((6, 7, 8, 8, 9, 10))
    if kind == "complaint":
        fields["resolved"] = chance.happens(rng, 0.4)
        if topic in ("billing", "fees"):
            fields["amount_at_issue"] = f"{rng.randint(5, 400)}.00"
            fields["currency"] = life.customer.currency
    life.journal.feedback(at_ms, kind, fields=fields)


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
        writer.money(at_ms, "interest", amount_minor=interest_minor)
    if customer.number % 3 == 0:
        writer.money(at_ms, "fee", amount_minor=customer.minor(4))
    writer.balance(at_ms)


def _score_credit(life: Life, at_ms: int) -> None:
    customer = life.customer
    day = (at_ms - life.chosen.start_ms) // timeline.DAY_MS
    fallen = sum(points for since, points in customer.score_drops.items() if since <= day)
    score = max(0, customer.credit_score + fallen + life.rng.randint(-4, 4))
    life.journal.customer_event(at_ms, "credit_score", fields={"score": score})
