"""Labelled streams for comparing models: simulated bank examples and public data sets, in time order.

In go a replay's ``labelled-examples.v1.jsonl`` or the folder of public data sets, out come named lists
of examples. An example is asked about at ``at`` and answered at ``due``; nothing may learn it earlier.
"""

import csv
import gzip
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from msgspec import Struct

HORIZON_S = 30 * 86_400.0


class Example(Struct, frozen=True):
    """One question with its answer; times are numbers of any unit that both share."""

    at: float
    due: float
    values: tuple[float, ...]
    label: bool


def simulated(examples: Path) -> Iterator[tuple[str, list[Example]]]:
    """The examples of every model of a replay, asked when predicted and answered when due."""
    by_model: dict[str, list[Example]] = {}
    with examples.open(encoding="utf-8") as lines:
        for line in lines:
            said = json.loads(line)
            example = Example(
                _seconds(said["predicted_at"]), _seconds(said["due_at"]), tuple(said["features"]), said["label"]
            )
            by_model.setdefault(said["model"], []).append(example)
    for model, asked in sorted(by_model.items()):
        yield f"bank {model}", sorted(asked, key=lambda example: example.at)


def public(folder: Path) -> Iterator[tuple[str, list[Example]]]:
    """Every public data set that ``folder`` holds."""
    contacts = folder / "bank_marketing" / "contacts.csv.gz"
    if contacts.exists():
        yield "marketing", _table(_rows(contacts), label="y", positive="yes", leave_out={"duration"})
    sessions = folder / "online_shoppers" / "sessions.csv.gz"
    if sessions.exists():
        rows = [_named(row, "OperatingSystems", "Browser", "Region", "TrafficType") for row in _rows(sessions)]
        yield "shoppers", _table(rows, label="Revenue", positive="True", leave_out=set())
        yield "shoppers-pv", _table(rows, label="Revenue", positive="True", leave_out={"PageValues"})
    for lines in sorted((folder / "online_retail").glob("events_*.csv.gz")):
        yield "retail 30d", _invoices(_rows(lines))


def at_maturity(examples: list[Example]) -> list[Example]:
    """The same examples asked at the moment of their answer: what a stream without delay would be."""
    matured = sorted(examples, key=lambda example: example.due)
    return [Example(example.due, example.due, example.values, example.label) for example in matured]


def _rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _named(row: dict[str, str], *codes: str) -> dict[str, str]:
    """The row with its numeric codes made names, so that they count as categories."""
    return row | {code: f"is {row[code]}" for code in codes}


def _table(rows: list[dict[str, str]], *, label: str, positive: str, leave_out: set[str]) -> list[Example]:
    """Rows answered at once, numbers as they are and every category as a 0 or 1 of its own."""
    names: dict[str, int] = {}
    sparse = []
    for row in rows:
        found = {}
        for column, text in row.items():
            if column == label or column in leave_out:
                continue
            number = _number(text)
            name, value = (f"{column}={text}", 1.0) if number is None else (column, number)
            found[names.setdefault(name, len(names))] = value
        sparse.append((found, row[label] == positive))
    width = range(len(names))
    return [
        Example(float(place), float(place), tuple(found.get(name, 0.0) for name in width), truth)
        for place, (found, truth) in enumerate(sparse)
    ]


def _invoices(rows: list[dict[str, str]]) -> list[Example]:
    """One question per invoice of a known customer: is there none within 30 days?"""
    invoices: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row["CustomerID"] and not row["InvoiceNo"].startswith("C"):
            quantity = float(row["Quantity"])
            at = datetime.fromisoformat(row["InvoiceDate"]).timestamp()
            sums = invoices.setdefault((row["CustomerID"], row["InvoiceNo"]), [at, 0.0, 0.0, 0.0])
            sums[1] += quantity * float(row["UnitPrice"])
            sums[2] += quantity
            sums[3] += 1
    by_customer: dict[str, list[list[float]]] = {}
    for (customer, _), sums in invoices.items():
        by_customer.setdefault(customer, []).append(sums)
    end = max(sums[0] for sums in invoices.values())
    examples = []
    for bought in by_customer.values():
        bought.sort()
        for place, (at, amount, quantity, lines) in enumerate(bought):
            if at + HORIZON_S > end:
                break
            before = bought[:place]
            gap_days = (at - bought[place - 1][0]) / 86_400 if before else 365.0
            known_days = (at - bought[0][0]) / 86_400
            mean_amount = sum(sums[1] for sums in before) / place if before else amount
            recent = sum(1 for sums in before if at - sums[0] < HORIZON_S)
            values = (amount, quantity, lines, gap_days, known_days, mean_amount, float(recent), float(place))
            stays = place + 1 < len(bought) and bought[place + 1][0] <= at + HORIZON_S
            examples.append(Example(at, at + HORIZON_S, values, not stays))
    return sorted(examples, key=lambda example: example.at)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
