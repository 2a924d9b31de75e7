"""The simulated events of a drill, and the two orders in which they are produced.

In: a seed, customers and days. Out: files for replay, and the records in the order they go to the topics. Nothing is
later than the allowed lateness: what a later event does depends on where a batch ends, by design.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import orjson

from needstream.schemas.times import parse_rfc3339
from needstream.simulation import parameters, simulator
from needstream.streams import producing, topics

MALFORMED_PER_EVENT = 1 / 2_000
UNREADABLE_KEY = b"unreadable"


@dataclass(frozen=True, slots=True)
class EventLog:
    """The records in one order; equal names stand for equal logs."""

    name: str
    lines: Sequence[producing.Outgoing]

    def __len__(self) -> int:
        return len(self.lines)


@dataclass(frozen=True, slots=True)
class Scenes:
    """One simulation, written to `folder`, in both orders.

    `arriving` is the order of arrival, with events up to ten minutes late: for logs that are complete before a worker
    reads them. `live` is the order of event time: for producing while workers read, when lateness would depend on who
    was quicker.
    """

    folder: Path
    arriving: EventLog
    live: EventLog


def simulate(folder: Path, *, customers: int, days: int, seed: int) -> Scenes:
    """Simulate, write one file per input topic into `folder`, and return the events; with a few unreadable ones."""
    plain = parameters.SimulationParameters(seed=seed, customers=customers, days=days, very_late_share=0.0)
    expected = customers * days
    chosen = parameters.SimulationParameters(
        seed=seed,
        customers=customers,
        days=days,
        very_late_share=0.0,
        bots=min(plain.bots, 1 + customers // 100),
        malformed=int(expected * MALFORMED_PER_EVENT),
    )
    simulator.write(simulator.simulate(chosen), folder)
    lines = [_keyed(line) for line in producing.read_folder(folder)]
    return Scenes(folder, EventLog("arriving", lines), EventLog("live", sorted(lines, key=_place)))


def _keyed(line: producing.Outgoing) -> producing.Outgoing:
    # Without a key the client draws a partition, and two brokers would not hold the same log.
    return line if line.key is not None else msgspec.structs.replace(line, key=UNREADABLE_KEY)


def _place(line: producing.Outgoing) -> tuple[int, int, str]:
    try:
        event = orjson.loads(line.value)
        return parse_rfc3339(event["event_time"]), topics.INPUTS.index(line.topic), str(event["event_id"])
    except (ValueError, KeyError, TypeError):
        return line.due_ms, len(topics.INPUTS), ""
