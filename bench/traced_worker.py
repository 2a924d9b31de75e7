"""A worker that notes when triggering events pass its stages: ``python -m needstream.bench.traced_worker FILE``.

The stages are wrapped from outside, by private names, in a run of its own: the latencies of the report are those of the
plain worker, this run only says how they divide. Each line of the file is a triggering event's id and six readings of
the machine's clock in microseconds: fetched by the client, taken in by its lane, the lane's round before over, its own
round begun, applied, its signal acknowledged. A last line has the rounds' own times.
"""

import sys
import time
from pathlib import Path
from typing import Any

import orjson

from needstream.bench.live_load import TRIGGER_MARK
from needstream.schemas import signals
from needstream.streams import transport_thread
from needstream.streams.lane import Lane
from needstream.streams.snapshot_writer import SnapshotWriter

FETCHED, TAKEN, BEFORE, ROUND, APPLIED, ACKNOWLEDGED = range(6)
_BEGIN = b'{"event_id":"' + TRIGGER_MARK + b"-"
_ID_AT = len(b'{"event_id":"')


class Trace:
    """What was noted."""

    def __init__(self) -> None:
        self.stamps: dict[str, list[int]] = {}
        self.rounds = {"sends": 0, "send_us": 0, "apply_us": 0, "writes": 0, "write_us": 0}

    def note(self, records: Any, stage: int) -> None:
        """Note a stage of the triggering events among some records."""
        now_us = time.time_ns() // 1000
        for record in records:
            if record.value is not None and record.value.startswith(_BEGIN):
                event_id = record.value[_ID_AT : record.value.index(b'"', _ID_AT)].decode()
                self.stamps.setdefault(event_id, [0, 0, 0, 0, 0, 0])[stage] = now_us

    def write(self, path: Path) -> None:
        """Write everything."""
        with path.open("wb") as lines:
            for event_id, stamps in self.stamps.items():
                lines.write(orjson.dumps([event_id, *stamps]) + b"\n")
            lines.write(orjson.dumps(self.rounds) + b"\n")


def install(trace: Trace) -> None:
    """Wrap the stages."""
    thread: Any = transport_thread.BatchConsumerThread
    lane: Any = Lane
    writer: Any = SnapshotWriter
    fetch, add, run_once, send = thread._fetch_records, lane.add, lane._run_once, lane._send_outputs
    write = writer.write

    async def fetch_records(self: Any, *arguments: Any, **options: Any) -> Any:
        found = await fetch(self, *arguments, **options)
        for records in found.values():
            trace.note(records, FETCHED)
        return found

    def add_batch(self: Any, event: Any) -> None:
        trace.note(event.value, TAKEN)
        add(self, event)

    async def one_round(self: Any, *arguments: Any, **options: Any) -> Any:
        self._traced_us = time.time_ns() // 1000
        outcome = await run_once(self, *arguments, **options)
        if outcome:  # it has changed something
            self._traced_before_us = time.time_ns() // 1000
        return outcome

    async def send_outputs(self: Any, emitted: Any, *letters: Any) -> None:
        begun_us, applied_us = self._traced_us, time.time_ns() // 1000
        await send(self, emitted, *letters)
        done_us = time.time_ns() // 1000
        before_us = getattr(self, "_traced_before_us", 1)
        if emitted:
            trace.rounds["sends"] += 1
            trace.rounds["apply_us"] += applied_us - begun_us
            trace.rounds["send_us"] += done_us - applied_us
        for said in emitted:
            if isinstance(said, signals.Signal) and said.trigger_event_id in trace.stamps:
                trace.stamps[said.trigger_event_id][BEFORE:] = [before_us, begun_us, applied_us, done_us]

    async def write_snapshots(self: Any, snapshots: Any) -> Any:
        begun_us = time.time_ns() // 1000
        outcome = await write(self, snapshots)
        if snapshots:
            trace.rounds["writes"] += 1
            trace.rounds["write_us"] += time.time_ns() // 1000 - begun_us
        return outcome

    thread._fetch_records = fetch_records
    lane.add, lane._run_once, lane._send_outputs = add_batch, one_round, send_outputs
    writer.write = write_snapshots


def main() -> None:
    """Run the worker and write the trace."""
    from needstream.streams.cli.main import run  # noqa: PLC0415 - after the stages are wrapped

    path = Path(sys.argv[1])
    trace = Trace()
    install(trace)
    sys.argv = ["needstream", "worker"]
    try:
        run()
    finally:
        trace.write(path)


if __name__ == "__main__":
    main()
