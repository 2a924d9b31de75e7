"""``needstream evaluate``: what the recorded scores of the models were worth, beside baselines."""

import os
import tempfile
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from typer.exceptions import TyperException

from needstream.streams.cli import options
from needstream.streams.packs import loader
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.settings import from_environment


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate")(evaluate)


def evaluate(
    *,
    source: Annotated[
        Path | None,
        typer.Option(
            "--input", exists=True, file_okay=False, help="Folder with input files to replay, or of a finished replay."
        ),
    ] = None,
    examples: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, dir_okay=False, help="Labelled examples to judge, instead of a replay's; repeatable."
        ),
    ] = None,
    pack: options.PackName = "bank",
    report: Annotated[
        Path | None, typer.Option(dir_okay=False, writable=True, help="Write one page of HTML with pictures here.")
    ] = None,
    recorded_only: Annotated[
        bool, typer.Option("--recorded-only", help="Judge what was recorded; train no baseline, run nothing again.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Judge the models' recorded scores by their matured labels, beside baselines that waited as long for theirs.

    The input is replayed, unless it is the output of a replay. LightGBM and Vowpal Wabbit are compared when installed.
    """
    from needstream.streams.evaluation import histories, page, reports, tables

    if source is None and not examples:
        msg = "give --input, --examples or both"
        raise typer.BadParameter(msg, param_hint="--input")
    if report is not None:
        _check_folder(report.parent)
    definitions = loader.load(pack)
    errors = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="needstream-") as scratch, errors.status("reading") as status:
        sources = histories.of_folder(source) if source else None
        if examples:
            found = sources or histories.Sources(examples=())
            sources = msgspec.structs.replace(found, examples=tuple(examples))
        if sources is None and source is not None:
            status.update("replaying")
            _replay(definitions, source, target=Path(scratch))
            sources = histories.of_folder(Path(scratch))
        try:
            told = reports.report(
                histories.read(sources or histories.Sources(examples=()), definitions),
                pack=definitions.version,
                recorded_only=recorded_only,
                on_model=lambda name: status.update(f"judging {name}"),
            )
        except histories.NothingToJudge as error:
            raise TyperException(str(error)) from error
    if report is not None:
        report.write_text(page.page(told), encoding="utf-8")
    if as_json:
        typer.echo(reports.encoded(told).decode())
        return
    console = Console()
    shown = [tables.served(told)]
    shown += [
        tables.compared(told, measure=name, title=title) for name, title in (("log_loss", "log loss"), ("auc", "AUC"))
    ]
    for table in [*shown, tables.times(told)]:
        console.print(table, soft_wrap=not console.is_terminal)
    if told.skipped and not recorded_only:
        console.print(
            f"not installed and left out: {', '.join(told.skipped)} (pip install needstream[bench])", markup=False
        )
    if report is not None:
        console.print(f"pictures and slices: {report}", markup=False, soft_wrap=True)


def _check_folder(folder: Path) -> None:
    """Refuse before the work what could not be written after it."""
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        msg = f"{folder} is no folder to write to; make it first, or name a file in another"
        raise typer.BadParameter(msg, param_hint="--report")


def _replay(definitions: Definitions, source: Path, *, target: Path) -> None:
    from needstream.streams.replay import Replay, ReplayOptions

    settings = from_environment()
    latest_ms = time.time_ns() // 1_000_000 + settings.future_tolerance_ms
    Replay(definitions, ReplayOptions(latest_ms=latest_ms, model_key=settings.model_key)).run(source, target)
