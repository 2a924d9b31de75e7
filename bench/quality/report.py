"""The report of the quality benchmark: tables for the terminal, the same as JSON and Markdown.

In goes what was measured, out come texts without dates, so that two reports differ only in what changed.
"""

from collections.abc import Mapping, Sequence
from math import isinf
from pathlib import Path
from typing import Any

import msgspec
from bench.quality import goals
from bench.quality.differences import Differences
from bench.quality.drift import Recovery
from bench.quality.figures import Figures
from bench.quality.goals import Verdict
from msgspec import Struct
from rich.console import Console
from rich.table import Table

_COLUMNS = ("AUC", "AUC win", "PR-AUC", "log loss", "ll win", "Brier", "ECE", "said/came")
_READINGS: tuple[goals.Reading, ...] = (
    lambda each: each.auc,
    lambda each: each.auc_windows,
    lambda each: each.pr_auc,
    lambda each: each.log_loss,
    lambda each: each.log_loss_windows,
    lambda each: each.brier,
    lambda each: each.ece,
    lambda each: each.said_to_came,
)


_GOALS_NOTE = (
    "Met or missed is by the plain number. Behind it stands the difference to the rival (where there are several, the",
    "best one) ± its standard error; up to two of them it is no clear difference. A line whose log loss is not below",
    "that of the base rate has learned nothing, whatever its other verdicts say.",
)


class Measured(Struct, frozen=True, kw_only=True):
    """One task of one seed, judged."""

    task: str
    group: str
    source: str
    licence: str
    delay: str
    note: str
    features: int
    examples: int
    positives: int
    matured: int
    champion: str
    champion_as_shipped: str = ""
    lines: dict[str, Figures]
    differences: dict[str, dict[str, Differences]] = {}


class Report(Struct, frozen=True, kw_only=True):
    """Everything that was measured; ``skipped`` says what was not, and why, ``lines`` who a judged line is."""

    command: str
    lines: dict[str, str]
    versions: dict[str, str]
    tasks: list[Measured]
    drift: dict[str, list[Recovery]]
    timing: dict[str, float]
    skipped: dict[str, str]
    verdicts: list[Verdict]


def grouped(tasks: Sequence[Measured]) -> dict[str, list[Measured]]:
    """The tasks by group, in order of their first appearance."""
    groups: dict[str, list[Measured]] = {}
    for task in tasks:
        groups.setdefault(task.group, []).append(task)
    return groups


def summary(measured: Measured) -> str:
    """One line that says how the served score stands."""
    told = [
        f"{line} AUC {figures.auc if figures.auc is None else format(figures.auc, '.4f')}, "
        f"log loss {figures.log_loss:.4f}, ECE {figures.ece:.4f}"
        for line in (goals.SERVED, goals.AS_SHIPPED, goals.BATCH)
        if (figures := measured.lines.get(line)) is not None
    ]
    return f"{measured.task}: {'; '.join(told)}"


def show(report: Report, console: Console) -> None:
    """Print who is judged, and the tables."""
    for line, told in report.lines.items():
        console.print(f"{line}: {told}", highlight=False)
    for group, tasks in grouped(report.tasks).items():
        table = Table(*("", *_COLUMNS), title=_title(group, tasks), title_justify="left")
        for line, cells in _lines(tasks):
            table.add_row(line, *cells, style="bold" if line in report.lines else None)
        console.print(table)
    for text in _after(report):
        console.print(text, highlight=False)


