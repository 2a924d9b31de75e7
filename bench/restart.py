"""Benchmark of coming back: ``python -m bench.restart --customers N --broker apache --store rocksdict://``.

Writes N realistic snapshots straight into the changelog (states from a small replay of simulated events, each with an
id and alarms of its own), then starts a worker twice and times each start until it has processed one new event: first
with nothing on its disk, so that everything comes from the changelog, then with what the first start left there.
Everything is temporary and removed at the end.
"""

import argparse
import asyncio
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import aiokafka
import orjson
from aiokafka.partitioner import murmur2

from needstream.schemas import state as states
from needstream.schemas.times import rfc3339
from needstream.simulation import parameters, simulator
from needstream.streams import brokers, changelog, producing, topic_admin, topics
from needstream.streams.packs import loader
from needstream.streams.replay import Replay, ReplayOptions

APP_ID = "restart-bench"
CAME_BACK_WITHIN_S = 1800.0
BATCH_BYTES = 1_000_000
DAY_MS = 24 * 60 * 60 * 1000


def main() -> None:
    """Write, start, start again, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.restart", description=__doc__)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--broker", default="apache", help="embedded, apache or external:host:port")
    parser.add_argument("--store", default="rocksdict://", choices=["rocksdict://", "memory://"])
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="needstream-restart-") as scratch, brokers.choose(chosen.broker) as broker:
        measured = _measure(broker.bootstrap, Path(scratch), chosen=chosen)
    if chosen.json:
        print(orjson.dumps(measured).decode())
        return
    print(f"{measured['customers']:,} customers of {measured['state_bytes']:,} bytes on average, {chosen.store}")
    print(f"from the changelog        {measured['restore_s']:8.1f} s until the first new event")
    print(f"with what is on the disk  {measured['restart_s']:8.1f} s until the first new event")
    print(f"largest worker            {measured['worker_mb']:8,} MB, local files {measured['disk_mb']:,} MB")


def _measure(bootstrap: str, scratch: Path, *, chosen: argparse.Namespace) -> dict[str, object]:
    topic_admin.apply(bootstrap, chosen.partitions)
    changelog.require(bootstrap, APP_ID, partitions=chosen.partitions)
    templates = _templates(scratch / "events", chosen.seed)
    newest_ms = max(state.clock_ms for state in templates)
    started_s = time.monotonic()
    written_bytes = asyncio.run(
        _write(bootstrap, _population(templates, chosen.customers, seed=chosen.seed), partitions=chosen.partitions)
    )
    write_s = time.monotonic() - started_s
    seconds = []
    for number in (1, 2):
        _new_event(bootstrap, number, at_ms=newest_ms)
        seconds.append(_start(bootstrap, scratch, store=chosen.store, expected=number))
    local = sum(path.stat().st_size for path in (scratch / "state").rglob("*") if path.is_file())
    return {
        "customers": chosen.customers,
        "store": chosen.store,
        "broker": chosen.broker,
        "partitions": chosen.partitions,
        "state_bytes": written_bytes // chosen.customers,
        "write_s": round(write_s, 1),
        "restore_s": round(seconds[0], 1),
        "restart_s": round(seconds[1], 1),
        "worker_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "disk_mb": local // 1024**2,
    }


def _templates(folder: Path, seed: int) -> list[states.CustomerState]:
    """States of customers that did something, from a replay of 90 simulated days."""
    folder.mkdir()
    simulator.write(simulator.simulate(parameters.SimulationParameters(seed=seed, customers=300, days=90)), folder)
    replay = Replay(loader.load("bank"), ReplayOptions(latest_ms=time.time_ns() // 1_000_000))
    replay.run(folder, folder / "said")
    return [states.restore(stored) for _, stored in replay._store.items()]


def _population(templates: list[states.CustomerState], customers: int, *, seed: int) -> Iterator[tuple[bytes, bytes]]:
    rng = random.Random(seed)
    for number in range(customers):
        state = templates[number % len(templates)]
        state.customer_id = f"customer-{number:08d}"
        if number >= len(templates):
            for name, timer in state.timers.items():
                state.timers[name] = states.Timer(timer.due_ms + rng.randrange(DAY_MS // 24), timer.armed_by)
        yield state.customer_id.encode(), states.snapshot(state)


async def _write(bootstrap: str, population: Iterator[tuple[bytes, bytes]], *, partitions: int) -> int:
    total = 0
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=BATCH_BYTES) as producer:
        batches = [producer.create_batch() for _ in range(partitions)]
        sent = []

        async def give(number: int) -> None:
            sent.append(await producer.send_batch(batches[number], changelog.name(APP_ID), partition=number))
            batches[number] = producer.create_batch()

        for key, stored in population:
            number = (murmur2(key) & 0x7FFFFFFF) % partitions
            if batches[number].append(key=key, value=stored, timestamp=None) is None:
                await give(number)
                batches[number].append(key=key, value=stored, timestamp=None)
            total += len(stored)
        for number in range(partitions):
            await give(number)
        await asyncio.gather(*sent)
    return total


def _new_event(bootstrap: str, number: int, *, at_ms: int) -> None:
    event = {
        "event_id": f"new-{number}",
        "event_type": "page_view",
        "event_time": rfc3339(at_ms),
        "customer_id": "customer-00000001",
        "url": "/loans",
    }
    line = producing.Outgoing(0, topics.CLICKSTREAM, b"customer-00000001", orjson.dumps(event))
    producing.produce(bootstrap, iter([line]), pace=producing.Pace())


def _start(bootstrap: str, scratch: Path, *, store: str, expected: int) -> float:
    """Seconds from the start of a worker process until it has processed the event that waits for it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: given for name, given in os.environ.items() if not name.startswith("NEEDSTREAM_")} | {
        "NEEDSTREAM_BROKER": bootstrap,
        "NEEDSTREAM_APP_ID": APP_ID,
        "NEEDSTREAM_STORE": store,
        "NEEDSTREAM_DATA_DIR": str(scratch / "state"),
        "NEEDSTREAM_WEB_PORT": str(port),
    }
    (scratch / "state").mkdir(exist_ok=True)
    program = "from needstream.streams.cli.main import run; run()"
    log = scratch / f"worker-{expected}.log"
    with log.open("wb") as lines:
        started_s = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-c", program, "worker"], env=environment, stdout=lines, stderr=lines
        )
        try:
            while not _processed(port):
                if process.poll() is not None or time.monotonic() - started_s > CAME_BACK_WITHIN_S:
                    raise SystemExit(log.read_text()[-4000:])
                time.sleep(0.1)
            seconds = time.monotonic() - started_s
            process.send_signal(signal.SIGTERM)
            process.wait(120)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return seconds


def _processed(port: int) -> bool:
    """Whether the worker has caught up, having read the event."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            caught_up = bool(orjson.loads(answer.read())["caught_up"])
    except OSError:
        return False
    counted = sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("needstream_records_total{"))
    return caught_up and counted >= 1


if __name__ == "__main__":
    main()
