"""``needstream replay``: the same step over files."""

import time
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from needstream.schemas.times import parse_rfc3339
from needstream.streams import event_files
from needstream.streams.cli import options
from needstream.streams.packs import loader
from needstream.streams.settings import from_environment


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay")(replay)


def replay(
    *,
    source: options.InputFolder,
    target: Annotated[
        Path, typer.Option("--output", file_okay=False, help="Folder for <topic>.jsonl and report.json.")
    ],
    pack: options.PackName = "bank",
    shuffle_within: Annotated[str, typer.Option(help="Shuffle arrivals by at most this much event time.")] = "0s",
    seed: Annotated[int, typer.Option(help="Seed of the shuffle.")] = 0,
    models: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Signed snapshots to score with; learning is off then."),
    ] = None,
    now: Annotated[
        str | None,
        typer.Option(help="Newest acceptable event time before the tolerance, RFC 3339.  [default: the clock]"),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Replay files named by topic, merged by event time, without a broker.

    Missing files are empty; .jsonl.gz works too. The same input gives byte-identical output.
    """
    from needstream.streams.replay import Replay, ReplayOptions

    if target.resolve() == source.resolve():
        msg = "must not be the input folder"
        raise typer.BadParameter(msg, param_hint="--output")
    settings = from_environment()
    job = Replay(
        loader.load(pack),
        ReplayOptions(
            latest_ms=_now_ms(now) + settings.future_tolerance_ms,
            shuffle_ms=options.duration_ms(shuffle_within),
            seed=seed,
            models=models,
            model_key=settings.model_key,
        ),
    )
    total = event_files.count_lines(source)
    with Progress(
        TextColumn("replaying"),
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,} records"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=as_json,
        transient=True,
    ) as progress:
        bar = progress.add_task("replay", total=total)
        report = job.run(source, target, on_progress=lambda count: progress.update(bar, completed=count))
    if as_json:
        typer.echo(orjson.dumps(report, option=orjson.OPT_SORT_KEYS).decode())
        return
    counts = report["counts"]
    sent = sum(count for name, count in counts.items() if name.startswith("signal."))
    rejected = sum(count for name, count in counts.items() if name.startswith("dead_letter."))
    typer.echo(
        f"{counts.get('records', 0):,} records, {report['customers']:,} customers: {sent:,} signals and alerts, "
        f"{rejected:,} dead letters; see {target / 'report.json'}"
    )


def _now_ms(now: str | None) -> int:
    if now is None:
        return time.time_ns() // 1_000_000
    try:
        return parse_rfc3339(now)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--now") from error
