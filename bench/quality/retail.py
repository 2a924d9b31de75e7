"""Online Retail as tasks: does the customer leave, buy again, cancel?

In goes the invoice file, out come the tasks. A question is asked at the first invoice of a customer's day and
knows that invoice and the earlier ones; what follows counts from the next day on. Invoices of guests
are left out, and so are questions whose horizon ends after the data.
"""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime
from math import exp2, floor
from pathlib import Path

import msgspec
from bench.quality.task import DAY_S, Question, Row, Task, dense, in_order

from needstream.simulation.adapters import converted

SOURCE = "online_retail: UCI Online Retail, D. Chen, DOI 10.24432/C5BW33 (2010-12 to 2011-08)"
LICENCE = "CC BY 4.0"
NEVER_DAYS = 180.0
KNOWN_AT_MOST_DAYS = 60.0
"""The data begin with everybody new: a longer memory would be the age of the stream."""

_COUNTRIES = ("United Kingdom", "Germany", "France", "EIRE")
_HALF_LIVES_DAYS = (7, 30, 90)
_NEWEST = 20


class _Invoice(msgspec.Struct):
    customer: str
    at: float
    hour: float
    weekday: int
    country: str
    cancels: bool
    amount: float = 0.0
    quantity: float = 0.0
    largest: float = 0.0
    products: set[str] = msgspec.field(default_factory=set)


class _History(msgspec.Struct):
    orders: list[_Invoice] = msgspec.field(default_factory=list)
    cancelled: list[_Invoice] = msgspec.field(default_factory=list)
    products: set[str] = msgspec.field(default_factory=set)


def tasks(path: Path) -> Iterator[Task]:
    """The five tasks of the file, over the same vectors."""
    invoices = _invoices(path)
    asked = _asked(invoices)
    features, vectors = dense(row for _, row in asked)
    end = max(invoice.at for invoice in invoices)
    bought = _days(invoices, cancels=False)
    cancelled = _days(invoices, cancels=True)
    for name, days, times, when in (
        ("retail churn 90 d", 90, bought, False),
        ("retail purchase 7 d", 7, bought, True),
        ("retail purchase 14 d", 14, bought, True),
        ("retail purchase 30 d", 30, bought, True),
        ("retail cancellation 30 d", 30, cancelled, True),
    ):
        questions = []
        for (invoice, _), values in zip(asked, vectors, strict=True):
            due = invoice.at + days * DAY_S
            if due <= end:
                follows = _any_between(times.get(invoice.customer, []), after=_next_day(invoice.at), until=due)
                questions.append(Question(invoice.at, due, values, follows is when))
        yield Task(
            name=name,
            group=name,
            source=SOURCE,
            licence=LICENCE,
            delay=f"{days} d",
            features=features,
            questions=in_order(questions),
            recency="gap_days",
        )


def _invoices(path: Path) -> list[_Invoice]:
    by_number: dict[str, _Invoice] = {}
    for row in converted.rows(path):
        if not row["CustomerID"]:
            continue
        number = row["InvoiceNo"]
        invoice = by_number.get(number)
        if invoice is None:
            moment = datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=UTC)
            invoice = by_number[number] = _Invoice(
                row["CustomerID"],
                moment.timestamp(),
                moment.hour + moment.minute / 60,
                moment.weekday(),
                row["Country"],
                number.startswith("C"),
            )
        quantity = abs(float(row["Quantity"]))
        amount = quantity * float(row["UnitPrice"])
        invoice.amount += amount
        invoice.quantity += quantity
        invoice.largest = max(invoice.largest, amount)
        invoice.products.add(row["StockCode"])
    return sorted(by_number.values(), key=lambda invoice: invoice.at)


def _asked(invoices: list[_Invoice]) -> list[tuple[_Invoice, Row]]:
    """The invoices that are asked about, each with what was known of its customer then."""
    histories: dict[str, _History] = {}
    asked_on: dict[str, int] = {}
    asked = []
    for invoice in invoices:
        history = histories.setdefault(invoice.customer, _History())
        if invoice.cancels:
            history.cancelled.append(invoice)
            continue
        day = floor(invoice.at / DAY_S)
        if asked_on.get(invoice.customer) != day:
            asked_on[invoice.customer] = day
            asked.append((invoice, _row(invoice, history)))
        history.orders.append(invoice)
        history.products |= invoice.products
    return asked


def _row(invoice: _Invoice, history: _History) -> Row:
    now, before = invoice.at, history.orders
    moments = [order.at for order in before] + [now]
    gaps = [(later - sooner) / DAY_S for sooner, later in itertools.pairwise(moments)][-_NEWEST:]
    mean_gap = sum(gaps) / len(gaps) if gaps else NEVER_DAYS
    spread = (sum((gap - mean_gap) ** 2 for gap in gaps) / len(gaps)) ** 0.5 if gaps else 0.0
    gap = gaps[-1] if gaps else NEVER_DAYS
    mean_amount = sum(order.amount for order in before) / len(before) if before else invoice.amount
    cancelled, taken_back = history.cancelled, sum(each.amount for each in history.cancelled)
    spent = sum(order.amount for order in before) + invoice.amount
    row = {
        "amount": invoice.amount,
        "quantity": invoice.quantity,
        "products": float(len(invoice.products)),
        "mean_price": invoice.amount / max(1.0, invoice.quantity),
        "largest_share": invoice.largest / max(0.01, invoice.amount),
        "gap_days": gap,
        "mean_gap_days": mean_gap,
        "gap_spread_days": spread,
        "gap_ratio": gap / max(0.5, mean_gap),
        "first": float(not before),
        "known_days": min(KNOWN_AT_MOST_DAYS, (now - moments[0]) / DAY_S),
        "orders": float(min(_NEWEST, len(before))),
        "mean_amount": mean_amount,
        "amount_ratio": invoice.amount / max(1.0, mean_amount),
        "cancelled": float(min(_NEWEST, len(cancelled))),
        "cancelled_per_order": len(cancelled) / (len(before) + 1),
        "cancelled_share": min(1.0, taken_back / max(0.01, spent)),
        "days_since_cancelled": min(NEVER_DAYS, (now - cancelled[-1].at) / DAY_S) if cancelled else NEVER_DAYS,
        "known_products_share": len(invoice.products & history.products) / len(invoice.products),
        "hour": invoice.hour,
        f"weekday={invoice.weekday}": 1.0,
        f"country={invoice.country if invoice.country in _COUNTRIES else 'other'}": 1.0,
    }
    for days in _HALF_LIVES_DAYS:
        faded = [exp2((order.at - now) / (days * DAY_S)) for order in before]
        row[f"orders_{days}d"] = sum(faded)
        row[f"amount_{days}d"] = sum(weight * order.amount for weight, order in zip(faded, before, strict=True))
        row[f"cancelled_{days}d"] = sum(exp2((each.at - now) / (days * DAY_S)) for each in cancelled)
    return row


def _days(invoices: list[_Invoice], *, cancels: bool) -> dict[str, list[float]]:
    moments: dict[str, list[float]] = {}
    for invoice in invoices:
        if invoice.cancels is cancels:
            moments.setdefault(invoice.customer, []).append(invoice.at)
    return moments


def _any_between(moments: list[float], *, after: float, until: float) -> bool:
    """Whether a moment lies from ``after`` on and not beyond ``until``; ``moments`` rise."""
    return bisect_left(moments, after) < bisect_right(moments, until)


def _next_day(at: float) -> float:
    return (floor(at / DAY_S) + 1) * DAY_S
