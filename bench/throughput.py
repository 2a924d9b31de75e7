"""needstream and other stream processors on the same events: rounds in turn, each contender pinned to one core.

In comes a plan, out come `throughput.md`, `throughput.json` and a chart. The invariant it protects: within a job every
contender reads the same records of the same topics from the same broker, and nothing else of ours runs beside it but
the broker on the other core.
"""

import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from needstream.bench import agreement, census, core, figures, job, load, machine, observing, processes, report
from needstream.bench import plan as plan_of
from needstream.bench.contenders import environments
from needstream.bench.contending import Task
from needstream.bench.plan import FEWEST_EVENTS, WARM_UP, Plan
from needstream.bench.stand import PARTITIONS, Stand
from needstream.streams import brokers

WITHIN_S = 300.0
CORE_CUSTOMERS, CORE_DAYS = 300, 90


class RunFailed(RuntimeError):
    """Raised when needstream itself could not be measured."""


@dataclass(frozen=True, slots=True)
class Running:
    """A job whose load is on the broker."""

    job: str
    stand: Stand
    records: Sequence[load.Record]


class Bench:
    """One run of a plan."""

    def __init__(self, plan: Plan, console: Console, *, scratch: Path) -> None:
        self._plan = plan
        self._console = console
        self._scratch = scratch
        self._cores = processes.cores()
        self._missing = {name: self._why_missing(name) for name in plan.contenders}
        if self._missing.get(figures.OURS):
            raise RunFailed(f"needstream cannot run here: {self._missing[figures.OURS]}")  # noqa: EM102
        self._references: dict[tuple[str, int], agreement.Reference] = {}
        self.load: dict[str, Any] = {}
        self.cold: list[str] = []

    def run(self) -> dict[str, list[figures.Result]]:
        """Measure every job.

        Raises:
            RunFailed: needstream did not come to its end.
        """
        models = self._scratch / "models.jsonl"
        self._console.print("learning the models ...")
        load.learn(self._learned_from(), models)
        self.cold = load.cold(models) if "full" in self._plan.jobs else []
        if self.cold:
            self._console.print(f"not warm, so they do not speak: {', '.join(self.cold)}")
        with processes.pinned_here(None if self._cores is None else self._cores[0]):
            return {name: self._measure(name) for name in self._plan.jobs}

    def _learned_from(self) -> list[load.Record]:
        plan = self._plan
        if "full" in plan.jobs:
            return load.learned_from(plan.population, seed=plan.seed)
        return load.generate(FEWEST_EVENTS, customers=plan.customers, seed=plan.seed, population=plan.population)

    @property
    def pinned(self) -> str:
        """Where things ran."""
        if self._cores is None:
            return "not pinned: this system has no two cores to choose from"
        return f"contenders on core {self._cores[1]}, the broker on core {self._cores[0]}"

    def _why_missing(self, name: str) -> str | None:
        framework = processes.environment_of(name)
        if framework in environments.NAMES:
            self._console.print(f"preparing {name} ...")
            reason = environments.unavailable(framework)
            if reason is not None:
                return reason
        return processes.missing("counting_worker" if name == figures.OURS else name)

    def _measure(self, name: str) -> list[figures.Result]:
        plan = self._plan
        records = load.generate(plan.events[name], customers=plan.customers, seed=plan.seed, population=plan.population)
        if name == plan.counted:
            counted = census.taken(records, self._scratch / "models.jsonl", population=plan.population)
            self.load = census.as_dict(counted)
            self._console.print(census.sentence(self.load), soft_wrap=True)
        results = [
            figures.Result(each, plan.events_of(name, each), skipped=self._missing[each] or "")
            for each in plan.contenders
            if name in plan_of.ONLY.get(each, job.NAMES)
        ]
        with brokers.choose(plan.broker) as broker:
            running = Running(name, Stand(broker.bootstrap), records)
            if any(running.stand.ends(job.INPUT_TOPICS).values()):
                msg = (
                    "the input topics of this broker hold records: a benchmark needs one of its own, one job at a time"
                )
                raise RunFailed(msg)
            self._console.print(f"{name}: sending {len(records):,} events ...")
            running.stand.send(records)
            for number in range(plan.rounds):
                turn = number % len(results)
                for result in (*results[turn:], *results[:turn]):
                    if not result.skipped:
                        self._round(running, result, number=number)
        return results

    def _round(self, running: Running, result: figures.Result, *, number: int) -> None:
        stand, name = running.stand, running.job
        word = f"bench-{name}-{result.contender}-{number}".replace("_", "-")
        folder = self._scratch / word
        folder.mkdir()
        task = Task(
            job=name,
            bootstrap=stand.bootstrap,
            group=word,
            prefix=f"{word}-",
            models=self._scratch / "models.jsonl",
            events=result.events,
            warm_up=int(result.events * WARM_UP),
            partitions=PARTITIONS,
            report=folder / "report.json",
        )
        try:
            told = self._told(running, task, result=result)
            done = figures.of_report(told)
        except (processes.ContenderFailed, ValueError) as error:
            if result.contender == figures.OURS:
                raise RunFailed(f"{name}: needstream: {error}") from error  # noqa: EM102
            result.rounds.clear()  # what was measured before may be as wrong, and fewer rounds are no comparison
            result.skipped = f"failed: {str(error).splitlines()[-1][:200]}"
            self._console.print(f"{name} {result.contender}: {error}", markup=False)
            return
        finally:
            stand.remove(word)
        result.rounds.append(done)
        self._console.print(
            f"{name} round {number + 1} {result.contender}: {done.per_s:,.0f} events/s, "
            f"{done.cpu_us:.1f} us CPU, busy {done.cpu_s / done.wall_s:.0%}  {result.agreement}",
            soft_wrap=True,
        )

    def _told(self, running: Running, task: Task, *, result: figures.Result) -> dict[str, Any]:
        """The report of one run; in the first, what it said is compared."""
        stand, records = running.stand, running.records
        core_number = None if self._cores is None else self._cores[1]
        is_ours = result.contender == figures.OURS
        if is_ours:
            told = observing.observe(stand, task, records=records, core=core_number, within_s=WITHIN_S)
        else:
            stand.prepare(task.prefix)
            command = _command(processes.python_of(result.contender), result.contender, task=task)
            processes.run(command, core_number, log=task.report.with_suffix(".log"), within_s=WITHIN_S)
            told = json.loads(task.report.read_text(encoding="utf-8"))
        if not result.rounds:
            result.notes = list(told.get("notes", ()))
            expected = self._reference(task, records)
            if is_ours:
                found = agreement.of_records(stand.read(job.OUTPUT_TOPICS, since=told["since"]))
                result.agreement = str(agreement.compare(expected.rung, found))
            elif "said" in told:
                lines = Path(told["said"]).read_text(encoding="utf-8").splitlines()
                result.agreement = str(agreement.compare(expected.rung, agreement.of_lines(lines)))
            else:
                names = [task.prefix + topic for topic in job.OUTPUT_TOPICS]
                found = agreement.of_records(stand.read(names), task.prefix)
                result.agreement = str(agreement.compare(expected.lazy, found))
        return told

    def _reference(self, task: Task, records: Sequence[load.Record]) -> agreement.Reference:
        place = task.job, task.events
        if place not in self._references:
            work = job.Job.open(task.job, task.models)
            self._references[place] = agreement.reference(work, records[: task.events])
        return self._references[place]


