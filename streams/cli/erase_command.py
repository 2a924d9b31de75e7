"""``needstream erase``: forget a customer, and show the signed receipt."""

import time
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from needstream.schemas.signals import ErasureReceipt
from needstream.streams import erasing
from needstream.streams.cli import options
from needstream.streams.settings import from_environment


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("erase")(erase)


def erase(
    customer_id: Annotated[str, typer.Argument(help="The customer to forget.")],
    *,
    broker: options.Broker = None,
    reason: Annotated[str | None, typer.Option(help="Kept in the request, such as a ticket.")] = None,
    at: Annotated[
        str | None,
        typer.Option(help="Event time of the request, RFC 3339: what happened before is forgotten.  [default: now]"),
    ] = None,
    timeout: Annotated[str, typer.Option(help="How long to wait for a worker's receipt.")] = "60s",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: options.Json = False,
) -> None:
    """Remove a customer from states, changelog, pending labels and profiles, and print the signed receipt.

    What happened before is not remembered again, whatever is delivered anew. NEEDSTREAM_MODEL_KEY must be the workers'.
    """
    if not customer_id.isprintable() or not customer_id.strip():
        msg = "a customer id is printable text"
        raise typer.BadParameter(msg, param_hint="CUSTOMER_ID")
    address = options.answering_broker(broker)
    wait_s = options.duration_ms(timeout) / 1000
    at_ms = time.time_ns() // 1_000_000 if at is None else options.moment_ms(at)
    if not yes:
        typer.confirm("This cannot be undone. Erase the customer?", abort=True)
    console = Console(stderr=True)
    event = erasing.request(customer_id, reason=reason, at_ms=at_ms)
    with console.status("waiting for a worker's receipt"):
        receipt = erasing.erase(address, event, key=from_environment().model_key, timeout_s=wait_s)
    if as_json:
        typer.echo(msgspec.json.encode(receipt).decode())
        return
    Console().print(_table(receipt))


def _table(receipt: ErasureReceipt) -> Table:
    """The receipt as a person reads it."""
    table = Table("", "", title=f"erasure receipt {receipt.receipt_id}", show_header=False)
    table.add_row("subject (hash of the id)", receipt.subject)
    table.add_row("request", f"{receipt.request_event_id} at {receipt.requested_at}")
    removed = ", ".join(f"{count} {what}" for what, count in msgspec.structs.asdict(receipt.removed).items())
    table.add_row("removed", f"state and profile: {removed}" if receipt.was_known else "nothing was known")
    learned = f"{receipt.examples_released} examples released before"
    table.add_row("models", f"{learned}: {', '.join(receipt.models)}" if receipt.models else "none learned from it")
    for row in receipt.retained:
        table.add_row(f"remains: {row.where}", f"{row.what}, {row.until}")
    table.add_row("signature", f"HMAC-SHA256 {receipt.mac[:16]}… verified")
    return table
