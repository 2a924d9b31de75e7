"""Outcomes as tables for a terminal."""

import rich.box
import rich.console
import rich.markup
import rich.table

from needstream.simulation.chaos.comparison import Comparison
from needstream.simulation.chaos.outcomes import Outcome

MOST_FINDINGS = 12


def render(outcome: Outcome) -> rich.console.Group:
    """Return one drill's tables: what was done, what was sent, and what is wrong."""
    verdict = "[bold green]passed[/]" if outcome.passed else "[bold red]FAILED[/]"
    head = (
        f"[bold]{outcome.drill}[/], models {outcome.models}: {verdict}  "
        f"{outcome.events:,} events, {len(outcome.hits)} hits, {outcome.starts} worker starts, {outcome.seconds:.0f} s"
    )
    parts: list[rich.console.RenderableType] = [head]
    if outcome.hits:
        parts.append(_hits(outcome))
    if outcome.comparison is not None:
        parts.append(_topics(outcome.comparison))
    findings = outcome.findings
    parts += [f"[red]![/] {rich.markup.escape(line)}" for line in findings[:MOST_FINDINGS]]
    if len(findings) > MOST_FINDINGS:
        parts.append(f"[red]![/] and {len(findings) - MOST_FINDINGS} more, see --json")
    parts += [f"  {rich.markup.escape(line)}" for line in outcome.notes]
    return rich.console.Group(*parts, "")


def _hits(outcome: Outcome) -> rich.table.Table:
    table = _table("done", "found")
    for heading in ("times", "read, % of the log"):
        table.add_column(heading, justify="right")
    for (planned, phase), count in sorted(outcome.phases.items()):
        shares = [f"{hit.share:.0%}" for hit in outcome.hits if (hit.planned, hit.phase) == (planned, phase)]
        table.add_row(planned, phase, str(count), " ".join(shares))
    return table


def _topics(comparison: Comparison) -> rich.table.Table:
    table = _table("topic")
    for heading in ("sent", "repeated", "missing", "extra", "changed"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for name, each in comparison.topics.items():
        table.add_row(
            name,
            f"{each.sent:,}",
            f"{each.duplicate_share:.2%}",
            str(each.missing),
            str(each.extra),
            ", ".join(f"{field} x{count}" for field, count in each.fields.most_common()) or "0",
            "" if each.judged else "not judged",
        )
    states = comparison.states
    changed = ", ".join(f"{field} x{count}" for field, count in states.fields.most_common()) or "0"
    table.add_row("customer states", f"{states.customers:,}", "", str(states.missing), str(states.extra), changed, "")
    return table


def _table(*headings: str) -> rich.table.Table:
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table