def run(plan: Plan, console: Console) -> None:
    """Carry a plan out and write what it came to.

    Raises:
        RunFailed: needstream itself could not be measured.
        BrokerUnavailable: there is no broker of that kind here.
    """
    with processes.ended_in_order(), ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="needstream-bench-")))
        facts = machine.facts(plan.contenders)
        second = plan.second()
        told = _measured(plan, console, facts=facts, scratch=scratch / "first")
        beside = _measured(second, console, facts=facts, scratch=scratch / "second") if second else None
    told = replace(told, beside=beside)
    for path in report.write(told, plan.output):
        console.print(f"written: {path}")
    console.print(report.text(told), markup=False, highlight=False, soft_wrap=True)


def _measured(plan: Plan, console: Console, *, facts: dict[str, Any], scratch: Path) -> report.Told:
    """All jobs of one population, and the core alone on it."""
    console.print(f"population {plan.population.name}")
    scratch.mkdir()
    bench = Bench(plan, console, scratch=scratch)
    jobs = bench.run()
    console.print("measuring the core ...")
    measured = core.measure(
        customers=min(CORE_CUSTOMERS, plan.customers), days=CORE_DAYS, seed=plan.seed, population=plan.population
    )
    return report.Told(plan, jobs, facts, bench.pinned, measured, load=bench.load, cold=bench.cold)


def _command(python: str, contender: str, *, task: Task) -> list[str]:
    command = [python, "-m", f"needstream.bench.contenders.{contender}"]
    for name in ("job", "bootstrap", "group", "prefix", "models", "events", "warm_up", "partitions", "report"):
        command += [f"--{name.replace('_', '-')}", str(getattr(task, name))]
    return command
