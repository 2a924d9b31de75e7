"""Benchmark of quality: ``make bench-quality``, or ``python -m bench.quality --help``.

Asks needstream's models and their rivals the same questions in order of time, on the public data sets of
``NEEDSTREAM_DATA`` and on simulated banks, and writes ``quality.json`` and ``quality.md``.
"""

import argparse
import importlib.metadata
import multiprocessing
import os
import platform
import typing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from bench.quality import berka, calls, contenders, goals, measuring, report, retail, rivals, sheets, simulated
from bench.quality.drift import Recovery
from bench.quality.task import Task
from msgspec import Struct
from rich.console import Console

from needstream.models import contestants
from needstream.models.rules import Rules
from needstream.schemas import pack

RESULTS = Path(__file__).parent.parent / "results"
SEEDS = (1, 2, 3)
DATA: dict[str, Callable[[Path], Iterator[Task]]] = {
    "online_retail/events_2010-12_2011-08.csv.gz": retail.tasks,
    "bank_calls/calls_1999-02-01_02-19.csv.gz": calls.tasks,
    "bank_marketing/contacts.csv.gz": sheets.marketing,
    "online_shoppers/sessions.csv.gz": sheets.shoppers,
    "berka_partial": berka.tasks,
}
_PACKAGES = ("needstream", "river", "numpy", "lightgbm", "vowpalwabbit")


def main() -> None:
    """Build the tasks, run them, report."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("NEEDSTREAM_DATA"), help="folder of the data sets")
    parser.add_argument("--only", default="", help="run only the tasks whose name contains this")
    parser.add_argument("--champion", default="blend", help="who is served first")
    parser.add_argument("--challengers", default="pair,batch,replayed", help="who else learns, with commas")
    parser.add_argument(
        "--as-shipped", action=argparse.BooleanOptionalAction, default=True, help="judge the packs' own declaration too"
    )
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="simulated banks")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the report")
    chosen = parser.parse_args()
    kinds = typing.get_args(pack.Contestant)
    named = [chosen.champion, *filter(None, chosen.challengers.split(","))]
    if unknown := [kind for kind in named if kind not in kinds]:
        parser.error(f"no contestants: {', '.join(unknown)}; there are {', '.join(kinds)}")
    rules = Rules(champion=named[0], challengers=tuple(kind for kind in named[1:] if kind != named[0]))
    console = Console(width=max(100, Console().width))
    skipped = {line: f"{package} is not installed" for line, package in rivals.missing().items()}
    skipped |= {kind: "cannot learn here" for kind in named if kind != "blend" and not contestants.is_available(kind)}
    seeds = SEEDS[: chosen.seeds]
    tasks = [task for task in _tasks(chosen.data, seeds, skipped=skipped) if chosen.only in task.name]
    console.print(f"{len(tasks)} tasks in {chosen.jobs} processes", style="dim", highlight=False)
    with ProcessPoolExecutor(chosen.jobs, mp_context=multiprocessing.get_context("spawn")) as processes:
        run = _Run(rules, chosen.as_shipped)
        results, recoveries = _run(processes, tasks, run=run, drifting=seeds if chosen.only in "drift" else ())
    timing = measuring.clock(tasks[-1], rules) if tasks else {}
    groups = {}
    for group, those in report.grouped(results).items():
        matured = max(each.matured for each in those)
        if matured < goals.FEWEST_MATURED:
            skipped[f"goals of {group}"] = f"only {matured} labels mature before the last question"
        else:
            groups[group] = those
    told = report.Report(
        command=run.command(),
        lines=run.lines(),
        versions={"python": platform.python_version()} | dict(_versions()),
        tasks=results,
        drift=recoveries,
        timing=timing,
        skipped=skipped,
        verdicts=[*_verdicts(groups, recoveries, lines=tuple(run.lines())), *goals.in_time(timing)],
    )
    report.show(told, console)
    report.write(told, chosen.output)


class _Run(Struct, frozen=True):
    """Which tracks are asked."""

    rules: Rules
    as_shipped: bool

    def command(self) -> str:
        """What to call for the same."""
        named = f"--champion {self.rules.champion} --challengers {','.join(self.rules.challengers)}"
        return f"python -m bench.quality {named}{'' if self.as_shipped else ' --no-as-shipped'}"

    def lines(self) -> dict[str, str]:
        """The judged lines, each with what its track is declared as."""
        lines = {goals.SERVED: _declared(self.rules)}
        if self.as_shipped:
            lines[goals.AS_SHIPPED] = f"{_declared(contenders.SHIPPED)}, as every model of the packs declares it"
        return lines


def _declared(rules: Rules) -> str:
    return f"calibrated score of a track with champion {rules.champion}, challengers {', '.join(rules.challengers)}"


def _verdicts(
    groups: dict[str, list[report.Measured]], recoveries: dict[str, list[Recovery]], *, lines: tuple[str, ...]
) -> Iterator[goals.Verdict]:
    runs = {group: [each.lines for each in those] for group, those in groups.items()}
    compared = {group: [each.differences for each in those] for group, those in groups.items()}
    for line in lines:
        yield from goals.verdicts(runs, compared, line=line)
        for rival in (goals.BATCH, goals.WINDOWED) if recoveries else ():
            yield goals.recovered(recoveries, line=line, rival=rival)


def _run(
    processes: ProcessPoolExecutor, tasks: list[Task], *, run: _Run, drifting: tuple[int, ...]
) -> tuple[list[report.Measured], dict[str, list[Recovery]]]:
    """Every task judged, in their order, and the recoveries by line, in order of the seeds; says how it goes on."""
    # The longest first, so that no process is left with it at the end.
    places = sorted(range(len(tasks)), key=lambda place: -len(tasks[place].questions))
    running = {
        processes.submit(measuring.measure, tasks[place], run.rules, as_shipped=run.as_shipped): place
        for place in places
    }
    drifts = [processes.submit(measuring.recover, seed, run.rules, as_shipped=run.as_shipped) for seed in drifting]
    measured: dict[int, report.Measured] = {}
    for done, future in enumerate(as_completed(running), start=1):
        measured[running[future]] = future.result()
        print(f"{done} of {len(tasks)}: {report.summary(future.result())}", flush=True)
    recoveries: dict[str, list[Recovery]] = {}
    for drifted in drifts:
        for line, recovery in drifted.result().items():
            recoveries.setdefault(line, []).append(recovery)
    return [measured[place] for place in range(len(tasks))], recoveries


def _tasks(data: Path | None, seeds: tuple[int, ...], *, skipped: dict[str, str]) -> Iterator[Task]:
    for name, read in DATA.items():
        if data is None or not (data / name).exists():
            skipped[name] = "not in the folder of NEEDSTREAM_DATA" if data else "NEEDSTREAM_DATA is not set"
        else:
            yield from read(data / name)
    for build in (partial(simulated.tasks, seed) for seed in seeds):
        yield from build()


def _versions() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        try:
            yield package, importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue


if __name__ == "__main__":
    main()