def write(report: Report, folder: Path) -> None:
    """Write ``quality.json`` and ``quality.md`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    rounded = _rounded(msgspec.to_builtins(report))
    (folder / "quality.json").write_bytes(msgspec.json.format(msgspec.json.encode(rounded), indent=1) + b"\n")
    (folder / "quality.md").write_text("\n".join(markdown(report)) + "\n", encoding="utf-8")


def markdown(report: Report) -> list[str]:
    """The report as lines of Markdown."""
    text = ["# Quality", "", f"`{report.command}`", ""]
    text.append(", ".join(f"{name} {version}" for name, version in report.versions.items()))
    text.append("")
    text.append("Figures are of the second half of each stream, asked at question time, learned when due.")
    text.append("Windows are ten runs of equal length. Several seeds: mean ± standard deviation.")
    text.append("said/came is the mean score over the share of positives.")
    text += ["", *(f"- {line}: {told}" for line, told in report.lines.items())]
    for group, tasks in grouped(report.tasks).items():
        text += ["", f"## {group}", "", f"{_title(group, tasks)}. {tasks[0].source}; {tasks[0].licence}.", ""]
        if tasks[0].note:
            text += [f"Note: {tasks[0].note}.", ""]
        text += ["| | " + " | ".join(_COLUMNS) + " |", "| --- |" + " ---: |" * len(_COLUMNS)]
        text += [f"| {line} | " + " | ".join(cells) + " |" for line, cells in _lines(tasks)]
    text += ["", "## Goals", "", *_GOALS_NOTE, "", *_goals_table(report)]
    text += ["", "## Drift, cost, and what was left out", ""]
    return text + [f"- {line}" for line in _after(report, goals_too=False)]


def _title(group: str, tasks: Sequence[Measured]) -> str:
    examples = sum(task.examples for task in tasks)
    positives = sum(task.positives for task in tasks)
    seeds = f", {len(tasks)} seeds" if len(tasks) > 1 else ""
    champions = ", ".join(dict.fromkeys(task.champion for task in tasks if task.champion))
    served = f", served by {champions}" if champions else ""
    shipped = ", ".join(dict.fromkeys(task.champion_as_shipped for task in tasks if task.champion_as_shipped))
    served += f" (as shipped: {shipped})" if shipped else ""
    return (
        f"{group}: {examples:,} examples, {positives:,} positive, {tasks[0].features} features, "
        f"label delay {tasks[0].delay}{seeds}{served}"
    )


def _lines(tasks: Sequence[Measured]) -> list[tuple[str, list[str]]]:
    names = dict.fromkeys(name for task in tasks for name in task.lines)
    return [(name, [_cell(tasks, name, reading=reading) for reading in _READINGS]) for name in names]


def _cell(tasks: Sequence[Measured], line: str, *, reading: goals.Reading) -> str:
    found = goals.spread([task.lines for task in tasks], line, reading=reading)
    if found is None:
        return "-"
    return f"{found[0]:.4f}" if len(tasks) == 1 else f"{found[0]:.3f} ± {found[1]:.3f}"


def _after(report: Report, *, goals_too: bool = True) -> list[str]:
    text = []
    for line, recoveries in report.drift.items():
        needed = ", ".join("never" if each.examples is None else f"{each.examples:,}" for each in recoveries)
        text.append(f"drift, {line}: back after {needed} examples (one number per seed)")
    text += [f"{name}: {number:.2f} µs" for name, number in report.timing.items()]
    text += [f"left out: {name}: {reason}" for name, reason in report.skipped.items()]
    if goals_too:
        for line in report.lines:
            text += _missed(line, [each for each in report.verdicts if each.line == line and each.met is not None])
    return text


def _missed(line: str, judged: Sequence[Verdict]) -> list[str]:
    missed = [each for each in judged if not each.met]
    unclear = sum(_is_clear(each) is False for each in missed)
    text = [
        f"{line}: {len(judged) - len(missed)} of {len(judged)} goals met, {len(missed)} missed, {unclear} unclearly"
    ]
    text += [
        f"  {each.task}: {each.goal}: {_number(each.number)}, limit {_number(each.limit)}: {_met(each)}"
        for each in missed
    ]
    return text


def _goals_table(report: Report) -> list[str]:
    """One row per goal, two columns per judged line."""
    rows: dict[tuple[str, str], dict[str, Verdict]] = {}
    for each in report.verdicts:
        rows.setdefault((each.task, each.goal), {})[each.line] = each
    text = ["| task | goal | limit | " + " ".join(f"{line} | |" for line in report.lines)]
    text.append("| --- | --- | ---: |" + " ---: | --- |" * len(report.lines))
    for (task, goal), by_line in rows.items():
        limit = next(_number(each.limit) for each in by_line.values())
        cells = [
            f"{_number(by_line[line].number)} | {_met(by_line[line])}" if line in by_line else " | "
            for line in report.lines
        ]
        text.append(f"| {task} | {goal} | {limit} | " + " | ".join(cells) + " |")
    return text


def _is_clear(verdict: Verdict) -> bool | None:
    return None if verdict.difference is None else verdict.difference.is_clear()


def _met(verdict: Verdict) -> str:
    """The verdict, and beside it the difference, whether it is a clear one, and whether anything was learned."""
    told = ["cannot be compared" if verdict.met is None else "met" if verdict.met else "**missed**"]
    if verdict.difference is not None:
        error = "?" if verdict.difference.error is None else f"{verdict.difference.error:.4f}"
        told.append(f"{verdict.difference.by:+.4f} ± {error}")
    if _is_clear(verdict) is False:
        told.append("no clear difference")
    if verdict.said_to_came is not None:
        told.append(f"said/came {verdict.said_to_came:.2f}")
    if not verdict.learned:
        told.append("learned nothing")
    return ", ".join(told)


def _number(number: float | None) -> str:
    if number is None:
        return "-"
    if isinf(number):
        return "never"
    return f"{number:,.0f}" if number >= 10 else f"{number:.4f}"  # noqa: PLR2004 - counts, and shares


def _rounded(told: Any) -> Any:
    """The same with numbers to six decimals."""
    if isinstance(told, float):
        return None if isinf(told) else round(told, 6)
    if isinstance(told, Mapping):
        return {name: _rounded(each) for name, each in told.items()}
    return [_rounded(each) for each in told] if isinstance(told, list) else told
