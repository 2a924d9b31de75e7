"""The capacity page's tables, computed from the newest results so that page and results cannot disagree.

In come the page and the results of the scaling, latency and throughput runs; out comes the page with what stands
between its marks written anew. The invariant it protects: no figure between the marks that is not in a result or
computed from one by the arithmetic the page spells out.
"""

import json
import math
from pathlib import Path
from typing import Any

import msgspec

from needstream.bench import scale_report

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
HEADROOM = 0.6
"""The share of a core's time that is planned with: the rest is for catching up after a restart, and for peaks."""

EXAMPLES = ((1, 500), (1, 5_000), (10, 10_000), (50, 50_000))
"""Millions of customers and events a second at the busiest time."""

QUIET_EVENTS_PER_CUSTOMER_AND_DAY = 1.2
"""Of results that do not say of which population they are."""

PEAK = 5
"""The busiest time beside the average."""

WORKER_GB = 8
RESTART_S = 300
"""How long a worker may take to come back with nothing on its disk."""

PARTITIONS_PER_WORKER = 4
COPIES = 3
NOT_MEASURED = "not measured yet"


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What the arithmetic starts from, of one machine's results.

    Attributes:
        cpu_us: a worker's processor time per event with the most customers that were measured.
        broker_us: the broker's processor time per event in the same run.
        mb_per_million: a worker's memory per million customers with states on disk.
        base_mb: a worker's memory with the fewest customers.
        state_bytes: of a customer.
        open_s_per_million: how long a worker takes to restore and open a million customers.
        customers: how many customers there were.
        per_customer_and_day: how many events each of them has.
    """

    cpu_us: float
    broker_us: float
    mb_per_million: float
    base_mb: float
    state_bytes: float
    open_s_per_million: float
    customers: int
    per_customer_and_day: float = QUIET_EVENTS_PER_CUSTOMER_AND_DAY


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What a load needs."""

    worker_cores: int
    partitions: int
    memory_gb: float
    disk_gb: float
    changelog_gb: float
    broker_cores: float


def basis(scale: dict[str, Any]) -> Basis | None:
    """The figures of the customers part with states on disk; None where it was not measured."""
    cases = [case for case in scale.get("customers", {}).get("cases", ()) if case["store"] == "rocksdict://"]
    if not cases:
        return None
    most = max(cases, key=lambda case: int(case["customers"]))
    fewest = min(cases, key=lambda case: int(case["customers"]))
    per_million = scale["customers"]["mb_per_million"].get("rocksdict://", 0.0)
    more_s = most["open_after_s"] - fewest["open_after_s"]
    more = max(1, most["customers"] - fewest["customers"])
    return Basis(
        cpu_us=most["cpu_us"],
        broker_us=most["broker_cores"] * 1e6 / most["per_s"],
        mb_per_million=max(0.0, per_million),
        base_mb=fewest["rss_mb"],
        state_bytes=most["state_mean_bytes"],
        open_s_per_million=max(0.0, more_s * 1e6 / more),
        customers=most["customers"],
        per_customer_and_day=scale["customers"]
        .get("load", {})
        .get("events_per_customer_and_day", QUIET_EVENTS_PER_CUSTOMER_AND_DAY),
    )


def need(found: Basis, *, millions: float, per_s: float) -> Need:
    """The arithmetic of the page."""
    workers = max(1, math.ceil(per_s * found.cpu_us / 1e6 / HEADROOM))
    state_gb = millions * found.state_bytes / 1e3
    return Need(
        worker_cores=workers,
        partitions=max(4, workers * PARTITIONS_PER_WORKER),
        memory_gb=round((workers * found.base_mb + millions * found.mb_per_million) / 1e3, 1),
        disk_gb=round(state_gb, 1),
        changelog_gb=round(state_gb * COPIES * 2, 1),
        broker_cores=round(per_s * found.broker_us / 1e6, 1),
    )


def limits(found: Basis, learning: dict[str, Any] | None) -> list[tuple[str, float]]:
    """How many million customers each resource allows, the scarcest first: of one worker, of the learner for all."""
    per_core = HEADROOM * 1e6 / found.cpu_us
    told = [
        (
            f"processor time: one core at {HEADROOM:.0%}, {found.per_customer_and_day:g} events a customer and day, "
            f"{PEAK} times that at the peak",
            per_core * 86_400 / (found.per_customer_and_day * PEAK) / 1e6,
        )
    ]
    if found.open_s_per_million:
        told.append(
            (f"coming back: one worker within {RESTART_S} s from the changelog", RESTART_S / found.open_s_per_million)
        )
    if found.mb_per_million:
        told.append(
            (f"memory: one worker with {WORKER_GB} GB", (WORKER_GB * 1e3 - found.base_mb) / found.mb_per_million)
        )
    if learning:
        told.append(
            ("learning: one core for the examples of all models, all workers together", learner_millions(learning))
        )
    return sorted(told, key=lambda entry: entry[1])


def learner_millions(learning: dict[str, Any]) -> float:
    """How many million customers' examples one core learns, with the headroom."""
    spent_us = learning["examples_per_customer_day"] * learning["per_example_us"]
    return float(HEADROOM * 86_400 / spent_us)


