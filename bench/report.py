"""What a run came to, for people (Markdown and a chart) and for programs (JSON).

In come results, out come files. The invariant it protects: no figure without its spread, the command that made it, the
machine it was made on, and what is unfair about it.
"""

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from needstream.bench import census, chart, core, figures, job
from needstream.bench.plan import Plan
from needstream.bench.stand import PARTITIONS

NAME = "throughput"

WORK = {
    "count": f"typed decode, one durable counter per customer, every {job.SAID_EVERY}th event says something",
    "features": "the bank pack without models and scenarios: counts, habits, sessions, a summary per session",
    "full": "the bank pack: all models pinned to learned standings, scenarios, arbitration, labels",
}

EMBEDDED = (
    "- **the embedded broker answers an empty fetch at once**, so that clients which do not pace themselves "
    "(librdkafka, aiokafka) spend time on asking again: compare on `--broker apache`"
)

HOW = """
Each contender is a process of its own on one core. It reads the same records of the same five topics, applies the same
`step` to one state per customer, keeps the states durably (a changelog topic, unless noted) and sends what is said.
Rounds run in turn, the order rotates. Rates are of the events between the warm-up (a tenth) and the last one that is
durable; CPU time is the contender's alone, all its threads. A slow contender gets only the first part of the events.

A `quiet` customer comes once a week, a `busy` one several times a week for ten screens: what comes by session and by
week (samples of all models, matured labels) is a smaller part of a busy customer's event. Both loads are simulated, no
bank's; models are learned from the same population. `quiet` is the harder one for each event.

The load has events of known customers only, in the order they happened, nothing late, twice or broken: frameworks treat
anonymous visitors and disorder differently. `snapshots/event` depends on how many events a batch or a checkpoint
holds; the fewer, the cheaper.

needstream alone merges its inputs by event time, rings alarms of customers who do not come back, leaves out repeated
records after a crash, keeps dead letters, erases customers and measures itself. The others ring alarms when the
customer comes back, and those that merge do it by record timestamp, which is made for that here.

`limit` is needstream's partition in memory: decode, merge, step, states from and to bytes, outputs encoded, batches of
500 per partition; no broker, no framework. `aiokafka` and `confluent` are bare loops, at most 500 events of each
partition in a round, every round acknowledged and committed. `said` compares ids and contents of all outputs of the
first round with the job applied to one event after another.
"""


@dataclass(frozen=True, slots=True)
class Told:
    """Everything there is to tell of a run.

    ``load`` is the census of its events, ``cold`` names the models that were not warm, ``beside`` is the same
    contenders on another population.
    """

    plan: Plan
    jobs: dict[str, list[figures.Result]]
    machine: dict[str, Any]
    pinned: str
    core: dict[str, Any]
    load: dict[str, Any]
    cold: Sequence[str] = ()
    beside: "Told | None" = None


