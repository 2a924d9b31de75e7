"""Money on ordinary days: income, bills, card payments, cash, and transfers that keep the account at its usual level.

Spending follows the balance, so that an account swings around its owner's usual level and crosses no threshold
unless something planted makes it.
"""

from needstream.simulation import catalogue, chance, personas, population, timeline
from needstream.simulation.life import Life

_CARD_WEEKDAY = (0.85, 0.85, 0.9, 1.0, 1.25, 1.35, 0.8)
_SURPLUS_LEVEL = 1.35
"""Balance over its usual level from which money is moved to savings."""
_SALARY_HOURS = (5, 9)


def schedule_order(life: Life, day: int, *, order: population.StandingOrder) -> None:
    """Schedule one payment of a standing order for the early morning of the day."""
    amount_minor = round(order.amount_minor * (1 + life.rng.uniform(-order.flexible, order.flexible)))

    def pay(life: Life, at_ms: int) -> None:
        life.journal.money(
            at_ms,
            order.event_type,
            amount_minor=amount_minor,
            counterparty=order.counterparty,
            product=order.product,
        )

    life.schedule(life.chosen.at(day, 3 * timeline.HOUR_MS + life.rng.randrange(timeline.HOUR_MS)), pay)


def schedule_money(life: Life, day: int) -> None:
    """Schedule the day's income, card payments and transfers."""
    customer, rng = life.customer, life.rng
    if day in customer.income_days:
        hour = rng.uniform(*_SALARY_HOURS)
        life.schedule(life.chosen.at(day, int(hour * timeline.HOUR_MS)), receive_income)
    weekday = timeline.weekday(life.chosen.first_day_number + day)
    for _ in range(chance.poisson(rng, customer.cards_per_day * _CARD_WEEKDAY[weekday] * life.activity(day))):
        life.schedule(life.waking(day), pay_by_card)
    if day < life.leaves_on:
        level = life.journal.balance_minor / customer.target_minor
        if level < (0.8 if customer.is_secondary else 0.6) and chance.happens(rng, 0.3):
            life.schedule(life.waking(day), top_up)
        elif level > _SURPLUS_LEVEL and chance.happens(rng, 0.12):
            life.schedule(life.waking(day), save_surplus)
        elif chance.happens(rng, 0.025):
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
    life.journal.money(at_ms, event_type, amount_minor=round(customer.income_minor * factor), counterparty=payer)


def pay_by_card(life: Life, at_ms: int) -> None:
    """Pay by card: less when the account runs low, more when it is full."""
    customer, rng, writer = life.customer, life.rng, life.journal
    monthly_minor = 0.12 * customer.target_minor if customer.is_secondary else 0.42 * customer.income_minor
    level = writer.balance_minor / customer.target_minor
    mood = min(2.2, max(0.25, 1 + 1.6 * (level - 1)))
    mean_minor = monthly_minor / (customer.cards_per_day * 30)
    amount_minor = min(round(mean_minor * mood * rng.lognormvariate(-0.18, 0.6)), round(writer.balance_minor * 0.12))
    mcc = rng.choice(catalogue.MERCHANT_CODES)
    for interest in life.current_interests(at_ms):
        codes = catalogue.NEED_MERCHANT_CODES.get(interest.need)
        if codes and chance.happens(rng, 0.3):
            mcc = rng.choice(codes)
    amount_minor = max(amount_minor, 150)
    merchant = catalogue.MERCHANTS[mcc]
    paid = writer.money(at_ms, "card_payment", amount_minor=amount_minor, mcc=mcc, channel="pos", counterparty=merchant)
    if paid and chance.happens(rng, 0.008):
        day = (at_ms - life.chosen.start_ms) // timeline.DAY_MS + rng.randint(2, 9)
        if not life.is_silent(day) and day < life.leaves_on:

            def take_back(life: Life, at_ms: int) -> None:
                life.journal.money(at_ms, "refund", amount_minor=amount_minor, mcc=mcc, counterparty=merchant)

            life.schedule(life.waking(day), take_back)


def top_up(life: Life, at_ms: int) -> None:
    """Bring money from another bank."""
    amount_minor = round(life.customer.target_minor * life.rng.uniform(0.15, 0.28))
    life.journal.money(
        at_ms, "transfer_in", amount_minor=amount_minor, counterparty="Own account elsewhere", channel="web"
    )


def save_surplus(life: Life, at_ms: int) -> None:
    """Move what is above the usual level to savings."""
    amount_minor = round((life.journal.balance_minor - life.customer.target_minor * 1.1) * life.rng.uniform(0.6, 1))
    if amount_minor > 0:
        life.journal.money(at_ms, "transfer_out", amount_minor=amount_minor, counterparty="Own savings", channel="web")


def draw_cash(life: Life, at_ms: int) -> None:
    """Draw cash from a machine."""
    amount_minor = life.customer.minor(life.rng.choice((20, 40, 50, 80, 100)))
    if amount_minor < life.journal.balance_minor * 0.15:
        life.journal.money(at_ms, "withdrawal", amount_minor=amount_minor, channel="atm")
