"""Data sets of independent rows as tasks: a bank's phone campaign, sessions of a web shop.

In go the files, out come the tasks. The rows' order is their time; where a file has no clock, its rows are
spread evenly over a stated number of days, so that a delay in days means a number of rows.
"""

from collections.abc import Iterator
from pathlib import Path

from bench.quality.task import DAY_S, Question, Row, Task, dense

from needstream.simulation.adapters import converted

MARKETING = "bank_marketing: UCI Bank Marketing, S. Moro, P. Rita, P. Cortez, DOI 10.24432/C5K306"
MARKETING_DAYS = 900
SHOPPERS = "online_shoppers: UCI Online Shoppers, C. O. Sakar and Y. Kastro, DOI 10.24432/C5F88Q"
SHOPPERS_DAYS = 300
SHOPPERS_NOTE = "the features are totals at the end of the session, and so know what a question amid it could not"
LICENCE = "CC BY 4.0"

_LATE_DAYS = 7
_CODES = {"OperatingSystems", "Browser", "Region", "TrafficType"}
"""Numbers that are names."""


def marketing(path: Path) -> Iterator[Task]:
    """Does the client take the deposit? Without the length of the call, which is known only afterwards."""
    rows, labels = [], []
    for told in converted.rows(path):
        labels.append(told.pop("y") == "yes")
        told.pop("duration")
        row = _row(told)
        row["contacted_before"] = float(row["pdays"] >= 0)
        row["pdays"] = row["pdays"] if row["pdays"] >= 0 else 999.0
        rows.append(row)
    yield from _with_delays("marketing subscription", rows, labels=labels, source=MARKETING, days=MARKETING_DAYS)


def shoppers(path: Path) -> Iterator[Task]:
    """Does the session end in a purchase? With and without the page values, which know something of it.

    The rows hold the whole session's totals, its end included.
    """
    rows, labels = [], []
    for told in converted.rows(path):
        labels.append(told.pop("Revenue") == "True")
        rows.append(_row(told))
    name = "shoppers purchase"
    yield from _with_delays(f"{name}, page values", rows, labels=labels, source=SHOPPERS, days=SHOPPERS_DAYS)
    for row in rows:
        del row["PageValues"]
    yield from _with_delays(name, rows, labels=labels, source=SHOPPERS, days=SHOPPERS_DAYS)


def _with_delays(name: str, rows: list[Row], *, labels: list[bool], source: str, days: int) -> Iterator[Task]:
    note = SHOPPERS_NOTE if source == SHOPPERS else ""
    features, vectors = dense(rows)
    step_s = days * DAY_S / len(vectors)
    for late_days in (0, _LATE_DAYS):
        questions = tuple(
            Question(place * step_s, place * step_s + late_days * DAY_S, values, label)
            for place, (values, label) in enumerate(zip(vectors, labels, strict=True))
        )
        called = f"{name}, {late_days} d late" if late_days else name
        yield Task(
            name=called,
            group=called,
            source=source,
            licence=LICENCE,
            delay=f"{late_days} d, rows spread over {days} d" if late_days else "none",
            features=features,
            questions=questions,
            recency="pdays" if "pdays" in features else None,
            note=note,
        )


def _row(told: dict[str, str]) -> Row:
    """Numbers as they are, and every name as a 0 or 1 of its own."""
    row: Row = {}
    for column, text in told.items():
        number = None if column in _CODES else _number(text)
        if number is None:
            row[f"{column}={text}"] = 1.0
        else:
            row[column] = number
    return row


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
