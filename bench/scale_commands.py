"""``needstream bench latency``, ``scale`` and ``capacity``: options in, runs and their files out."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from typer.exceptions import TyperException

Broker = Annotated[str, typer.Option(help="embedded, apache or external:host:port.")]
Models = Annotated[
    Path | None,
    typer.Option(dir_okay=False, exists=True, help="Models signed with the benchmark's key; learned first without."),
]
BankEvents = Annotated[
    int, typer.Option(min=5_000, help="Events of the simulated bank that is copied and learned from.")
]
Population = Annotated[str, typer.Option(help="Whose events the bank has: busy or quiet customers'.")]
Output = Annotated[Path, typer.Option(file_okay=False, help="Folder for the results.")]
Seed = Annotated[int, typer.Option(help="Equal seeds give equal loads.")]


def register(program: typer.Typer) -> None:
    """Add the commands to ``needstream bench``."""
    program.command("latency")(latency)
    program.command("scale")(scale)
    program.command("capacity")(capacity)


def latency(  # noqa: PLR0913 - each parameter is an option
    *,
    signals: Annotated[int, typer.Option(min=50, help="Signals measured at each level, at least.")] = 2_000,
    levels: Annotated[str, typer.Option(help="Per cent of the highest rate, separated by commas.")] = "10,50,80",
    traced: Annotated[str, typer.Option(help="Levels repeated with a worker that notes its stages.")] = "10,50",
    backlog: Annotated[int, typer.Option(min=2_000, help="Events drained to find the highest rate.")] = 80_000,
    customers: Annotated[int, typer.Option(min=1_000, help="Customers whose states are there first.")] = 50_000,
    seconds: Annotated[float, typer.Option(min=1, help="How long each level lasts, at least.")] = 20.0,
    store: Annotated[str, typer.Option(help="rocksdict:// or memory://.")] = "rocksdict://",
    ordering_wait_ms: Annotated[int, typer.Option(min=0, help="NEEDSTREAM_ORDERING_WAIT in milliseconds.")] = 20,
    broker: Broker = "embedded",
    seed: Seed = 7,
    bank_events: BankEvents = 90_000,
    population: Population = "busy",
    models: Models = None,
    output: Output = Path("bench/results"),
) -> None:
    """Measure the time from an event to its signal at shares of the highest rate, and where it goes."""
    from needstream.bench import latency as runs  # noqa: PLC0415 - slow to import
    from needstream.bench import processes, stock  # noqa: PLC0415
    from needstream.streams.brokers import BrokerUnavailable  # noqa: PLC0415

    plan = runs.LatencyPlan(
        signals=signals,
        levels=_numbers(levels),
        traced=_numbers(traced),
        backlog=backlog,
        customers=customers,
        seconds=seconds,
        store=store,
        ordering_wait=f"{ordering_wait_ms}ms",
        broker=broker,
        seed=seed,
        bank=stock.Bank(events=bank_events, population=population, models=models),
        output=output,
    )
    try:
        runs.run(plan, Console(), command=_command())
    except (BrokerUnavailable, processes.ContenderFailed, ValueError) as error:
        raise TyperException(str(error)) from error


def scale(  # noqa: PLR0913 - each parameter is an option
    *,
    part: Annotated[str, typer.Option(help="workers, customers, skew, learning, growth; separated by commas.")] = (
        "workers,customers,skew,learning"
    ),
    events: Annotated[int, typer.Option(min=5_000, help="Events drained in each measurement.")] = 200_000,
    sizes: Annotated[str, typer.Option(help="Customers in state, for the part of that name.")] = "10000,100000,1000000",
    stores: Annotated[str, typer.Option(help="rocksdict://, memory:// or both.")] = "rocksdict://,memory://",
    rounds: Annotated[int, typer.Option(min=1, help="How often the customers part measures each size.")] = 1,
    growth_events: Annotated[int, typer.Option(min=100, help="Events of the growth part.")] = 10_000_000,
    growth_customers: Annotated[int, typer.Option(min=100, help="Whose events these are.")] = 10_000,
    work: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder the growth part keeps, to go on after a break.")
    ] = None,
    broker: Broker = "embedded",
    seed: Seed = 7,
    bank_events: BankEvents = 90_000,
    population: Population = "busy",
    models: Models = None,
    output: Output = Path("bench/results"),
) -> None:
    """Measure how rate, processor time and memory change with workers, customers, a hot customer and time."""
    from needstream.bench import processes, scale_plan, stock  # noqa: PLC0415 - slow to import
    from needstream.bench import scale as runs  # noqa: PLC0415
    from needstream.streams.brokers import BrokerUnavailable  # noqa: PLC0415

    try:
        plan = scale_plan.checked(
            scale_plan.ScalePlan(
                parts=tuple(_words(part)),
                events=events,
                sizes=_numbers(sizes),
                stores=tuple(_words(stores)),
                rounds=rounds,
                growth_events=growth_events,
                growth_customers=growth_customers,
                work=work,
                broker=broker,
                seed=seed,
                bank=stock.Bank(events=bank_events, population=population, models=models),
                output=output,
            )
        )
        runs.run(plan, Console(), command=_command())
    except (BrokerUnavailable, processes.ContenderFailed, ValueError) as error:
        raise TyperException(str(error)) from error


def capacity(
    *,
    output: Output = Path("bench/results"),
    document: Annotated[Path, typer.Option(dir_okay=False, help="The page whose tables are written.")] = Path(
        "docs/capacity.md"
    ),
    check: Annotated[bool, typer.Option("--check", help="Only tell whether page and results agree.")] = False,
) -> None:
    """Write the tables of the capacity page from the newest results."""
    from needstream.bench import capacity as pages  # noqa: PLC0415 - slow to import

    try:
        written = pages.filled(document.read_text(encoding="utf-8"), output)
    except (OSError, ValueError) as error:
        raise TyperException(str(error)) from error
    if check:
        if written != document.read_text(encoding="utf-8"):
            msg = f"{document} does not say what {output} says: run needstream bench capacity"
            raise TyperException(msg)
        return
    document.write_text(written, encoding="utf-8")
    typer.echo(f"written: {document}")


def _command() -> str:
    """The command line as it was given, without where the program lies."""
    return shlex.join(["needstream", *sys.argv[1:]])


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word.replace("_", "")) for word in _words(text))
    except ValueError:
        msg = f"{text!r} must be whole numbers, separated by commas"
        raise typer.BadParameter(msg) from None
