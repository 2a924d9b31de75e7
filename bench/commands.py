"""Adds ``needstream bench`` to the program: throughput beside contenders, and ``bench core`` without a broker."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from typer.exceptions import TyperException

from needstream.bench import scale_commands

Seed = Annotated[int, typer.Option(help="Equal seeds give equal loads.")]

program = typer.Typer(invoke_without_command=True, help="Measure what needstream costs on this machine.")


def register(app: typer.Typer) -> None:
    """Add the commands; called by the program through its entry point group."""
    scale_commands.register(program)
    app.add_typer(program, name="bench")


@program.callback()
def throughput(
    context: typer.Context,
    *,
    jobs: Annotated[
        str, typer.Option(help="Which of count, features, full, separated by commas; all without it.")
    ] = "",
    contenders: Annotated[str, typer.Option(help="Which contenders, separated by commas; all without it.")] = "",
    rounds: Annotated[int, typer.Option(min=1, help="How often each contender runs.")] = 5,
    events: Annotated[int, typer.Option(min=0, help="Events of each job; 0 for each job's own number.")] = 0,
    customers: Annotated[int, typer.Option(min=0, help="Simulated customers; 0 for the population's own number.")] = 0,
    population: Annotated[
        str, typer.Option(help="busy, quiet, or both as busy,quiet: then full is also run on the second one.")
    ] = "busy",
    seed: Seed = 7,
    broker: Annotated[
        str, typer.Option(help="embedded, apache or external:host:port; auto is apache if it can be had.")
    ] = "auto",
    output: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for throughput.md, throughput.json and the chart.")
    ] = Path("bench/results"),
) -> None:
    """Run needstream and other stream processors on the same events, each pinned to one core, and compare."""
    if context.invoked_subcommand is not None:
        return
    from needstream.bench import plan
    from needstream.bench import throughput as runs
    from needstream.streams.brokers import BrokerUnavailable

    try:
        chosen = plan.make(
            plan.Choices(
                jobs=_words(jobs),
                contenders=_words(contenders),
                rounds=rounds,
                events=events,
                customers=customers,
                populations=_words(population),
                seed=seed,
                broker=broker,
                output=output,
            )
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        runs.run(chosen, Console())
    except (BrokerUnavailable, runs.RunFailed) as error:
        raise TyperException(str(error)) from error


@program.command("core")
def core(
    *,
    customers: Annotated[int, typer.Option(min=20, help="How many simulated customers.")] = 300,
    days: Annotated[int, typer.Option(min=1, help="How many days.")] = 90,
    population: Annotated[str, typer.Option(help="busy, quiet, or both separated by a comma.")] = "busy,quiet",
    seed: Seed = 7,
) -> None:
    """Time decoding and the full step in memory, as multiples of a bare ``orjson.loads``."""
    from needstream.bench import core as cores
    from needstream.bench import load

    try:
        chosen = [load.population_of(name) for name in _words(population)]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    measured = [cores.measure(customers=customers, days=days, seed=seed, population=each) for each in chosen]
    typer.echo("\n\n".join(cores.text(each) for each in measured))


@program.command("guard")
def guard(
    *,
    record: Annotated[bool, typer.Option(help="Make what is counted the reference of this version of Python.")] = False,
) -> None:
    """Count what the hot path executes per event and compare it with the reference; exit code 1 if it is too much."""
    from needstream.bench import guard as guards

    counts, allowed = guards.measure(), guards.reference()
    typer.echo(f"per event: {counts.instructions:g} bytecode instructions, {counts.calls:g} calls into C")
    if record:
        guards.record(counts)
        typer.echo(f"recorded as the reference of Python {guards.PYTHON} in {guards.REFERENCE}")
        return
    if allowed is None:
        typer.echo(f"there is no reference for Python {guards.PYTHON}; write one with --record")
        return
    found = guards.excess(counts, allowed)
    for sentence in found:
        typer.echo(sentence, err=True)
    if found:
        typer.echo("make it leaner, or record it with --record and say in the commit what it buys", err=True)
        raise typer.Exit(1)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
