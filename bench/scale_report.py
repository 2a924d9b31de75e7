"""What the scaling runs came to, for people and for programs, part by part.

In come parts that were measured, out come files; a part that was not run now stays as it was. The invariant it
protects: no figure without the command and the machine it was made with.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from needstream.bench import census

NAME = "scale"
PLAUSIBLE = 1.05
"""Beyond this share of what the cores allow, something else was measured."""

GOALS = {"cpu_ratio": 1.3, "growth": 1.1}


def merged(folder: Path, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Write parts beside those that the file has, and return them all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}.json"
    told: dict[str, Any] = read(folder)
    told |= parts
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return told


def read(folder: Path) -> dict[str, Any]:
    """The parts that were measured so far."""
    path = folder / f"{NAME}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def write(parts: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the report for people; return both files."""
    path = folder / f"{NAME}.md"
    path.write_text(text(parts), encoding="utf-8")
    return [path, folder / f"{NAME}.json"]


def text(parts: Mapping[str, Any]) -> str:
    """The parts in Markdown."""
    lines = ["# Scaling", ""]
    for part, write_part in _PARTS.items():
        if part in parts:
            told = parts[part]
            facts = told["machine"]
            lines += [f"## {part.capitalize()}", "", f"`{told['command']}`", ""]
            lines += [
                f"{facts['processor']}, {facts['cores']} cores, {facts['python']}, needstream "
                f"{facts['packages']['needstream']}, broker `{told['broker']}`, seed {told['seed']}, {told['made']}, "
                f"{told['took_s']} s.",
                "",
                *(
                    [f"The bank whose customers are copied: {census.sentence(told['load'])}.", ""]
                    if "load" in told
                    else []
                ),
                *write_part(told),
                "",
            ]
    return "\n".join(lines)


def _workers(told: dict[str, Any]) -> list[str]:
    one, two = told["cases"]
    return [
        f"{one['customers']:,} customers, {one['partitions']} partitions, {one['events']:,} events drained; workers "
        "and broker "
        f"share {told['cores']} cores, nobody is pinned.",
        "",
        *_table(told["cases"], lead=("workers", lambda case: str(case["workers"]))),
        "",
        f"With two workers the broker takes {two['broker_cores']:.2f} cores and others {two['others_cores']:.2f}: "
        f"{told['cores_left']:.2f} cores are left. At one worker's {one['cpu_us']:.1f} us per event they allow "
        f"{told['allowed_per_s']:,.0f} events a second; two workers did {two['per_s']:,.0f}, "
        f"{told['of_allowed']:.0%} of that and "
        f"{told['of_one']:.2f} times one worker.",
        "",
        *_doubts(told),
    ]


def _doubts(told: dict[str, Any]) -> list[str]:
    """What keeps the ratio from being believed, if anything does."""
    doubts = []
    if told["of_allowed"] > PLAUSIBLE:
        doubts.append("- More than the cores allow: the two runs are not comparable, measure again on a quiet machine.")
    repeated = sum(case.get("repeated", 0) for case in told["cases"])
    if repeated:
        doubts.append(
            f"- {repeated:,} records were read by one worker and again by another while they joined; each counts as an "
            "event where it fell into the measured span."
        )
    return doubts


def _customers(told: dict[str, Any]) -> list[str]:
    lines = [
        "States of simulated customers under new ids, written to the changelog first; the events go on where the "
        "states end, "
        "at the same number a day and customer whatever the size, so that alarms, samples and labels come at the "
        "same number an "
        "event. The worker has a core of its own.",
        "",
        *_table(told["cases"], lead=("customers", lambda case: f"{case['customers']:,}")),
        "",
    ]
    for store, ratio in told["cpu_ratio"].items():
        words = "met" if ratio <= GOALS["cpu_ratio"] else "MISSED"
        lines.append(
            f"- `{store}`: {told['most']:,} customers cost {ratio:.2f} x the processor time per event of "
            f"{told['fewest']:,} "
            f"(goal <= {GOALS['cpu_ratio']}: {words})"
            + (f"; {told['mb_per_million'][store]:,.0f} MB per million" if store in told["mb_per_million"] else "")
        )
    return lines


def _skew(told: dict[str, Any]) -> list[str]:
    return [
        "The same number of events, once spread evenly and once with one customer's share; that customer counts as a "
        "bot.",
        "",
        *_table(told["cases"], lead=("one customer's share", lambda case: f"{case['hot_share']:.1%}")),
        "",
        f"Processor time per event {told['cpu_ratio']:.2f} x, rate {told['rate_ratio']:.2f} x.",
    ]


def _learning(told: dict[str, Any]) -> list[str]:
    return [
        f"{told['events']:,} events of {told['customers']:,} customers over {told['days']:.0f} days, replayed twice "
        "in one process, "
        "without and with learning.",
        "",
        f"{told['examples']:,} labelled examples of {told['models']} models: {told['examples_per_customer_day']:.2f} "
        "a customer and "
        f"day, {told['per_example_us']:,.0f} us of processor time to learn each. A model's examples stand in one "
        "partition and "
        "have one learner.",
    ]


def _growth(told: dict[str, Any]) -> list[str]:
    course = told["course"]
    lines = [
        f"{course['customers']:,} customers, the same all the time; looked at whenever everything sent was applied.",
        "",
        "| events | RSS MB | anonymous MB | bytes a customer | states MB | on disk MB |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {point['events']:,} | {point['rss_mb']:,.0f} | {point['anonymous_mb']:,.0f} "
        f"| {point['stored_bytes'] / max(1, point['customers']):,.0f} | {point['stored_bytes'] / 1e6:,.1f} | "
        f"{point['disk_mb']:,.1f} |"
        for point in told["points"]
    ]
    lines.append("")
    for name, words in (("rss_ratio", "RSS"), ("stored_ratio", "bytes of all states"), ("disk_ratio", "store on disk")):
        ratio = told.get(name)
        if ratio is None:
            lines.append(f"- {words}: not comparable, the worker was started again in between")
            continue
        goal = (
            ""
            if name == "disk_ratio"
            else f" (goal <= {GOALS['growth']}: {'met' if ratio <= GOALS['growth'] else 'MISSED'})"
        )
        lines.append(
            f"- {words}: after {told['to_events']:,} events {ratio:.2f} x that after {told['from_events']:,}{goal}"
        )
    return lines


def _table(cases: list[dict[str, Any]], *, lead: tuple[str, Any]) -> list[str]:
    name, value = lead
    lines = [
        f"| {name} | store | events/s | CPU us/event | workers' cores | broker's | others' | RSS MB | anonymous MB | "
        "opened after s "
        "| state bytes |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    return lines + [
        f"| {value(case)} | `{case['store']}` | {case['per_s']:,.0f} | {case['cpu_us']:.1f} | "
        f"{case['worker_cores']:.2f} "
        f"| {case['broker_cores']:.2f} | {case['others_cores']:.2f} | {case['rss_mb']:,.0f} | "
        f"{case['anonymous_mb']:,.0f} "
        f"| {case['open_after_s']:.1f} | {case['state_mean_bytes']:,} |"
        for case in cases
    ]


_PARTS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "workers": _workers,
    "customers": _customers,
    "skew": _skew,
    "learning": _learning,
    "growth": _growth,
}
