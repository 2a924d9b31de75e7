"""One measurement of a scaling run: states are written, events are sent, workers are started and drain them.

In come sizes, out go rate, processor time per event, memory and the broker's share. The invariant it protects: what is
measured begins when every worker has its partitions open, and ends before the first one runs out of events.
"""

import time
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from needstream.bench import clones, packing, processes, progress, stock, worker_process
from needstream.bench.packing import Placed
from needstream.streams import brokers, outgoing, topic_admin, topics

APP_ID = "scale-bench"
WITHIN_S = 3_600.0
BEGIN, END = 0.2, 0.9
"""The shares of the events between which is measured."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement.

    Attributes:
        pinned: whether the worker has a core and all else the other one; several workers are never pinned.
        hot_share: the share of the events that are one customer's.
    """

    customers: int
    events: int
    partitions: int = 4
    workers: int = 1
    store: str = "rocksdict://"
    pinned: bool = True
    hot_share: float = 0.0
    broker: str = "embedded"


def settings(bootstrap: str, models: Path, *, store: str) -> dict[str, str]:
    """The settings of a worker of these runs."""
    return {
        "NEEDSTREAM_BROKER": bootstrap,
        "NEEDSTREAM_APP_ID": APP_ID,
        "NEEDSTREAM_MODELS": str(models),
        "NEEDSTREAM_STORE": store,
    }


def records(population: clones.Population, case: Case) -> Iterator[Placed]:
    """The events of a case in order, placed."""
    place_of = Places(case.partitions)
    hot = case.customers
    every = round(1 / case.hot_share) if case.hot_share else 0
    hot_deeds = population.originals[hot % len(population.originals)].deeds
    for count, (at_ms, deed, number) in enumerate(population.sessions(case.customers, events=case.events)):
        who = number
        if every and count % every == 0:
            who, deed = hot, hot_deeds[count // every % len(hot_deeds)]  # noqa: PLW2901 - the hot one's turn
        value = clones.event(deed, b"s-%d" % count, at=clones.text_time(at_ms), number=who)
        yield topics.INPUTS[deed.topic], place_of(who), clones.name(who), value


class Places:
    """The partition of each copy, found once."""

    def __init__(self, partitions: int) -> None:
        self._addresses = outgoing.Addresses(partitions=partitions)
        self._known = array("h")

    def __call__(self, number: int) -> int:
        """The partition of a copy."""
        if number >= len(self._known):
            self._known.extend([-1] * (number + 1 - len(self._known)))
        if self._known[number] < 0:
            self._known[number] = self._addresses.of_key(clones.name(number))
        return self._known[number]


def measure(case: Case, population: clones.Population, *, models: Path, folder: Path) -> dict[str, Any]:
    """Carry a case out.

    Raises:
        ContenderFailed: a worker ended, or did not come to its end.
        BrokerUnavailable: there is no broker of that kind here.
    """
    with ExitStack() as stack:
        broker = stack.enter_context(brokers.choose(case.broker))
        broker_cpu = [processes.CpuCurve(pid) for pid in worker_process.children()]
        for curve in broker_cpu:
            stack.callback(curve.stop)
        topic_admin.apply(broker.bootstrap, case.partitions)
        written = stock.write_states(
            broker.bootstrap, APP_ID, population=population, customers=case.customers + 1, partitions=case.partitions
        )
        sent, _ = packing.send(broker.bootstrap, records(population, case))
        cores = processes.cores() if case.pinned and case.workers == 1 else None
        given = settings(broker.bootstrap, models, store=case.store)
        started_s = time.monotonic()
        workers = [
            stack.enter_context(
                worker_process.started(folder / f"worker-{number}", given, core=cores[1] if cores else None)
            )
            for number in range(case.workers)
        ]
        opened_s = _await_open(workers, case.partitions)
        restore_s = time.monotonic() - started_s
        restored = [worker.memory() for worker in workers]
        seen = progress.Progress(workers)
        try:
            _await_all(workers, sent)
        finally:
            seen.stop()
        told = figures(seen, workers, broker_cpu=broker_cpu, events=sent, not_before_s=opened_s)
        memories = [worker.memory() for worker in workers]
        # Workers that join one after another read some records twice: cheaper work that counts as an event here.
        repeated = max(0, sum(worker.applied() for worker in workers) - sent)
    return {
        **msgspec.structs.asdict(case),
        **told,
        "repeated": repeated,
        "state_mean_bytes": written // (case.customers + 1),
        "open_after_s": round(restore_s, 1),
        "rss_opened_mb": round(sum(each.rss_mb for each in restored), 1),
        "rss_mb": round(sum(each.rss_mb for each in memories), 1),
        "anonymous_mb": round(sum(each.anonymous_mb for each in memories), 1),
        "peak_mb": round(sum(each.peak_mb for each in memories), 1),
        "disk_mb": round(disk_mb(folder), 1),
    }


def figures(
    seen: progress.Progress,
    workers: list[worker_process.WorkerProcess],
    *,
    broker_cpu: list[processes.CpuCurve],
    events: int,
    not_before_s: float,
) -> dict[str, Any]:
    """Rate, processor time per event and shares of the cores over the middle of a run."""
    span = seen.span(BEGIN * events, END * events, not_before_s=not_before_s)
    worker_s = sum(worker.cpu.at(span.end_s) - worker.cpu.at(span.begin_s) for worker in workers)
    broker_s = sum(curve.at(span.end_s) - curve.at(span.begin_s) for curve in broker_cpu)
    return {
        "measured_events": round(span.events),
        "per_s": round(span.events / span.seconds, 1),
        "cpu_us": round(worker_s * 1e6 / span.events, 2),
        "worker_cores": round(worker_s / span.seconds, 3),
        "broker_cores": round(broker_s / span.seconds, 3),
        "others_cores": round(max(0.0, span.busy_s - worker_s - broker_s) / span.seconds, 3),
    }


def disk_mb(folder: Path) -> float:
    """What lies in a folder, in MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def _await_open(workers: list[worker_process.WorkerProcess], partitions: int) -> float:
    """When all partitions were open and every worker had as many as the others, as `time.time` tells it."""
    deadline_s = time.monotonic() + WITHIN_S
    while True:
        numbers = [worker.assigned() for worker in workers]
        if sum(numbers) == partitions and max(numbers) - min(numbers) <= 1:
            return time.time()
        for worker in workers:
            worker.require()
        if time.monotonic() > deadline_s:
            msg = f"partitions were not shared out evenly: {numbers}"
            raise processes.ContenderFailed(msg)
        time.sleep(worker_process.LOOK_EVERY_S)


def _await_all(workers: list[worker_process.WorkerProcess], events: int) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not (all(each.is_caught_up() for each in workers) and sum(worker.applied() for worker in workers) >= events):
        for worker in workers:
            worker.require()
        if time.monotonic() > deadline_s:
            msg = f"{sum(worker.applied() for worker in workers):,} of {events:,} events within {WITHIN_S:.0f} s"
            raise processes.ContenderFailed(msg)
        time.sleep(worker_process.LOOK_EVERY_S)
