"""How needstream scales: with workers, with customers, with one customer who is a share of all, and with time.

In comes a plan, out come `scale.md` and `scale.json`; parts that were not run keep what the file says of them. The
invariant it protects: each part says with which command and on which machine it was measured.
"""

import datetime
import json
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from needstream.bench import clones, draining, growth, learning_cost, machine, processes, scale_report, stock
from needstream.bench.draining import Case
from needstream.bench.scale_plan import ScalePlan
from needstream.schemas.times import DAY_MS

WORKERS_PARTITIONS = 8
_COURSE = "course.json"


class ScaleBench:
    """One run of a plan."""

    def __init__(self, plan: ScalePlan, console: Console, *, scratch: Path) -> None:
        self._plan = plan
        self._console = console
        self._scratch = scratch
        self._records, self._models = stock.bank(plan.bank, scratch, seed=plan.seed, say=console.print)
        self._per_day = plan.bank.kind.per_customer_and_day
        self.load = stock.described(plan.bank, self._records, models=self._models)
        self._grown: clones.Population | None = None
        self._measured = 0

    def workers(self) -> dict[str, Any]:
        """One worker and two on the same cores as the broker."""
        cases = [
            self._measure(
                Case(
                    customers=self._plan.customers,
                    events=self._plan.events,
                    partitions=WORKERS_PARTITIONS,
                    workers=number,
                    store=self._plan.stores[0],
                    pinned=False,
                    broker=self._plan.broker,
                )
            )
            for number in (1, 2)
        ]
        return {"cases": cases, **worker_ratios(*cases, cores=_cores())}

    def customers(self) -> dict[str, Any]:
        """More and more customers in state."""
        cases = [
            self._measure(Case(customers=size, events=self._plan.events, store=store, broker=self._plan.broker))
            for _ in range(self._plan.rounds)
            for store in self._plan.stores
            for size in sorted(self._plan.sizes)
        ]
        return {"cases": cases, **customer_ratios(cases)}

    def skew(self) -> dict[str, Any]:
        """One customer with a share of all events."""
        even = Case(
            customers=self._plan.customers,
            events=self._plan.events,
            store=self._plan.stores[0],
            broker=self._plan.broker,
        )
        cases = [self._measure(even), self._measure(msgspec.structs.replace(even, hot_share=self._plan.hot_share))]
        return {
            "cases": cases,
            "cpu_ratio": round(cases[1]["cpu_us"] / cases[0]["cpu_us"], 3),
            "rate_ratio": round(cases[1]["per_s"] / cases[0]["per_s"], 3),
        }

    def learning(self) -> dict[str, Any]:
        """What the labelled examples cost their one learner."""
        return learning_cost.measure(self._records, self._models, scratch=self._scratch)

    def growth(self) -> dict[str, Any]:
        """The same customers for a long time."""
        plan = self._plan
        folder = plan.work or self._scratch / "growth"
        folder.mkdir(parents=True, exist_ok=True)
        days = plan.growth_events / plan.growth_customers / self._per_day * 1.4 + 2
        course = growth.Course(
            customers=plan.growth_customers,
            events=plan.growth_events,
            seed=plan.seed,
            broker=plan.broker,
            at_ms=time.time_ns() // 1_000_000 - int(days * DAY_MS),
        )
        course = _same_course(folder / _COURSE, course)
        kept = folder / "models.jsonl"
        if not kept.exists():
            kept.write_bytes(self._models.read_bytes())
        population = clones.grow(self._records, kept, at_ms=course.at_ms, seed=plan.seed)
        points = growth.run(course, population, models=kept, folder=folder, say=self._console.print)
        told = [{name: value for name, value in point.items() if name != "ends"} for point in points]
        return {"course": msgspec.to_builtins(course), "points": told, **growth.ratios(points)}

    def _population(self) -> clones.Population:
        """Copies whose events end before now, however few of them share the events."""
        if self._grown is None:
            fewest = min(*self._plan.sizes, self._plan.customers)
            days = self._plan.events / fewest / self._per_day * 1.4 + 2
            at_ms = time.time_ns() // 1_000_000 - int(days * DAY_MS)
            self._grown = clones.grow(self._records, self._models, at_ms=at_ms, seed=self._plan.seed)
        return self._grown

    def _measure(self, case: Case) -> dict[str, Any]:
        self._measured += 1
        folder = self._scratch / f"case-{self._measured}"
        self._console.print(
            f"{case.customers:,} customers, {case.events:,} events, {case.workers} workers, {case.store}, "
            f"hot {case.hot_share:.0%} ..."
        )
        told = draining.measure(case, self._population(), models=self._models, folder=folder)
        self._console.print(
            f"  {told['per_s']:,.0f} events/s, {told['cpu_us']:.1f} us CPU, cores: workers {told['worker_cores']:.2f}, "
            f"broker {told['broker_cores']:.2f}, others {told['others_cores']:.2f}; RSS {told['rss_mb']:,.0f} MB, "
            f"open after {told['open_after_s']:.0f} s"
        )
        return told


