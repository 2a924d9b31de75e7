"""Signals and alerts as they stand in output files, reduced to what judging them needs."""

import dataclasses
import gzip
import pathlib
from collections.abc import Iterator
from typing import Final

import orjson

from needstream.simulation import timeline

NEED_SIGNALS: Final = "need-signals.v1"
CHURN_ALERTS: Final = "churn-alerts.v1"
ALERTS: Final = "alerts.v1"
DECISIONS: Final = "decisions.v1"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What the scorecard needs to know of a need signal or an alert, or of a decision that stopped one."""

    topic: str
    customer_id: str
    scenario: str
    event_time_ms: int
    need: str | None = None
    gate: str | None = None
    """Only in a suppressed decision: what stopped it."""


def read_signals(directory: pathlib.Path) -> Iterator[Signal]:
    """Read the need signals and alerts of an output folder; missing files are empty, ``.gz`` is read too."""
    for topic in (NEED_SIGNALS, CHURN_ALERTS, ALERTS):
        for row in _lines(directory, topic):
            yield _signal(topic, row)


def read_suppressed(directory: pathlib.Path) -> Iterator[Signal]:
    """Read the decisions of an output folder that stopped a signal."""
    for row in _lines(directory, DECISIONS):
        if row.get("verdict") == "suppressed":
            yield _signal(DECISIONS, row)


def _signal(topic: str, row: dict[str, str | None]) -> Signal:
    return Signal(
        topic=topic,
        customer_id=str(row["customer_id"]),
        scenario=str(row["scenario"]),
        event_time_ms=timeline.parse(str(row["event_time"])),
        need=row.get("need"),
        gate=row.get("gate"),
    )


def _lines(directory: pathlib.Path, topic: str) -> Iterator[dict[str, str | None]]:
    for path in (directory / f"{topic}.jsonl", directory / f"{topic}.jsonl.gz"):
        if path.exists():
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                for line in file:
                    yield orjson.loads(line)
