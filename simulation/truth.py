"""What was planted: typed rows, and truth.jsonl, which only the simulation package may read.

A row says what a customer was made to do, whether a signal should follow, and in which event-time window.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator

import orjson

from needstream.simulation import timeline

FILE_NAME = "truth.jsonl"
KINDS = ("need", "churn", "care", "risk", "latent", "bot", "churner")
NO_CONSENT = "no consent"


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """What a plant says about itself; customer, times and consent are added where it is planted."""

    scenario: str | None
    kind: str
    need: str | None = None
    product: str | None = None
    expected: bool = True
    churned_at_ms: int | None = None
    note: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One planted need, near miss, churner, latent need or bot.

    The window ``expected_from_ms`` to ``expected_until_ms`` (both inclusive) holds the event time of the right
    signal; for a row with ``expected`` false it is where a wrong one would most likely appear.
    """

    customer_id: str
    kind: str
    starts_at_ms: int
    expected_from_ms: int
    expected_until_ms: int
    expected: bool
    scenario: str | None = None
    need: str | None = None
    product: str | None = None
    churned_at_ms: int | None = None
    note: str = ""

    def as_dict(self) -> dict[str, str | bool | None]:
        """Return the row as it stands in the file; absent product and churn time are left out."""
        row: dict[str, str | bool | None] = {
            "customer_id": self.customer_id,
            "scenario": self.scenario,
            "kind": self.kind,
            "need": self.need,
            "expected": self.expected,
            "starts_at": timeline.rfc3339(self.starts_at_ms),
            "expected_from": timeline.rfc3339(self.expected_from_ms),
            "expected_until": timeline.rfc3339(self.expected_until_ms),
            "note": self.note,
        }
        if self.product is not None:
            row["product"] = self.product
        if self.churned_at_ms is not None:
            row["churned_at"] = timeline.rfc3339(self.churned_at_ms)
        return row


def write(rows: Iterable[Planted], path: pathlib.Path) -> int:
    """Write one JSON object per line and return how many."""
    written = 0
    with path.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row.as_dict(), option=orjson.OPT_APPEND_NEWLINE))
            written += 1
    return written


def read(path: pathlib.Path) -> Iterator[Planted]:
    """Read the rows of a truth file.

    Raises:
        ValueError: a line is no such row; the message gives file and line.
    """
    with path.open("rb") as file:
        for line_number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
                churned_at = row.get("churned_at")
                yield Planted(
                    customer_id=row["customer_id"],
                    kind=row["kind"],
                    starts_at_ms=timeline.parse(row["starts_at"]),
                    expected_from_ms=timeline.parse(row["expected_from"]),
                    expected_until_ms=timeline.parse(row["expected_until"]),
                    expected=row["expected"],
                    scenario=row["scenario"],
                    need=row["need"],
                    product=row.get("product"),
                    churned_at_ms=None if churned_at is None else timeline.parse(churned_at),
                    note=row["note"],
                )
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                message = f"{path}, line {line_number}: no row of planted truth ({error!r})"
                raise ValueError(message) from error
