"""What a latency run came to, for people (Markdown and a chart) and for programs (JSON).

In comes a run, out come files. The invariant it protects: no percentile without the rate it was measured at, the
command that made it and the signals that were missing.
"""

import json
from html import escape
from math import log10
from pathlib import Path
from typing import Any

from needstream.bench import census, histogram, live_load, stages

NAME = "latency"
GOALS = {"p50_ms": 50.0, "p99_ms": 250.0}
GOAL_LEVEL = 50
GUARANTEE = (
    "What batching adds at low load, by its settings: the embedded broker is asked again 12 ms after an empty answer "
    "(Apache "
    "Kafka answers as soon as there is something), the ordering wait, and the pacemaker's pause of as much again "
    "before "
    "somebody looks. Measured it is everything from handing over the event to the beginning of its round:"
)
HOW = (
    "A producer process sends events that happen now, at a constant rate and every 4 ms, to a population whose "
    "states were "
    "written first; every {every}th is a view of one page, at which one scenario beside the bank pack's fires. All "
    "work of "
    "the bank pack is done for every event: counts, sessions, habits, all models' scores, scenarios, arbitration, "
    "labels, "
    "states to the changelog. The latency is from handing the triggering event to the producer's client to the "
    "moment the "
    "consumer's client hands the signal over, both in microseconds of the same clock; the first tenth is left out. "
    "Producer, "
    "consumer and broker share a core, the worker has the other. The highest rate is that of draining a backlog."
)
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 760, 420, 70, 50, 60
INK = "#222222"
COLOURS = ("#7d93b2", "#1f6f54", "#b0563b", "#8a6fb0")


