"""Berka's accounts of 1993 as tasks: does the account get a loan, does its activity halve?

In goes the folder of tables, out come the tasks. A question is asked once on a day with a transaction of the
account's own and knows what was booked until the end of that day. Interest and fees are the bank's doing and count
as no activity.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime
from math import exp2
from pathlib import Path

import msgspec
from bench.quality.task import DAY_S, Question, Row, Task, dense, in_order

from needstream.simulation.adapters import converted

SOURCE = "berka_partial: PKDD'99 Financial data, P. Berka and M. Sochorova (1993 only)"
LICENCE = "no licence stated, published for research"
LOAN_DAYS = 180
ACTIVITY_DAYS = 30
NEVER_DAYS = 180.0

_BANKS_OWN = {"UROK", "SANKC. UROK", "SLUZBY"}
_KINDS = ("VKLAD", "PREVOD Z UCTU", "VYBER", "PREVOD NA UCET", "VYBER KARTOU")
_FEWEST = 2
"""Own transactions in the last month that an activity must have to be able to halve."""


class _Booked(msgspec.Struct):
    at: float
    kind: str
    purpose: str
    amount: float
    credit: bool
    balance: float
    own: bool


def tasks(folder: Path) -> Iterator[Task]:
    """Both tasks, over the same vectors."""
    accounts = _accounts(folder)
    end = max(booked.at for history in accounts.values() for booked in history) + DAY_S
    loans = {row["account_id"]: _moment(f"19{row['date']}") for row in converted.rows(_table(folder, "loan"))}
    asked = [(account, at, row) for account, history in accounts.items() for at, row in _asked(history)]
    asked.sort(key=lambda each: each[1])
    features, vectors = dense(row for _, _, row in asked)
    own = {account: [booked.at for booked in history if booked.own] for account, history in accounts.items()}
    loan, halves = [], []
    for (account, at, row), values in zip(asked, vectors, strict=True):
        granted = loans.get(account)
        if at + LOAN_DAYS * DAY_S <= end and (granted is None or granted >= at):
            due = at + LOAN_DAYS * DAY_S
            loan.append(Question(at, due, values, granted is not None and granted < due))
        due = at + ACTIVITY_DAYS * DAY_S
        if due <= end and row["known_days"] >= ACTIVITY_DAYS and row["own_30d"] >= _FEWEST:
            follow = _count(own[account], start=at, end=due)
            halves.append(Question(at, due, values, follow <= row["own_30d"] / 2))
    for name, days, questions, note in (
        (
            "berka loan 180 d",
            LOAN_DAYS,
            loan,
            "the year has 20 loans, and no label before the last days of the questions",
        ),
        ("berka activity halves 30 d", ACTIVITY_DAYS, halves, ""),
    ):
        yield Task(
            name=name,
            group=name,
            source=SOURCE,
            licence=LICENCE,
            delay=f"{days} d",
            features=features,
            questions=in_order(questions),
            recency="gap_days",
            note=note,
        )


def _table(folder: Path, name: str) -> Path:
    return next(iter(sorted(folder.glob(f"{name}*.csv*"))))


def _accounts(folder: Path) -> dict[str, list[_Booked]]:
    accounts: dict[str, list[_Booked]] = {}
    for row in converted.rows(_table(folder, "trans")):
        purpose = row["k_symbol"].strip()
        accounts.setdefault(row["account_id"], []).append(
            _Booked(
                _moment(row["date"].replace("-", "")),
                row["operation"],
                purpose,
                float(row["amount"]),
                row["type"] == "PRIJEM",
                float(row["balance"]),
                purpose not in _BANKS_OWN,
            )
        )
    return accounts


def _asked(history: list[_Booked]) -> Iterator[tuple[float, Row]]:
    """The ends of the days with own transactions, with what was known then."""
    for place, booked in enumerate(history):
        is_last_of_day = place + 1 == len(history) or history[place + 1].at > booked.at
        if is_last_of_day and any(each.own and each.at == booked.at for each in history[: place + 1]):
            now = booked.at + DAY_S
            yield now, _row(history[: place + 1], now)


def _row(history: list[_Booked], now: float) -> Row:
    own = [each for each in history if each.own]
    days = sorted({each.at for each in own})
    newest = history[-1]
    balances = [each.balance for each in history if each.at >= now - 30 * DAY_S] or [newest.balance]
    row = {
        "balance": newest.balance,
        "balance_low_30d": min(balances),
        "balance_high_30d": max(balances),
        "balance_ratio": newest.balance / max(1.0, sum(balances) / len(balances)),
        "known_days": min(60.0, (now - history[0].at) / DAY_S),
        "gap_days": (days[-1] - days[-2]) / DAY_S if len(days) > 1 else NEVER_DAYS,
        "own_7d": float(sum(each.at >= now - 7 * DAY_S for each in own)),
        "own_30d": float(sum(each.at >= now - 30 * DAY_S for each in own)),
        "days_active_30d": float(sum(at >= now - 30 * DAY_S for at in days)),
        "amount": newest.amount,
        "day_of_month": float(datetime.fromtimestamp(now - DAY_S, UTC).day),
    }
    for side in (True, False):
        faded = [(exp2((each.at - now) / (30 * DAY_S)), each.amount) for each in own if each.credit is side]
        name = "credit" if side else "debit"
        row[f"{name}s_30d"] = sum(weight for weight, _ in faded)
        row[f"{name}_amount_30d"] = sum(weight * amount for weight, amount in faded)
    for kind in _KINDS:
        found = [each for each in own if each.kind == kind]
        row[f"count_30d.{kind}"] = sum(exp2((each.at - now) / (30 * DAY_S)) for each in found)
        row[f"days_since.{kind}"] = (now - found[-1].at) / DAY_S if found else NEVER_DAYS
    for purpose in ("SIPO", "DUCHOD", "POJISTNE", "SANKC. UROK"):
        row[f"seen.{purpose}"] = float(any(each.purpose == purpose for each in history))
    return row


def _count(moments: list[float], *, start: float, end: float) -> int:
    """How many lie from ``start`` on and before ``end``; ``moments`` rise."""
    return bisect_right(moments, end - 1) - bisect_right(moments, start - 1)


def _moment(yyyymmdd: str) -> float:
    return datetime.strptime(yyyymmdd, "%Y%m%d").replace(tzinfo=UTC).timestamp()
