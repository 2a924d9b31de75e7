"""The demo's terminal view: throughput, lag, signals as they appear, and model quality."""

import time

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from needstream.schemas.times import rfc3339
from needstream.simulation.stage import Progress
from needstream.streams.cli import tail_command


def render(progress: Progress, worker_pid: int) -> Group:
    """The whole view as it stands."""
    return Group(
        Panel(_flow(progress, worker_pid), title=progress.title, title_align="left"),
        Panel(_signals(progress), title="signals and alerts", title_align="left"),
        _figures(progress),
    )


def plain_line(progress: Progress) -> str:
    """The view in one line, for output that is no terminal."""
    lag = max(0, progress.sent - round(progress.records))
    return (
        f"{time.monotonic() - progress.started_s:5.0f} s  event time {_day(progress.applied_ms)}  "
        f"sent {progress.sent:,} of {progress.total:,}  lag {lag:,}  signals {progress.by_scenario.total():,}  "
        f"suppressed {progress.suppressed.total():,}"
    )


def _flow(progress: Progress, worker_pid: int) -> Text:
    seconds = max(0.1, time.monotonic() - progress.started_s)
    lag = max(0, progress.sent - round(progress.records))
    share = progress.sent / progress.total if progress.total else 0.0
    text = Text()
    text.append(
        f"event time {_day(progress.applied_ms)}   sent {progress.sent:,} of {progress.total:,} ({share:.0%})   "
    )
    text.append(f"{progress.records / seconds:,.0f} events/s   lag {lag:,}", style="bold")
    text.append(f"   worker pid {worker_pid}", style="dim")
    if progress.restarts:
        text.append(f"   started again {progress.restarts} times", style="yellow")
    return text


def _day(at_ms: int) -> str:
    return rfc3339(at_ms)[:10] if at_ms else "-"


def _signals(progress: Progress) -> Group | Text:
    if not progress.signals:
        return Text("waiting for the first one ...", style="dim")
    return Group(*(_short(tail_command.line(signal)) for signal in progress.signals))


def _short(line: Text) -> Text:
    line.no_wrap = True
    line.overflow = "ellipsis"
    return line


def _figures(progress: Progress) -> Table:
    side_by_side = Table.grid(padding=(0, 4))
    side_by_side.add_row(_scenarios(progress), _suppressed(progress), quality(progress))
    return side_by_side


def _scenarios(progress: Progress) -> Table:
    table = Table("scenario", "fired", box=None)
    for scenario, count in progress.by_scenario.most_common(12):
        table.add_row(scenario, f"{count:,}")
    return table


def _suppressed(progress: Progress) -> Table:
    table = Table("kept silent by", "times", box=None)
    for gate, count in progress.suppressed.most_common():
        table.add_row(gate, f"{count:,}")
    return table


def quality(progress: Progress) -> Table:
    """Prequential quality of every model, matured labels only."""
    table = Table("model", "labels", "AUC", "log loss", "baseline", box=None)
    for model, figures in sorted(progress.quality.items()):
        shown = (
            f"{figures[name]:.3f}" if name in figures else "-" for name in ("auc", "log_loss", "baseline_log_loss")
        )
        table.add_row(model, f"{figures.get('examples', 0):,.0f}", *shown)
    return table
