"""needstream's own worker as a contender: started as a user starts it, and observed from outside.

In come a broker with the load and settings; out comes the same report as any contender's. How far it had come at which
moment is read afterwards from its changelog: each round ends with the partition's own record, which says up to which
event time everything is durable, and when it was written. So nothing is asked of it while it works but, now and then,
whether it is done.
"""

import sys
import time
import urllib.error
import urllib.request
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from needstream.bench import job, processes
from needstream.bench.contending import Task
from needstream.bench.load import Record
from needstream.bench.stand import PARTITIONS, Stand
from needstream.schemas import state as states
from needstream.streams import changelog, outgoing
from needstream.streams.brokers.local import free_port

LOOK_EVERY_S = 1.0
IDLE_S = 4.0
"""Kept running so long after the last event: partitions that are behind follow the others after two seconds."""

_PROGRAM = "from needstream.streams.cli.main import run; run()"


def observe(
    stand: Stand, task: Task, *, records: Sequence[Record], core: int | None, within_s: float
) -> dict[str, Any]:
    """Run the worker over the load and report.

    Raises:
        ContenderFailed: it did not come to its end.
    """
    port = free_port()
    scratch = task.report.parent
    since = stand.ends(job.OUTPUT_TOPICS)
    command = [sys.executable, "-c", _PROGRAM, "worker"]
    if task.job == "count":
        command = [sys.executable, "-m", "needstream.bench.contenders.counting_worker"]
    log = task.report.with_suffix(".log")
    with processes.started(command, core, log=log, settings=_settings(task, port, scratch=scratch)) as process:
        curve = processes.CpuCurve(process.pid)
        try:
            _await_done(port, task.events, within_s=within_s, process=process, log=log)
            time.sleep(IDLE_S)
        finally:
            curve.stop()
    written = stand.read([changelog.name(task.group)])
    marks = _marks(written, records, task=task, curve=curve)
    ends = stand.ends(job.OUTPUT_TOPICS)
    return {
        "marks": marks,
        "outputs": sum(end - since[place] for place, end in ends.items()),
        "snapshots": sum(record.key.decode() != states.PARTITION_KEY for record in written),
        "since": since,
    }


def _settings(task: Task, port: int, *, scratch: Path) -> dict[str, str]:
    settings = {
        "NEEDSTREAM_BROKER": task.bootstrap,
        "NEEDSTREAM_APP_ID": task.group,
        "NEEDSTREAM_WEB_PORT": str(port),
        "NEEDSTREAM_DATA_DIR": str(scratch / "state"),
        "NEEDSTREAM_LOG_LEVEL": "WARNING",
        "NEEDSTREAM_MODEL_KEY": job.KEY.decode(),
        "NEEDSTREAM_MODELS": str(task.models),
    }
    if task.job == "features":
        job.write_features_pack(scratch / "features")
        settings["NEEDSTREAM_PACK"] = str(scratch / "features")
    return settings


def _await_done(port: int, events: int, *, within_s: float, process: Any, log: Path) -> None:
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise processes.ContenderFailed(f"exit code {process.returncode}; {processes.tail(log)}")  # noqa: EM102
        time.sleep(LOOK_EVERY_S)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
                if not orjson.loads(answer.read())["caught_up"]:
                    continue
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            continue
        if sum(float(line.split()[-1]) for line in lines if line.startswith("needstream_records_total{")) >= events:
            return
    raise processes.ContenderFailed(f"not done within {within_s:.0f} s; {processes.tail(log)}")  # noqa: EM102


def _marks(
    written: Sequence[Any], records: Sequence[Record], *, task: Task, curve: processes.CpuCurve
) -> list[dict[str, float]]:
    """When the warm-up and when everything was durable, from the partitions' own records."""
    addresses = outgoing.Addresses(partitions=PARTITIONS)
    times_ms: dict[int, list[int]] = defaultdict(list)
    for record in records:
        times_ms[addresses.of_key(record.key)].append(record.at_ms)
    own = [record for record in written if record.key.decode() == states.PARTITION_KEY]
    done = dict.fromkeys(range(PARTITIONS), 0)
    marks: list[dict[str, float]] = []
    for record in sorted(own, key=lambda each: each.timestamp):
        newest_ms = states.restore_partition(record.value).newest_ms
        done[record.partition] = bisect_right(times_ms[record.partition], newest_ms or -1)
        count = sum(done.values())
        if count >= (task.warm_up, task.events)[len(marks)]:
            at_s = record.timestamp / 1000
            marks.append({"events": count, "monotonic_s": at_s, "cpu_s": curve.at(at_s)})
        if len(marks) == 2:  # noqa: PLR2004 - the warm-up and the end
            return marks
    msg = f"the changelog says that {sum(done.values())} of {task.events} events are durable"
    raise processes.ContenderFailed(msg)
