"""What learning costs: the same events replayed with models that are given and with models that learn.

In come a bank's events and learned models, out go processor time per labelled example and how many there are. The
invariant it protects: both passes apply the same events in the same process.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from needstream.bench import job
from needstream.bench.load import Record
from needstream.schemas.times import DAY_MS
from needstream.simulation import writer
from needstream.simulation.noise import Arrival
from needstream.streams.packs import loader
from needstream.streams.replay import Replay, ReplayOptions


def measure(records: Sequence[Record], models: Path, *, scratch: Path) -> dict[str, Any]:
    """Replay and compare."""
    folder = scratch / "learning"
    folder.mkdir(exist_ok=True)
    writer.write_events(
        [Arrival(record.at_ms, record.topic, record.key.decode(), record.value) for record in records], folder
    )
    latest_ms = time.time_ns() // 1_000_000
    given_s, _ = _timed(ReplayOptions(latest_ms=latest_ms, models=models, model_key=job.KEY), folder)
    learned_s, learned = _timed(ReplayOptions(latest_ms=latest_ms), folder)
    examples = learned.counts["emission.LabelledExample"]
    customers = len({record.key for record in records})
    days = (records[-1].at_ms - records[0].at_ms) / DAY_MS
    return {
        "events": len(records),
        "customers": customers,
        "days": round(days, 1),
        "models": len(loader.load("bank").models),
        "given_s": round(given_s, 2),
        "learned_s": round(learned_s, 2),
        "examples": examples,
        "examples_per_customer_day": round(examples / customers / days, 3),
        "per_example_us": round((learned_s - given_s) * 1e6 / max(1, examples), 1),
    }


def _timed(options: ReplayOptions, folder: Path) -> tuple[float, Replay]:
    replay = Replay(loader.load("bank"), options)
    started_ns = time.process_time_ns()
    replay.run(folder, folder / "said")
    return (time.process_time_ns() - started_ns) / 1e9, replay