def write(told: dict[str, Any], folder: Path) -> list[Path]:
    """Write the three files and return where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{NAME}.{ending}" for ending in ("md", "json", "svg")]
    paths[0].write_text(text(told), encoding="utf-8")
    paths[1].write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    paths[2].write_text(draw(told), encoding="utf-8")
    return paths


def verdict(told: dict[str, Any]) -> str:
    """Whether the goals at half load are met, in one line."""
    for level in told["levels"]:
        if level["share"] == GOAL_LEVEL and level["latency"]["count"]:
            words = []
            for name, goal in GOALS.items():
                found = level["latency"][name]
                share = name.removesuffix("_ms")
                words.append(f"{share} {found:.1f} ms, goal < {goal:g} ms: {'met' if found < goal else 'MISSED'}")
            return f"At {GOAL_LEVEL} % of the highest rate: {'; '.join(words)}."
    return f"Not measured at {GOAL_LEVEL} %."


def text(told: dict[str, Any]) -> str:
    """The run for people, in Markdown."""
    plan, facts = told["plan"], told["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items() if version != "none")
    lines = [
        "# Latency from event to signal",
        "",
        f"`{told['command']}`",
        "",
        f"- {facts['processor']}, {facts['cores']} cores, {facts['system']}, {facts['python']}",
        f"- {packages}",
        f"- broker `{plan['broker']}`, {plan['partitions']} partitions, {plan['customers']:,} customers in "
        f"`{plan['store']}`, ordering wait {plan['ordering_wait']}, seed {plan['seed']}",
        *([f"- the bank whose customers are copied: {census.sentence(told['load'])}"] if "load" in told else []),
        "",
        HOW.format(every=live_load.TRIGGER_EVERY),
        "",
        f"Highest rate: {told['highest_per_s']:,.0f} events a second ({plan['backlog']:,} events drained). "
        f"{verdict(told)}",
        "",
        f"![latency by share of the signals]({NAME}.svg)",
        "",
        "| load | events/s | signals | p50 ms | p90 ms | p99 ms | max ms | stopped by a gate | missing | worker's "
        "core | broker's core | all cores |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [_row(level) for level in told["levels"]]
    lines += ["", "## Where the time goes", ""]
    lines += ["The same levels again with a worker that notes its stages.", ""]
    for level in told["traced"]:
        lines += _stages(level)
    lines += ["## Histograms", ""]
    for level in told["levels"]:
        lines += [f"{level['share']} %, {level['sent_per_s']:,.0f} events/s; buckets begin at:", "", "```"]
        lines += [*histogram.text(level["latency"]), "```", ""]
    return "\n".join(lines)


def _row(level: dict[str, Any]) -> str:
    told = level["latency"]
    if not told["count"]:
        return (
            f"| {level['share']} % | {level['sent_per_s']:,.0f} | 0 |"
            + " |" * 4
            + (f" {level['stopped']:,} | {level['missing']:,} |" + " |" * 3)
        )
    return (
        f"| {level['share']} % | {level['sent_per_s']:,.0f} | {told['count']:,} | {told['p50_ms']:.1f} "
        f"| {told['p90_ms']:.1f} | {told['p99_ms']:.1f} | {told['max_ms']:.1f} | {level['stopped']:,} | "
        f"{level['missing']:,} "
        f"| {level['worker_core']:.0%} | {level['broker_core']:.0%} | {level['machine_cores']:.2f} |"
    )


def _stages(level: dict[str, Any]) -> list[str]:
    lines = [f"{level['share']} %, {level['sent_per_s']:,.0f} events/s:", ""]
    lines += ["| stage | mean ms | p50 ms | p99 ms | max ms |", "| --- | ---: | ---: | ---: | ---: |"]
    rows = [(name, level["stages"][name]) for name in stages.NAMES]
    for name, found in [*rows, ("all", level["latency"])]:
        if found["count"]:
            lines.append(
                f"| {name} | {found['mean_ms']:.1f} | {found['p50_ms']:.1f} | {found['p99_ms']:.1f} "
                f"| {found['max_ms']:.1f} |"
            )
    rounds, producer, bound = level["rounds"], level["producer"], level["bound"]
    lines += [
        "",
        f"A round takes {rounds['apply_ms']:.1f} ms to apply, {rounds['outputs_acknowledged_ms']:.1f} ms until its "
        "outputs and "
        f"{rounds['snapshots_stored_ms']:.1f} ms more until its snapshots are acknowledged and stored; the producer's "
        "own "
        f"acknowledgements took {producer['acknowledged_p50_ms']:.1f} ms (p50), "
        f"{producer['acknowledged_p99_ms']:.1f} ms (p99), "
        f"and it was {producer['behind_p99_ms']:.1f} ms behind its schedule (p99).",
        "",
    ]
    if bound["count"]:
        lines += [
            GUARANTEE,
            f"p50 {bound['p50_ms']:.1f} ms, p99 {bound['p99_ms']:.1f} ms, max {bound['max_ms']:.1f} ms.",
            "",
        ]
    return lines


def draw(run: dict[str, Any]) -> str:
    """The chart: latency against the share of signals that were quicker, to the rarest."""
    levels = [level for level in run["levels"] if level["latency"]["count"]]
    most = max((level["latency"]["max_ms"] for level in levels), default=1.0)
    highest = 10 ** (int(log10(most)) + 1) if most >= 1 else 1.0
    rarest = max((log10(level["latency"]["count"]) for level in levels), default=3.0)
    parts = [_words((20, 24), "From event to signal, by share of the signals", size=15)]
    for share in (0.5, 0.9, 0.99, 0.999, 0.9999):
        if -log10(1 - share) <= rarest:
            x = _x(share, rarest)
            parts.append(_line((x, TOP), (x, HEIGHT - BOTTOM)))
            parts.append(_words((x, HEIGHT - BOTTOM + 18), f"{share * 100:g} %", anchor="middle"))
    tick = 1.0
    while tick <= highest:
        y = _y(tick, highest)
        parts += [_line((LEFT, y), (WIDTH - 20, y)), _words((LEFT - 8, y + 4), f"{tick:g} ms", anchor="end")]
        tick *= 10
    for place, level in enumerate(levels):
        colour = COLOURS[place % len(COLOURS)]
        told = level["latency"]
        points = [(0.0, told["min_ms"]), *histogram.curve(told)]
        places = " ".join(f"{_x(share, rarest):.1f},{_y(at_ms, highest):.1f}" for share, at_ms in points)
        parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>')
        rate = f"{level['share']} % ({level['sent_per_s']:,.0f}/s)"
        label = f"{rate}: p50 {told['p50_ms']:.0f} ms, p99 {told['p99_ms']:.0f} ms"
        parts.append(_words((LEFT + 10, TOP + 16 + 18 * place), label, colour=colour))
    style = "font-family: system-ui, sans-serif; font-size: 12px"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-label="Latency from event to signal by share of the signals" style="{style}">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _x(share: float, rarest: float) -> float:
    spread = min(rarest, -log10(max(1e-9, 1 - share)))
    return LEFT + (WIDTH - 20 - LEFT) * spread / rarest


def _y(at_ms: float, highest: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * log10(max(1.0, at_ms)) / log10(highest)


def _line(begin: tuple[float, float], end: tuple[float, float]) -> str:
    (x, y), (to_x, to_y) = begin, end
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="#dddddd"/>'


def _words(place: tuple[float, float], words: str, *, size: int = 12, anchor: str = "start", colour: str = INK) -> str:
    x, y = place
    looks = f'font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {looks}>{escape(words)}</text>'
