"""No vector may change by what comes later: cut the file anywhere, and the earlier questions stay as they are."""

import csv
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bench.quality import berka, calls, retail, sheets
from bench.quality.task import DAY_S, Question, Task

Rows = list[dict[str, object]]
START = datetime(1999, 2, 1, tzinfo=UTC)


def _write(path: Path, rows: Rows) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _retail(rng: random.Random) -> Rows:
    moments = sorted(START + timedelta(minutes=rng.randrange(200 * 1440)) for _ in range(400))
    return [
        {
            "InvoiceNo": f"{'C' if rng.random() < 0.1 else ''}{number}",
            "StockCode": str(rng.randrange(20)),
            "Quantity": rng.randrange(1, 9),
            "InvoiceDate": moment.strftime("%Y-%m-%d %H:%M:%S"),
            "UnitPrice": 2.5,
            "CustomerID": str(rng.randrange(30)),
            "Country": rng.choice(["United Kingdom", "Norway"]),
        }
        for number, moment in enumerate(moments)
    ]


def _calls(rng: random.Random) -> Rows:
    rows: Rows = []
    for second in sorted(rng.sample(range(5 * 86_000), 400)):
        begins = START + timedelta(seconds=second)
        queues, leaves = begins + timedelta(seconds=10), begins + timedelta(seconds=10 + rng.randrange(200))
        served = rng.random() < 0.8
        ends = leaves + timedelta(seconds=rng.randrange(300) if served else 0)
        rows.append(
            {
                "customer_id": rng.randrange(20),
                "priority": rng.randrange(3),
                "type": rng.choice(["PS", "NE"]),
                "date": begins.strftime("%y%m%d"),
                "vru_entry": begins.strftime("%H:%M:%S"),
                "vru_exit": queues.strftime("%H:%M:%S"),
                "q_start": queues.strftime("%H:%M:%S"),
                "q_exit": leaves.strftime("%H:%M:%S"),
                "outcome": "AGENT" if served else "HANG",
                "ser_exit": ends.strftime("%H:%M:%S") if served else "0:00:00",
                "ser_time": (ends - leaves).seconds,
            }
        )
    return rows


def _berka(rng: random.Random) -> Rows:
    days = sorted(rng.randrange(330) for _ in range(600))
    return [
        {
            "account_id": rng.randrange(20),
            "date": (START + timedelta(days=day)).strftime("%Y-%m-%d"),
            "type": rng.choice(["PRIJEM", "VYDAJ"]),
            "operation": rng.choice(["VKLAD", "VYBER"]),
            "amount": rng.randrange(1000),
            "balance": rng.randrange(10_000),
            "k_symbol": rng.choice(["", "UROK"]),
        }
        for day in days
    ]


def _retail_tasks(folder: Path, rows: Rows) -> Iterator[Task]:
    return retail.tasks(_write(folder / "invoices.csv", rows))


def _calls_tasks(folder: Path, rows: Rows) -> Iterator[Task]:
    return calls.tasks(_write(folder / "calls.csv", rows))


def _berka_tasks(folder: Path, rows: Rows) -> Iterator[Task]:
    _write(folder / "loan.csv", [{"account_id": 3, "date": "990901"}])
    return berka.tasks(_write(folder / "trans_1999.csv", rows).parent)


@pytest.mark.parametrize(
    ("make", "read"),
    [(_retail, _retail_tasks), (_calls, _calls_tasks), (_berka, _berka_tasks)],
    ids=["retail", "calls", "berka"],
)
def test_what_comes_later_changes_no_vector(
    make: Callable[[random.Random], Rows], read: Callable[[Path, Rows], Iterator[Task]], tmp_path: Path
) -> None:
    rows = make(random.Random(1))
    # The cut stands between two days, for the accounts' day ends with its last transaction.
    date = next(name for name in ("InvoiceDate", "date") if name in rows[0])
    border = str(rows[300][date])[:10]
    cut = [row for row in rows if str(row[date])[:10] < border]

    whole = {task.name: _told(task) for task in read(tmp_path, rows)}
    early = {task.name: _told(task) for task in read(tmp_path, cut)}

    assert any(early.values())
    for name, told in early.items():
        assert told == whole[name][: len(told)]


def test_purchase_of_a_later_day_within_the_horizon_is_the_label(tmp_path: Path) -> None:
    rows = [_invoice(number, day) for number, day in enumerate((0, 0.1, 5, 40, 100))]

    tasks = {task.name: task for task in _retail_tasks(tmp_path, rows)}

    assert [True, False, False] == [each.label for each in tasks["retail purchase 7 d"].questions]
    assert [True, False, False] == [each.label for each in tasks["retail purchase 30 d"].questions]
    assert [7 * DAY_S] * 3 == [each.due - each.at for each in tasks["retail purchase 7 d"].questions]
    assert [False, False] == [each.label for each in tasks["retail churn 90 d"].questions]


def test_rows_without_a_clock_are_spread_over_the_stated_days(tmp_path: Path) -> None:
    row = {"age": 30, "job": "x", "duration": 99, "pdays": -1, "y": "no"}
    path = _write(tmp_path / "contacts.csv", [row, row | {"y": "yes"}, row])

    now, late = sheets.marketing(path)

    assert "duration" not in now.features
    assert [False, True, False] == [each.label for each in now.questions]
    assert [0.0, 300 * DAY_S, 600 * DAY_S] == [each.at for each in now.questions]
    assert [7 * DAY_S] * 3 == [each.due - each.at for each in late.questions]


def _invoice(number: int, day: float) -> dict[str, object]:
    return {
        "InvoiceNo": str(number),
        "StockCode": "1",
        "Quantity": 1,
        "InvoiceDate": (START + timedelta(days=day)).strftime("%Y-%m-%d %H:%M:%S"),
        "UnitPrice": 1,
        "CustomerID": "1",
        "Country": "Norway",
    }


def _told(task: Task) -> list[tuple[float, dict[str, float]]]:
    return [(question.at, _named(task, question)) for question in task.questions]


def _named(task: Task, question: Question) -> dict[str, float]:
    return {name: value for name, value in zip(task.features, question.values, strict=True) if value}