def write(told: Told, folder: Path) -> list[Path]:
    """Write the three files and return where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{NAME}.{ending}" for ending in ("md", "json", "svg")]
    paths[0].write_text(text(told), encoding="utf-8")
    paths[1].write_text(json.dumps(as_dict(told), indent=2) + "\n", encoding="utf-8")
    paths[2].write_text(chart.draw(told.jobs), encoding="utf-8")
    return paths


def as_dict(told: Told) -> dict[str, Any]:
    """The run for programs."""
    run = {
        "command": told.plan.command,
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": told.machine,
        "pinned": told.pinned,
        "seed": told.plan.seed,
        "broker": told.plan.broker,
        **_measured(told),
    }
    return run if told.beside is None else {**run, told.beside.plan.population.name: _measured(told.beside)}


def text(told: Told) -> str:
    """The run for people, in Markdown."""
    lines = ["# Throughput", "", f"`{told.plan.command}`", "", *_machine(told), ""]
    lines += [*HOW.splitlines()[1:], "", f"![events a second by job and contender]({NAME}.svg)", ""]
    populations = [told] if told.beside is None else [told, told.beside]
    for each in populations:
        for name, results in each.jobs.items():
            title = f"## {name}" if each is told else f"## {name}, {each.plan.population.name} population"
            work = f"{WORK[name]}; {each.plan.events[name]:,} events of {each.plan.customers} customers."
            lines += [title, "", work, "", *_table(results), ""]
    lines += [
        "## Ratios",
        "",
        "needstream's events a second over the contender's; CPU time per event the other way round.",
        "",
    ]
    lines += ["| population | job/contender | events a second | CPU per event |", "| --- | --- | ---: | ---: |"]
    for each in populations:
        by_cpu = figures.cpu_ratios(each.jobs)
        lines += [
            f"| {each.plan.population.name} | {name} | {ratio:.2f} | {by_cpu[name]:.2f} |"
            for name, ratio in figures.ratios(each.jobs).items()
        ]
    lines += ["", "## The core alone", "", "`needstream bench core`, CPU time, one process, no broker:", "", "```"]
    lines += [*"\n\n".join(core.text(each.core) for each in populations).splitlines(), "```", ""]
    return "\n".join(lines)


def _measured(told: Told) -> dict[str, Any]:
    """What belongs to one population."""
    return {
        "load": told.load,
        "cold_models": list(told.cold),
        "events": told.plan.events,
        "customers": told.plan.customers,
        "ratios": figures.ratios(told.jobs),
        "cpu_ratios": figures.cpu_ratios(told.jobs),
        "core": told.core,
        "jobs": {name: [_result(each) for each in results] for name, results in told.jobs.items()},
    }


def _machine(told: Told) -> list[str]:
    machine, plan = told.machine, told.plan
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items() if version != "none")
    return [
        f"- {machine['processor']}, {machine['cores']} cores, {machine['system']}, {machine['python']}",
        f"- {packages}",
        f"- broker `{plan.broker}`, {PARTITIONS} partitions, seed {plan.seed}, {plan.rounds} rounds; {told.pinned}",
        *[f"- {census.sentence(each.load)}" for each in (told, told.beside) if each],
        *[
            f"- not warm: {', '.join(each.cold)}, population {each.load['population']}"
            for each in (told, told.beside)
            if each and each.cold
        ],
        *([EMBEDDED] if plan.broker == "embedded" else []),
    ]


def _table(results: Sequence[figures.Result]) -> list[str]:
    ours = next((each for each in results if each.contender == figures.OURS and each.rounds), None)
    lines = [
        "| contender | events/s | (least - most) | needstream is | CPU us/event | (least - most) | core in use "
        "| snapshots/event | events | said |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    notes = []
    for each in sorted(results, key=lambda result: -result.per_s.median if result.rounds else 0.0):
        if not each.rounds:
            lines.append(f"| {each.contender} | not run: {each.skipped} |" + " |" * 8)
            continue
        rate, cpu = each.per_s, each.cpu_us
        ratio = f"{ours.per_s.median / rate.median:.2f} x" if ours else ""
        snapshots = each.rounds[0].snapshots / each.events
        lines.append(
            f"| {each.contender} | {rate.median:,.0f} | {rate.least:,.0f} - {rate.most:,.0f} | {ratio} "
            f"| {cpu.median:.1f} | {cpu.least:.1f} - {cpu.most:.1f} | {each.busy:.0%} "
            f"| {f'{snapshots:.2f}' if snapshots else '?'} | {each.events:,} | {each.agreement} |"
        )
        notes += [f"- {each.contender}: {note.rstrip('.')}." for note in each.notes]
    return [*lines, "", *notes] if notes else lines


def _result(result: figures.Result) -> dict[str, Any]:
    told: dict[str, Any] = {
        "contender": result.contender,
        "events": result.events,
        "skipped": result.skipped,
        "said": result.agreement,
        "notes": result.notes,
        "rounds": [
            {**msgspec.structs.asdict(each), "per_s": round(each.per_s, 1), "cpu_us": round(each.cpu_us, 2)}
            for each in result.rounds
        ],
    }
    if result.rounds:
        told["per_s"] = _rounded(result.per_s)
        told["cpu_us"] = _rounded(result.cpu_us)
        told["busy"] = round(result.busy, 3)
    return told


def _rounded(spread: figures.Spread) -> dict[str, float]:
    return {name: round(value, 2) for name, value in msgspec.structs.asdict(spread).items()}
