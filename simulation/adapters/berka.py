"""PKDD'99 Financial data (P. Berka and M. Sochorova): a Czech bank's accounts as `bank` pack events.

Input: the folder with the tables.  Output: transactions in CZK with the balance after each, loans granted and cards
issued, in order of their days.  The account stands for the customer.  The tables know the day only: every event has
midnight UTC of its day, and events of one day keep the order of the file.
"""

import collections
import heapq
import pathlib
from collections.abc import Iterator
from typing import Final

from needstream.simulation.adapters import converted

UNKNOWN_KIND: Final = "transaction of an unknown kind"
NO_ACCOUNT: Final = "card without an account"

_MIDNIGHT = "T00:00:00Z"
_BY_PURPOSE: Final = {
    "UROK": "interest",
    "SANKC. UROK": "interest",
    "SLUZBY": "fee",
    "UVER": "loan_repayment",
    "POJISTNE": "insurance_premium",
}
_BY_OPERATION: Final = {
    "VKLAD": "deposit",
    "VYBER": "withdrawal",
    "PREVOD Z UCTU": "transfer_in",
    "PREVOD NA UCET": "transfer_out",
    "VYBER KARTOU": "withdrawal",
}
_COUNTERPARTIES: Final = {"DUCHOD": "pension", "SIPO": "household"}
_PENALTY: Final = "SANKC. UROK"


def read(folder: pathlib.Path, skipped: collections.Counter[str] | None = None) -> Iterator[converted.Converted]:
    """Read the tables of a folder, merged by day.

    Args:
        folder: holds ``trans*.csv``, ``loan.csv``, ``card.csv`` and ``disp.csv``, each plain or ``.gz``.
        skipped: counts what is left out, by reason; complete when the iterator is exhausted.

    Raises:
        FileNotFoundError: a table is missing.
    """
    counts = collections.Counter[str]() if skipped is None else skipped
    streams = (_transactions(folder, counts), _loans(folder), _cards(folder, counts))
    for _, event in heapq.merge(*streams, key=lambda dated: dated[0]):
        yield event


def _table(folder: pathlib.Path, name: str) -> Iterator[dict[str, str]]:
    paths = sorted([*folder.glob(f"{name}*.csv"), *folder.glob(f"{name}*.csv.gz")])
    if not paths:
        message = f"no table {name!r} in {folder}"
        raise FileNotFoundError(message)
    for path in paths:
        yield from converted.rows(path)


def _transactions(folder: pathlib.Path, counts: collections.Counter[str]) -> Iterator[tuple[str, converted.Converted]]:
    for row in _table(folder, "trans"):
        purpose = row["k_symbol"].strip()
        kind = _BY_PURPOSE.get(purpose) or _BY_OPERATION.get(row["operation"])
        if kind is None:
            counts[UNKNOWN_KIND] += 1
            continue
        yield (
            row["date"],
            converted.encode(
                converted.TRANSACTIONS,
                {
                    "event_id": f"berka-{row['trans_id']}",
                    "event_type": kind,
                    "event_time": f"{row['date']}{_MIDNIGHT}",
                    "customer_id": _customer(row["account_id"]),
                    "amount": f"-{row['amount']}" if purpose == _PENALTY else row["amount"],
                    "currency": "CZK",
                    "balance_after": row["balance"],
                    "channel": "card" if row["operation"] == "VYBER KARTOU" else None,
                    "counterparty": _COUNTERPARTIES.get(purpose),
                },
            ),
        )


def _loans(folder: pathlib.Path) -> Iterator[tuple[str, converted.Converted]]:
    for row in sorted(_table(folder, "loan"), key=lambda row: row["date"]):
        day = _day(row["date"])
        yield (
            day,
            converted.encode(
                converted.TRANSACTIONS,
                {
                    "event_id": f"berka-loan-{row['loan_id']}",
                    "event_type": "loan_disbursement",
                    "event_time": f"{day}{_MIDNIGHT}",
                    "customer_id": _customer(row["account_id"]),
                    "amount": f"{row['amount']}.00",
                    "currency": "CZK",
                    "product": "loan",
                },
            ),
        )


def _cards(folder: pathlib.Path, counts: collections.Counter[str]) -> Iterator[tuple[str, converted.Converted]]:
    accounts = {row["disp_id"]: row["account_id"] for row in _table(folder, "disp")}
    for row in sorted(_table(folder, "card"), key=lambda row: row["issued"]):
        account = accounts.get(row["disp_id"])
        if account is None:
            counts[NO_ACCOUNT] += 1
            continue
        day = _day(row["issued"][:6])
        yield (
            day,
            converted.encode(
                converted.TRANSACTIONS,
                {
                    "event_id": f"berka-card-{row['card_id']}",
                    "event_type": "application",
                    "event_time": f"{day}{_MIDNIGHT}",
                    "customer_id": _customer(account),
                    "amount": "0.00",
                    "currency": "CZK",
                    "product": "card",
                },
            ),
        )


def _customer(account_id: str) -> str:
    return f"berka-{account_id}"


def _day(text: str) -> str:
    """Return a date written yymmdd as ISO; the data are of the 1990s."""
    return f"19{text[:2]}-{text[2:4]}-{text[4:6]}"
