"""From an event to its signal, end to end, through a broker: latencies at shares of the worker's highest rate.

In comes a plan, out come `latency.md`, `latency.json` and a chart. A producer and a consumer are processes of their
own and share the broker's core; the worker has the other. The invariant it protects: a latency begins when the producer
hands the event to its client and ends when the consumer's client hands the signal over, on one clock, and every signal
that was due is counted as heard or as missing.
"""

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from needstream.bench import (
    clones,
    histogram,
    latency_report,
    live_load,
    live_pack,
    machine,
    packing,
    processes,
    progress,
    stages,
    stock,
    worker_process,
)
from needstream.streams import brokers, topic_admin

APP_ID = "latency-bench"
WITHIN_S = 600.0
WARM_UP = 0.1
"""The first tenth of a level's signals is left out."""

HEARD_WITHIN_S = 20.0


class LatencyPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The choices of one run.

    Attributes:
        signals: how many are measured at each level, at least.
        levels: per cent of the highest rate.
        traced: the levels that are repeated with a worker that notes its stages.
        backlog: how many events are drained to find the highest rate.
        customers: whose states there are from the start.
        seconds: how long a level lasts, at least.
    """

    signals: int = 2_000
    levels: tuple[int, ...] = (10, 50, 80)
    traced: tuple[int, ...] = (10, 50)
    backlog: int = 80_000
    customers: int = 50_000
    partitions: int = 4
    seconds: float = 20.0
    seed: int = 7
    broker: str = "embedded"
    store: str = "rocksdict://"
    ordering_wait: str = "20ms"
    bank: stock.Bank = stock.Bank()
    output: Path = Path("bench/results")


class LatencyBench:
    """One run of a plan."""

    def __init__(self, plan: LatencyPlan, console: Console, *, scratch: Path, stack: ExitStack) -> None:
        self._plan = plan
        self._console = console
        self._scratch = scratch
        cores = processes.cores()
        self._other_core = cores[0] if cores else None
        self._core = cores[1] if cores else None
        processes.pin_here(self._other_core)
        records, models = stock.bank(plan.bank, scratch, seed=plan.seed, say=console.print)
        self._models = models
        self.load = stock.described(plan.bank, records, models=models)
        self._population = clones.grow(records, models, at_ms=time.time_ns() // 1_000_000, seed=plan.seed)
        self._stored = scratch / "population"
        self._stored.write_bytes(msgspec.msgpack.encode(self._population))
        self._pack = live_pack.write(scratch / "pack")
        self._sent = 0
        broker = stack.enter_context(brokers.choose(plan.broker))
        self._bootstrap = broker.bootstrap
        self._broker_cpu = [processes.CpuCurve(pid) for pid in worker_process.children()]
        for curve in self._broker_cpu:
            stack.callback(curve.stop)
        topic_admin.apply(self._bootstrap, plan.partitions)
        console.print(f"writing {plan.customers:,} states ...")
        stock.write_states(
            self._bootstrap, APP_ID, population=self._population, customers=plan.customers, partitions=plan.partitions
        )

    def run(self) -> dict[str, Any]:
        """Measure everything.

        Raises:
            ContenderFailed: the worker or a helper ended early.
        """
        told: dict[str, Any] = {"levels": [], "traced": []}
        with self._worker("plain") as worker:
            told["highest_per_s"] = highest = self._highest(worker)
            self._console.print(f"highest rate: {highest:,.0f} events/s")
            for share in self._plan.levels:
                level, _ = self._level(worker, highest * share / 100, name=f"l{share}")
                told["levels"].append({"share": share, **level})
                self._say(share, level)
        for share in self._plan.traced:
            trace = self._scratch / f"trace-{share}"
            program = ("-m", "needstream.bench.traced_worker", str(trace))
            with self._worker(f"traced-{share}", program=program) as worker:
                worker.await_applied(0, within_s=WITHIN_S)
                level, heard = self._level(worker, highest * share / 100, name=f"t{share}")
                worker.stop()
            wait_ms = float(self._plan.ordering_wait.removesuffix("ms"))
            found = stages.read(trace, heard, level=f"t{share}", wait_ms=int(wait_ms))
            told["traced"].append({"share": share, **level, **found})
            self._say(share, level)
        return told

    def _worker(self, name: str, *, program: tuple[str, ...] = worker_process.PROGRAM) -> Any:
        settings = {
            "NEEDSTREAM_BROKER": self._bootstrap,
            "NEEDSTREAM_APP_ID": APP_ID,
            "NEEDSTREAM_MODELS": str(self._models),
            "NEEDSTREAM_PACK": str(self._pack),
            "NEEDSTREAM_STORE": self._plan.store,
            "NEEDSTREAM_ORDERING_WAIT": self._plan.ordering_wait,
        }
        if name == "plain":
            self._send_backlog()
        return worker_process.started(self._scratch / name, settings, core=self._core, program=program)

    def _specification(self, level: str, *, events: int, rate: float) -> live_load.Specification:
        first, self._sent = self._sent, self._sent + events
        return live_load.Specification(
            bootstrap=self._bootstrap,
            partitions=self._plan.partitions,
            population=str(self._stored),
            customers=self._plan.customers,
            seed=self._plan.seed,
            level=level,
            first=first,
            events=events,
            rate=rate,
            report=str(self._scratch / f"{level}.json"),
        )

    def _send_backlog(self) -> None:
        self._console.print(f"sending a backlog of {self._plan.backlog:,} events ...")
        chosen = self._specification("max", events=self._plan.backlog, rate=0.0)
        packing.send(self._bootstrap, live_load.backlog(self._population, chosen))

    def _highest(self, worker: worker_process.WorkerProcess) -> float:
        worker.await_ready(within_s=WITHIN_S)
        seen = progress.Progress([worker])
        try:
            worker.await_applied(self._plan.backlog, within_s=WITHIN_S)
        finally:
            seen.stop()
        span = seen.span(0.2 * self._plan.backlog, 0.9 * self._plan.backlog)
        return span.events / span.seconds

    def _level(
        self, worker: worker_process.WorkerProcess, rate: float, *, name: str
    ) -> tuple[dict[str, Any], dict[str, int]]:
        plan = self._plan
        wanted = plan.signals / (1 - WARM_UP) * live_load.TRIGGER_EVERY
        chosen = self._specification(name, events=int(max(wanted, rate * plan.seconds)) + 20, rate=rate)
        given, heard_in = self._scratch / f"{name}.given", self._scratch / f"{name}.heard"
        given.write_bytes(msgspec.json.encode(chosen))
        listening = [sys.executable, "-m", "needstream.bench.listening", self._bootstrap, str(plan.partitions)]
        producing = [sys.executable, "-m", "needstream.bench.live_load", str(given)]
        with processes.started([*listening, str(heard_in)], self._other_core, log=self._scratch / f"{name}.listen"):
            _await_file(heard_in)
            begun_s, busy_s = time.time(), progress.busy_s()
            processes.run(
                producing,
                self._other_core,
                log=self._scratch / f"{name}.produce",
                within_s=chosen.events / rate + WITHIN_S,
            )
            sent = msgspec.json.decode(Path(chosen.report).read_bytes(), type=live_load.Sent)
            over_s, busy_s = time.time(), progress.busy_s() - busy_s
            deadline_s = time.monotonic() + HEARD_WITHIN_S
            while len(told := _heard(heard_in)) < sent.triggers and time.monotonic() < deadline_s:
                time.sleep(0.2)
                worker.require()
        heard = {event_id: at_us for event_id, at_us in told.items() if at_us}
        found = sorted((live_load.handed_us(event_id), at_us) for event_id, at_us in heard.items())
        latencies = [at_us - handed[1] for handed, at_us in found if handed is not None][int(len(found) * WARM_UP) :]
        elapsed_s = over_s - begun_s
        return {
            "wanted_per_s": round(rate, 1),
            "sent_per_s": round(sent.events / sent.seconds, 1),
            "events": sent.events,
            "triggers": sent.triggers,
            "heard": len(heard),
            "stopped": len(told) - len(heard),
            "missing": sent.triggers - len(told),
            "worker_core": round((worker.cpu.at(over_s) - worker.cpu.at(begun_s)) / elapsed_s, 3),
            "broker_core": round(sum(each.at(over_s) - each.at(begun_s) for each in self._broker_cpu) / elapsed_s, 3),
            "machine_cores": round(busy_s / elapsed_s, 3),
            "producer": msgspec.structs.asdict(sent),
            "latency": histogram.summary(latencies),
        }, heard

    def _say(self, share: int, level: dict[str, Any]) -> None:
        told = level["latency"]
        if told["count"]:
            self._console.print(
                f"{share} %: {level['sent_per_s']:,.0f} events/s, {told['count']:,} signals, p50 "
                f"{told['p50_ms']:.1f} ms, "
                f"p90 {told['p90_ms']:.1f}, p99 {told['p99_ms']:.1f}, max {told['max_ms']:.1f}; missing "
                f"{level['missing']}; "
                f"cores: worker {level['worker_core']:.0%}, broker {level['broker_core']:.0%}"
            )


def run(plan: LatencyPlan, console: Console, *, command: str) -> None:
    """Carry a plan out and write what it came to.

    Raises:
        ContenderFailed: the worker or a helper ended early.
        BrokerUnavailable: there is no broker of that kind here.
    """
    with processes.ended_in_order(), ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="needstream-latency-")))
        bench = LatencyBench(plan, console, scratch=scratch, stack=stack)
        told = {"load": bench.load, **bench.run()}
    told = {"command": command, "plan": msgspec.to_builtins(plan, enc_hook=str), "machine": machine.facts([]), **told}
    for path in latency_report.write(told, plan.output):
        console.print(f"written: {path}")
    console.print(latency_report.text(told), markup=False)


def _await_file(path: Path) -> None:
    deadline_s = time.monotonic() + HEARD_WITHIN_S
    while not (path.exists() and path.read_text(encoding="utf-8")):
        if time.monotonic() > deadline_s:
            msg = "the consumer of the signals did not start"
            raise processes.ContenderFailed(msg)
        time.sleep(0.05)


def _heard(path: Path) -> dict[str, int]:
    """When each signal was heard first, by its trigger; 0 where a gate stopped it."""
    heard: dict[str, int] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        at_us, _, event_id = line.partition(" ")
        if event_id:
            heard.setdefault(event_id, int(at_us))
    return heard
