"""``needstream produce``: files of events onto the input topics."""

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from needstream.schemas.times import rfc3339
from needstream.streams import producing
from needstream.streams.cli import options


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("produce")(produce)


def produce(
    *,
    source: options.InputFolder,
    broker: options.Broker = None,
    rate: Annotated[float, typer.Option(min=0, help="Events a second; 0 is as fast as it goes.")] = 0.0,
    speed: Annotated[float, typer.Option(min=0, help="Seconds of event time a second, such as 86400.")] = 0.0,
) -> None:
    """Send the events of a folder, keyed by customer, at a rate or at an event-time speed.

    Without a limit, hours of event time pass in a moment, and a worker that reads along sees events
    late: use --speed, or start the worker with NEEDSTREAM_ORDERING_WAIT=500ms.
    """
    if rate and speed:
        message = "give --rate or --speed, not both"
        raise typer.BadParameter(message)
    address = options.answering_broker(broker)
    with Progress(
        TextColumn("producing {task.completed:,} events, event time {task.fields[at]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        bar = progress.add_task("produce", total=None, at="-")
        sent = producing.produce(
            address,
            producing.read_folder(source),
            pace=producing.Pace(rate, speed),
            on_progress=lambda count, at_ms: progress.update(bar, completed=count, at=rfc3339(at_ms)),
        )
    typer.echo(f"{sent:,} events acknowledged by {address}")
