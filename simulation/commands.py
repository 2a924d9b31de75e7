"""Commands that know the planted truth: ``needstream simulate``, ``score``, ``demo``; and ``convert``, ``chaos``."""

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from typer.exceptions import TyperException

from needstream.simulation.adapters import conversion
from needstream.simulation.adapters.conversion import Source
from needstream.simulation.chaos import command
from needstream.streams.cli import options

Customers = Annotated[int, typer.Option(min=20, max=1_000_000, help="How many customers.")]
Days = Annotated[int, typer.Option(min=1, max=3_650, help="How many days.")]
Seed = Annotated[int, typer.Option(help="Equal seeds give equal bytes.")]


def register(app: typer.Typer) -> None:
    """Add the commands; called by the program through its entry point group."""
    app.command("simulate")(simulate)
    app.command("convert")(convert)
    app.command("score")(score)
    app.command("demo")(demo)
    app.command("chaos")(command.chaos)


def simulate(
    *,
    output: Annotated[Path, typer.Option("--output", file_okay=False, help="Folder for the files.")],
    customers: Customers = 2_000,
    days: Days = 120,
    seed: Seed = 7,
    malformed: Annotated[int, typer.Option(min=0, help="Unreadable records to sprinkle in.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Write a simulated bank population: events by topic, and truth.jsonl with what was planted."""
    from needstream.simulation import parameters, simulator

    chosen = parameters.SimulationParameters(seed=seed, customers=customers, days=days, malformed=malformed)
    with Console(stderr=True).status(f"simulating {customers:,} customers over {days} days"):
        population = simulator.simulate(chosen)
        simulator.write(population, output)
    told = {**population.counts(), "truth": len(population.truth)}
    if as_json:
        typer.echo(orjson.dumps(told).decode())
    else:
        for name, count in told.items():
            typer.echo(f"{count:9,}  {name}")


def convert(
    *,
    source: Annotated[Source, typer.Argument(help="Which data set.")],
    path: Annotated[
        Path, typer.Option("--input", exists=True, help="Its CSV file, or for berka the folder of its tables.")
    ],
    output: Annotated[Path, typer.Option("--output", file_okay=False, help="Folder for the files.")],
) -> None:
    """Convert a published data set to input files, to replay with the shop pack (online-retail) or the bank pack."""
    written, skipped = conversion.write(source, path, folder=output)
    for topic, count in written.items():
        typer.echo(f"{count:9,}  {topic}")
    for reason, count in skipped.items():
        typer.echo(f"{count:9,}  left out: {reason}")


def score(
    *,
    truth: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The truth.jsonl of the simulation.")],
    output: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder of replay's or the demo's output.")
    ],
    as_json: options.Json = False,
) -> None:
    """Compare emitted signals with the planted truth: recall, precision, lead time."""
    from needstream.simulation import emitted, scorecard, scorecard_table

    expected = [f"{topic}.jsonl" for topic in (emitted.NEED_SIGNALS, emitted.CHURN_ALERTS, emitted.ALERTS)]
    if not any((output / f"{name}{suffix}").is_file() for name in expected for suffix in ("", ".gz")):
        msg = f"{output} holds no signals; expected is at least one of {', '.join(expected)} (or .gz), as replay writes"
        raise typer.BadParameter(msg, param_hint="--output")
    try:
        card = scorecard.score_directory(truth, output)
    except ValueError as error:
        raise TyperException(str(error)) from error
    if as_json:
        typer.echo(orjson.dumps(card.as_dict()).decode())
    else:
        Console().print(scorecard_table.render(card))


def demo(
    *,
    customers: Customers = 600,
    days: Days = 120,
    seed: Seed = 7,
    exit_after: Annotated[
        str, typer.Option(help="Stop playing after this time, such as 60s; 0s plays everything.")
    ] = "0s",
    days_per_second: Annotated[float, typer.Option(min=0, help="Event-time days sent a second; 0 is unlimited.")] = 3.0,
    output: Annotated[Path | None, typer.Option(file_okay=False, help="Keep inputs, outputs and logs here.")] = None,
) -> None:
    """Play a simulated bank and a real shop through broker, worker and models, and sum up.

    Needs nothing but this program: the broker is embedded. Kill the worker while it plays (its
    process id is shown): it is started again and nothing is lost.
    """
    from needstream.simulation import demo as demos
    from needstream.simulation.stage import WorkerFailed

    text = f"{exit_after}s" if exit_after.isdigit() else exit_after
    chosen = demos.DemoOptions(
        seed=seed,
        customers=customers,
        days=days,
        exit_after_s=options.duration_ms(text) / 1000,
        days_per_second=days_per_second,
        output=output,
    )
    try:
        demos.play(chosen, Console())
    except WorkerFailed as error:
        raise TyperException(str(error)) from error
