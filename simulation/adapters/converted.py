"""What the adapters have in common: the shape of a converted event, and reading CSV files, gzip-compressed or not."""

import csv
import gzip
import pathlib
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

TRANSACTIONS: Final = "transactions.v1"
FEEDBACK: Final = "feedback.v1"


class Converted(NamedTuple):
    """One event for an input topic; the key is the customer id."""

    topic: str
    key: str
    event: bytes


def encode(topic: str, event: dict[str, object]) -> Converted:
    """Encode an event; fields that are None are left out."""
    present = {name: value for name, value in event.items() if value is not None}
    return Converted(topic, str(event["customer_id"]), msgspec.json.encode(present))


def rows(path: pathlib.Path) -> Iterator[dict[str, str]]:
    """Read the rows of a UTF-8 CSV file with a header.

    Raises:
        FileNotFoundError: there is no such file.
    """
    with (
        gzip.open(path, "rt", encoding="utf-8", newline="")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8", newline="") as file
    ):
        yield from csv.DictReader(file)