def filled(page: str, results: Path) -> str:
    """The page with its figures written anew.

    Raises:
        ValueError: the page lacks the marks.
    """
    before, mark, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        msg = f"the page lacks the marks {BEGIN} and {END}"
        raise ValueError(msg)
    lines = figures(_read(results / "scale.json"), _read(results / "latency.json"))
    return "\n".join([before + BEGIN, "", *lines, "", END]) + after


def figures(scale: dict[str, Any], latency: dict[str, Any]) -> list[str]:
    """What stands between the marks."""
    found = basis(scale)
    return [*_measured(scale, latency), "", *_examples(found), "", *_limits(found, scale.get("learning"))]


def _measured(scale: dict[str, Any], latency: dict[str, Any]) -> list[str]:
    found = basis(scale)
    workers, growth, skew = scale.get("workers"), scale.get("growth"), scale.get("skew")
    rows: list[tuple[str, str, str]] = []
    if found is None:
        rows.append(("`C` processor time of a worker per event", NOT_MEASURED, "scale, customers"))
    else:
        cpu = scale["customers"]["cpu_ratio"].get("rocksdict://")
        rows += [
            (
                f"`C` processor time of a worker per event, {found.customers:,} customers",
                f"{found.cpu_us:.0f} us",
                "customers",
            ),
            ("the same over that with the fewest customers", f"{cpu:.2f} x", "customers"),
            ("`K` processor time of the broker per event", f"{found.broker_us:.0f} us", "customers"),
            ("`B` memory of a worker with few customers", f"{found.base_mb:,.0f} MB", "customers"),
            ("`M1` more memory per million customers", f"{found.mb_per_million:,.0f} MB", "customers"),
            ("`S` stored bytes of a customer", f"{found.state_bytes:,.0f}", "customers"),
            ("`R` restoring a million customers", f"{found.open_s_per_million:,.0f} s", "customers"),
        ]
        memory = scale["customers"]["mb_per_million"].get("memory://")
        if memory is not None:
            rows.append(("`M1` with `memory://`", f"{memory:,.0f} MB", "customers"))
    rows.append(
        (
            "two workers over what the cores left by the broker allow",
            _plausible(workers) if workers else NOT_MEASURED,
            "workers",
        )
    )
    rows.append(
        (
            "processor time per event, one customer with 1 %",
            f"{skew['cpu_ratio']:.2f} x" if skew else NOT_MEASURED,
            "skew",
        )
    )
    learning = scale.get("learning")
    rows.append(
        (
            "`L` processor time to learn an example",
            f"{learning['per_example_us']:,.0f} us" if learning else NOT_MEASURED,
            "learning",
        )
    )
    if learning:
        rows.append(
            (
                "`X` examples of all models a customer and day",
                f"{learning['examples_per_customer_day']:.2f}",
                "learning",
            )
        )
        rows.append(
            (
                "customers one learner keeps up with, all models in it",
                f"{learner_millions(learning):,.0f} million",
                "learning",
            )
        )
    growing = NOT_MEASURED
    if growth:
        rss = f"{growth['rss_ratio']:.2f} x" if "rss_ratio" in growth else "not comparable"
        growing = f"{rss} memory, {growth['stored_ratio']:.2f} x states"
    rows.append(("growth, ten times the events of the same customers", growing, "growth"))
    told = next((each for each in latency.get("levels", ()) if each["share"] == 50), None)  # noqa: PLR2004 - half load
    said = NOT_MEASURED
    if told and told["latency"]["count"]:
        said = f"p50 {told['latency']['p50_ms']:.0f} ms, p99 {told['latency']['p99_ms']:.0f} ms"
    rows.append(("event to signal at half of the highest rate", said, "latency"))
    lines = ["| figure | value | from |", "| --- | ---: | --- |"]
    return lines + [f"| {name} | {value} | {origin} |" for name, value, origin in rows]


def _plausible(workers: dict[str, Any]) -> str:
    share = workers["of_allowed"]
    return f"{share:.0%}" if share <= scale_report.PLAUSIBLE else f"{share:.0%}, not plausible: measure again"


def _examples(found: Basis | None) -> list[str]:
    lines = [
        "| customers | events/s at the peak | worker cores | partitions | memory GB | state on disk GB | changelog GB "
        "| broker cores |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    if found is None:
        return [*lines, f"| {NOT_MEASURED} | | | | | | | |"]
    for millions, per_s in EXAMPLES:
        each = need(found, millions=millions, per_s=per_s)
        lines.append(
            f"| {millions} million | {per_s:,} | {each.worker_cores} | {each.partitions} | {each.memory_gb:,.1f} "
            f"| {each.disk_gb:,.1f} | {each.changelog_gb:,.1f} | {each.broker_cores:.1f} |"
        )
    return lines


def _limits(found: Basis | None, learning: dict[str, Any] | None) -> list[str]:
    lines = ["| what is reached first | at so many million customers |", "| --- | ---: |"]
    if found is None:
        return [*lines, f"| {NOT_MEASURED} | |"]
    return lines + [f"| {name} | {millions:,.1f} |" for name, millions in limits(found, learning)]


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