def worker_ratios(one: dict[str, Any], two: dict[str, Any], *, cores: int) -> dict[str, float]:
    """What two workers do beside one, and beside what the cores that the rest leaves over allow.

    The rest is the broker with whatever else ran; a worker needs its processor time per event as it did alone.
    """
    left = cores - two["broker_cores"] - two["others_cores"]
    allowed_per_s = left * 1e6 / one["cpu_us"]
    return {
        "cores": cores,
        "cores_left": round(left, 3),
        "allowed_per_s": round(allowed_per_s, 1),
        "of_allowed": round(two["per_s"] / allowed_per_s, 3),
        "of_one": round(two["per_s"] / one["per_s"], 3),
    }


def customer_ratios(cases: list[dict[str, Any]]) -> dict[str, Any]:
    """By store: processor time per event of the most customers over that of the fewest, and memory per million."""
    told: dict[str, Any] = {"cpu_ratio": {}, "mb_per_million": {}, "fewest": 0, "most": 0}
    for store in dict.fromkeys(case["store"] for case in cases):
        sizes = sorted({case["customers"] for case in cases if case["store"] == store})
        by_size = {
            size: [case for case in cases if case["store"] == store and case["customers"] == size] for size in sizes
        }
        told["fewest"], told["most"] = sizes[0], sizes[-1]
        fewest, most = by_size[sizes[0]], by_size[sizes[-1]]
        told["cpu_ratio"][store] = round(_middle(most, "cpu_us") / _middle(fewest, "cpu_us"), 3)
        if sizes[-1] > sizes[0]:
            more_mb = _middle(most, "rss_mb") - _middle(fewest, "rss_mb")
            told["mb_per_million"][store] = round(more_mb * 1e6 / (sizes[-1] - sizes[0]), 1)
    return told


def run(plan: ScalePlan, console: Console, *, command: str) -> None:
    """Carry a plan out and write what it came to.

    Raises:
        ContenderFailed: a worker ended early.
        BrokerUnavailable: there is no broker of that kind here.
    """
    with processes.ended_in_order(), ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="needstream-scale-")))
        bench = ScaleBench(plan, console, scratch=scratch)
        for part in plan.parts:
            started_s = time.monotonic()
            told = {
                "command": command,
                "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "machine": machine.facts([]),
                "broker": plan.broker,
                "seed": plan.seed,
                "load": bench.load,
                **getattr(bench, part)(),
            }
            told["took_s"] = round(time.monotonic() - started_s)
            # Written after each part: a later one that fails takes nothing with it.
            parts = scale_report.merged(plan.output, {part: told})
    for path in scale_report.write(parts, plan.output):
        console.print(f"written: {path}")
    console.print(scale_report.text(parts), markup=False)


def _same_course(path: Path, course: growth.Course) -> growth.Course:
    """The course that the folder was begun with.

    Raises:
        ValueError: it was begun with other choices.
    """
    if not path.exists():
        path.write_bytes(msgspec.json.encode(course))
        return course
    begun = msgspec.json.decode(path.read_bytes(), type=growth.Course)
    if begun != msgspec.structs.replace(course, at_ms=begun.at_ms):
        msg = f"{path.parent} was begun with other choices: {json.loads(path.read_bytes())}"
        raise ValueError(msg)
    return begun


def _middle(cases: list[dict[str, Any]], name: str) -> float:
    values = sorted(float(case[name]) for case in cases)
    return values[len(values) // 2]


def _cores() -> int:
    return os.cpu_count() or 1
