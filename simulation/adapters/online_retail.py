"""UCI Online Retail (D. Chen, DOI 10.24432/C5BW33, CC BY 4.0): invoices of a gift web shop as `shop` pack events.

Input: the CSV file, in time order.  Output: one `purchase` per invoice, or `refund` for a cancellation, with the
total of its product lines in GBP.  The shop's clock is London time; the file does not say so and the times are taken
as UTC, which is an hour off in summer.
"""

import collections
import dataclasses
import decimal
import pathlib
import re
from collections.abc import Iterator
from typing import Final

from needstream.simulation import timeline
from needstream.simulation.adapters import converted

GUEST: Final = "invoice of a guest without an id"
NO_PRODUCT: Final = "line whose stock code is no product (postage, fees, corrections)"
NOTHING_CHARGED: Final = "invoice without a charged product"

_PRODUCT_CODE = re.compile(r"\d{5}|DCGS|gift_", re.IGNORECASE)
_SAME_INVOICE_MS = 10 * timeline.MINUTE_MS
"""The lines of an invoice lie within a minute or two, sometimes mixed with those of another."""
_PENNY = decimal.Decimal("0.01")


@dataclasses.dataclass(slots=True)
class _Invoice:
    number: str
    customer_id: str
    at_ms: int
    total: decimal.Decimal = decimal.Decimal(0)


def read(path: pathlib.Path, skipped: collections.Counter[str] | None = None) -> Iterator[converted.Converted]:
    """Read invoices in time order.

    Args:
        path: the CSV file, plain or ``.gz``.
        skipped: counts what is left out, by reason; complete when the iterator is exhausted.
    """
    counts = collections.Counter[str]() if skipped is None else skipped
    for invoice in _invoices(path, counts):
        if not invoice.customer_id:
            counts[GUEST] += 1
        elif invoice.total.quantize(_PENNY) == 0:
            counts[NOTHING_CHARGED] += 1
        else:
            yield _event(invoice)


def _invoices(path: pathlib.Path, counts: collections.Counter[str]) -> Iterator[_Invoice]:
    open_invoices: dict[str, _Invoice] = {}
    for row in converted.rows(path):
        at_ms = timeline.parse(f"{row['InvoiceDate']}+00:00")
        number = row["InvoiceNo"]
        invoice = open_invoices.get(number)
        if invoice is None:
            # Invoices open in time order, so those that are complete stand first.
            while open_invoices:
                oldest = next(iter(open_invoices.values()))
                if at_ms - oldest.at_ms <= _SAME_INVOICE_MS:
                    break
                yield open_invoices.pop(oldest.number)
            invoice = open_invoices[number] = _Invoice(number, row["CustomerID"], at_ms)
        if _PRODUCT_CODE.match(row["StockCode"]):
            invoice.total += int(row["Quantity"]) * decimal.Decimal(row["UnitPrice"])
        else:
            counts[NO_PRODUCT] += 1
    yield from open_invoices.values()


def _event(invoice: _Invoice) -> converted.Converted:
    return converted.encode(
        converted.TRANSACTIONS,
        {
            "event_id": f"retail-{invoice.number}",
            "event_type": "refund" if invoice.total < 0 else "purchase",
            "event_time": timeline.rfc3339(invoice.at_ms),
            "customer_id": f"retail-{invoice.customer_id}",
            "amount": str(abs(invoice.total).quantize(_PENNY)),
            "currency": "GBP",
            "product": "gift",
            "channel": "web",
        },
    )
