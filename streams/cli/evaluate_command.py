"""``needstream evaluate``: prequential quality of the models on files."""

import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from needstream.streams.cli import options
from needstream.streams.packs import loader

_MEASURES = ("auc", "log_loss", "baseline_log_loss", "calibration_error", "window_auc", "window_log_loss")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate")(evaluate)


def evaluate(*, source: options.InputFolder, pack: options.PackName = "bank", as_json: options.Json = False) -> None:
    """Replay files and report how good every model's recorded scores were.

    Each score is judged when its label has matured, before the model learns from it.
    """
    from needstream.streams.replay import Replay, ReplayOptions

    latest_ms = time.time_ns() // 1_000_000
    with tempfile.TemporaryDirectory(prefix="needstream-") as scratch:
        report = Replay(loader.load(pack), ReplayOptions(latest_ms=latest_ms)).run(source, Path(scratch))
    if as_json:
        typer.echo(orjson.dumps(report["models"]).decode())
        return
    console = Console()
    console.print(quality_table(report["models"]), soft_wrap=not console.is_terminal)


def quality_table(models: list[dict[str, Any]]) -> Table:
    """One row per model; a dash where nothing could be judged yet."""
    table = Table("model", "examples", "judged", "positives", *_MEASURES, title="prequential quality, matured labels")
    for model in models:
        figures = ("-" if model[name] is None else f"{model[name]:.3f}" for name in _MEASURES)
        counts = (f"{model[name]:,}" for name in ("examples", "judged", "positives"))
        table.add_row(model["model"], *counts, *figures)
    return table
