"""``needstream tail``: read the output topics as a person would."""

import time
from collections.abc import Iterator
from typing import Annotated, Any

import orjson
import typer
from kafka import KafkaConsumer, TopicPartition
from rich.console import Console
from rich.text import Text

from needstream.streams import topics
from needstream.streams.cli import options

_SIGNALS = (topics.NEED_SIGNALS, topics.CHURN_ALERTS, topics.ALERTS)
_COLOURS = {"need": "green", "churn": "yellow", "care": "magenta", "risk": "red"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tail")(tail)


def tail(
    *,
    broker: options.Broker = None,
    customer: Annotated[str | None, typer.Option(help="Only this customer.")] = None,
    need: Annotated[str | None, typer.Option(help="Only this need or alert, such as loan or churn.")] = None,
    scenario: Annotated[str | None, typer.Option(help="Only this scenario.")] = None,
    from_beginning: Annotated[bool, typer.Option(help="Start with the oldest record.")] = False,
    most: Annotated[int, typer.Option("--limit", min=0, help="Stop after so many; 0 goes on.")] = 0,
    wait: Annotated[str, typer.Option(help="Stop after this silence; 0s goes on.")] = "0s",
    as_json: options.Json = False,
) -> None:
    """Print need signals and alerts as they appear."""
    console = Console()
    shown = 0
    for signal in read_signals(
        options.answering_broker(broker), from_beginning=from_beginning, silence_ms=options.duration_ms(wait)
    ):
        if customer not in (None, signal["customer_id"]) or scenario not in (None, signal["scenario"]):
            continue
        if need not in (None, signal.get("need"), signal.get("alert")):
            continue
        if as_json:
            typer.echo(orjson.dumps(signal).decode())
        else:
            console.print(line(signal), soft_wrap=not console.is_terminal)
        shown += 1
        if most and shown >= most:
            return


def read_signals(broker: str, *, from_beginning: bool, silence_ms: int) -> Iterator[dict[str, Any]]:
    """Signals of the three signal topics, until ``silence_ms`` without one; 0 never ends."""
    consumer = KafkaConsumer(bootstrap_servers=broker, group_id=None, enable_auto_commit=False)
    try:
        places = [
            TopicPartition(topic, number)
            for topic in _SIGNALS
            for number in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        if not places:
            msg = f"no topics at {broker} yet; create them with: needstream topics apply"
            raise FileNotFoundError(msg)
        consumer.assign(places)
        if from_beginning:
            consumer.seek_to_beginning(*places)
        else:
            consumer.seek_to_end(*places)
        heard_s = time.monotonic()
        while not silence_ms or (time.monotonic() - heard_s) * 1000 < silence_ms:
            for records in consumer.poll(timeout_ms=200).values():
                heard_s = time.monotonic()
                for record in records:
                    yield orjson.loads(record.value)
    finally:
        consumer.close()


def line(signal: dict[str, Any]) -> Text:
    """One line a person can read: when, who, what, why."""
    kind = str(signal["kind"])
    subject = signal.get("need") or signal.get("alert") or "?"
    score = signal["score"]
    text = Text(f"{str(signal['event_time'])[:16].replace('T', ' ')}  ", style="dim")
    text.append(f"{kind:<6}", style=_COLOURS.get(kind, "cyan"))
    text.append(f"{subject:<15}", style="bold")
    text.append(f"{signal['customer_id']:<12} ")
    text.append(f"{'' if score is None else f'{score:.0%}':>4}  ", style="dim")
    text.append(str(signal["explanation"]["en"]))
    text.append(f"  [{signal['scenario']}]", style="dim")
    return text
