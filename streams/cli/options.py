"""Options that several commands share, and the text forms they accept."""

from pathlib import Path
from typing import Annotated

import typer

from needstream.schemas.times import parse_duration, parse_rfc3339
from needstream.streams.brokers import interface
from needstream.streams.settings import from_environment, read_addresses


def duration_ms(text: str) -> int:
    """Milliseconds of an option's text.

    Raises:
        typer.BadParameter: no duration.
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def moment_ms(text: str) -> int:
    """Milliseconds of an RFC 3339 text.

    Raises:
        typer.BadParameter: no moment with an offset.
    """
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def broker_address(given: str | None) -> str:
    """The broker of the option, else of the environment.

    Raises:
        typer.BadParameter: not of the form ``host:port``.
    """
    if given is None:
        return from_environment().broker
    try:
        return read_addresses(given)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--broker") from error


def answering_broker(given: str | None) -> str:
    """The broker's address, once it is known that somebody answers there.

    Raises:
        ConnectionError: nobody does.
    """
    address = broker_address(given)
    if not interface.answers(address):
        msg = f"no broker answers at {address}: start one, or correct --broker or NEEDSTREAM_BROKER"
        raise ConnectionError(msg)
    return address


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
