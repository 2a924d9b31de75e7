"""Files named by topic, one JSON event per line in arrival order."""

import contextlib
import pathlib
from collections.abc import Iterable

from needstream.simulation import journal, noise


def write_events(arrivals: Iterable[noise.Arrival], directory: pathlib.Path) -> dict[str, int]:
    """Write ``<topic>.jsonl`` for each input topic, also for one without events; return the lines per topic."""
    directory.mkdir(parents=True, exist_ok=True)
    written = dict.fromkeys(journal.TOPICS, 0)
    with contextlib.ExitStack() as stack:
        files = {topic: stack.enter_context((directory / f"{topic}.jsonl").open("wb")) for topic in journal.TOPICS}
        for arrival in arrivals:
            files[arrival.topic].write(arrival.event + b"\n")
            written[arrival.topic] += 1
    return written
