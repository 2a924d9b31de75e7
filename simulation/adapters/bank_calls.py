"""A bank's call log ("Anonymous Bank", I. Guedj and A. Mandelbaum, Technion) as `call` feedback events.

Input: the CSV file, one line per call, in the order of the log.  Output: one event per identified call at the time
the caller reached the menu.  The log's local times are taken as UTC.
"""

import collections
import pathlib
from collections.abc import Iterator
from typing import Final

from needstream.simulation.adapters import converted

NO_CUSTOMER: Final = "call of an unidentified customer"
PHANTOM: Final = "phantom call, to be ignored says the source"

_TOPICS: Final = {
    "PS": "regular activity",
    "PE": "regular activity in English",
    "IN": "internet support",
    "NE": "stock trading",
    "NW": "prospective customer",
    "TT": "call back",
}
_SERVED: Final = "AGENT"


def read(path: pathlib.Path, skipped: collections.Counter[str] | None = None) -> Iterator[converted.Converted]:
    """Read the calls of identified customers.

    Args:
        path: the CSV file, plain or ``.gz``.
        skipped: counts what is left out, by reason; complete when the iterator is exhausted.
    """
    counts = collections.Counter[str]() if skipped is None else skipped
    for row in converted.rows(path):
        if row["outcome"] == "PHANTOM":
            counts[PHANTOM] += 1
        elif row["customer_id"] == "0":
            counts[NO_CUSTOMER] += 1
        else:
            yield _event(row)


def _event(row: dict[str, str]) -> converted.Converted:
    topic = _TOPICS.get(row["type"], row["type"])
    served = row["outcome"] == _SERVED
    ending = f"served for {row['ser_time']} s" if served else "hung up before being served"
    date = row["date"]
    day = f"19{date[:2]}-{date[2:4]}-{date[4:6]}"
    hour, minute, second = row["vru_entry"].split(":")
    return converted.encode(
        converted.FEEDBACK,
        {
            "event_id": f"call-{row['vru+line']}-{row['call_id']}-{date}",
            "event_type": "call",
            "event_time": f"{day}T{int(hour):02d}:{minute}:{second}Z",
            "customer_id": f"call-{row['customer_id']}",
            "text": f"Call about {topic}: waited {row['q_time']} s, {ending}.",
            "lang": "en",
            "topic": topic,
            "channel": "phone",
            "resolved": served,
        },
    )
