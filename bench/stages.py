"""Where the time between an event and its signal goes, from the readings of a traced worker.

In come a trace and when signals were heard; out go the times of each stage. The invariant it protects: the stages of an
event add up to its latency, none overlaps another.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from needstream.bench import histogram, live_load, traced_worker

FETCH = "handed to the client - fetched by the worker"
QUEUE = "fetched - taken in by its lane (thread hop, queue, agent)"
ORDER = "taken in - ordering wait over"
ROUNDS = "ordering wait over - the lane's round before is over"
PACE = "nothing in work - its round begins (pacemaker's pause)"
WORK = "round begun - applied"
SEND = "applied - signal acknowledged"
HEAR = "signal acknowledged - heard by the consumer"
NAMES = (FETCH, QUEUE, ORDER, ROUNDS, PACE, WORK, SEND, HEAR)


def read(path: Path, heard_us: Mapping[str, int], *, level: str, wait_ms: int) -> dict[str, Any]:
    """The stages of a level's signals.

    Args:
        path: what the traced worker wrote.
        heard_us: by the trigger's id, when the signal was heard.
        level: whose events.
        wait_ms: the setting of the ordering wait; what an event waits beyond it counts as waiting for its turn.
    """
    spent: dict[str, list[int]] = {name: [] for name in NAMES}
    rounds: dict[str, int] = {}
    for line in path.read_bytes().splitlines():
        row = orjson.loads(line)
        if isinstance(row, dict):
            rounds = row
            continue
        handed = live_load.handed_us(row[0])
        if handed is None or handed[0] != level or row[0] not in heard_us or 0 in row[1:]:
            continue
        for name, value in zip(
            NAMES, divided(handed[1], row[1:], heard_us[row[0]], wait_us=wait_ms * 1000), strict=True
        ):
            spent[name].append(value)
    told: dict[str, Any] = {"stages": {name: _short(values) for name, values in spent.items()}}
    told["bound"] = _short(
        [
            sum(values)
            for values in zip(spent[FETCH], spent[QUEUE], spent[ORDER], spent[ROUNDS], spent[PACE], strict=True)
        ]
    )
    sends, writes = max(1, rounds.get("sends", 0)), max(1, rounds.get("writes", 0))
    told["rounds"] = {
        "rounds": rounds.get("writes", 0),
        "apply_ms": round(rounds.get("apply_us", 0) / sends / 1000, 2),
        "outputs_acknowledged_ms": round(rounds.get("send_us", 0) / sends / 1000, 2),
        "snapshots_stored_ms": round(rounds.get("write_us", 0) / writes / 1000, 2),
    }
    return told


def divided(handed_us: int, stamps: list[int], heard_us: int, *, wait_us: int) -> list[int]:  # noqa: PLR0917
    """One event's stages in microseconds, in the order of their names."""
    fetched = stamps[traced_worker.FETCHED]
    taken = stamps[traced_worker.TAKEN]
    begun = max(taken, stamps[traced_worker.ROUND])
    applied = stamps[traced_worker.APPLIED]
    # A consumer may hear a signal before the worker hears that it was stored.
    acknowledged = min(heard_us, stamps[traced_worker.ACKNOWLEDGED])
    ripe = min(begun, taken + wait_us)
    free = min(begun, max(ripe, stamps[traced_worker.BEFORE]))
    points = [handed_us, fetched, taken, ripe, free, begun, applied, acknowledged, heard_us]
    return [after - before for before, after in pairwise(points)]


def _short(values: list[int]) -> dict[str, Any]:
    told = histogram.summary(values)
    told.pop("buckets", None)
    return told
