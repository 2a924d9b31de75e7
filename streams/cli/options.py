"""Options that several commands share, and the text forms they accept."""

from pathlib import Path
from typing import Annotated

import typer

from needstream.schemas.times import parse_duration
from needstream.streams.settings import from_environment


def duration_ms(text: str) -> int:
    """Milliseconds of an option's text.

    Raises:
        typer.BadParameter: no duration.
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def broker_address(given: str | None) -> str:
    """The broker of the option, else of the environment."""
    return given or from_environment().broker


Broker = Annotated[
    str | None,
    typer.Option(
        help="host:port of the Kafka cluster.  [default: NEEDSTREAM_BROKER or localhost:9092]", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
InputFolder = Annotated[
    Path,
    typer.Option(
        "--input", exists=True, file_okay=False, help="Folder with files named by topic, such as clickstream.v1.jsonl."
    ),
]
PackName = Annotated[str, typer.Option("--pack", help="A shipped domain pack, or a folder with one.")]
