"""``needstream deadletters``: look at rejected records, and send them again once they can be used.

What a record holds is printed by `show` only, because the operator asked for it; `list` and `replay` never print keys,
values, headers or details.
"""

import itertools
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import orjson
import typer
from msgspec.structs import replace
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from needstream.schemas.dead_letters import RejectReason
from needstream.schemas.times import parse_rfc3339
from needstream.streams import dead_letter_topic, outputs, topics
from needstream.streams.cli import letter_text, options
from needstream.streams.dead_letter_replays import EXPLANATIONS, Replays, Verdict
from needstream.streams.dead_letter_topic import Letter, OnProgress, Place, Selection

TopicName = Annotated[str | None, typer.Option("--topic", help="Only records of this input topic.")]
Reason = Annotated[str, typer.Option(help="Only this reason, or reasons that begin so.")]
Field = Annotated[str | None, typer.Option("--field", help="Only records rejected for this field.")]
Partition = Annotated[int | None, typer.Option("--partition", min=0, help="Only records of this partition.")]
Since = Annotated[str | None, typer.Option(help="Only records with this timestamp or a newer one, RFC 3339.")]
Until = Annotated[str | None, typer.Option(help="Only records with an older timestamp, RFC 3339.")]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="List, show and replay rejected records.", no_args_is_help=True)
    group.command("list")(list_letters)
    group.command("show")(show)
    group.command("replay")(replay)
    app.add_typer(group, name="deadletters")


def list_letters(
    *,
    broker: options.Broker = None,
    topic: TopicName = None,
    reason: Reason = "",
    field: Field = None,
    partition: Partition = None,
    since: Since = None,
    until: Until = None,
    most: Annotated[int, typer.Option("--limit", min=0, help="Stop after so many; 0 is all of them.")] = 0,
    summary: Annotated[bool, typer.Option("--summary", help="Count by topic and reason instead.")] = False,
    as_json: options.Json = False,
) -> None:
    """List dead letters by place, never with what they hold.

    Times are those of the rejected records, which their dead letters keep.
    """
    selection = _selection(topic=topic, reason=reason, field=field, partition=partition, since=since, until=until)
    counted: Counter[tuple[str, str]] = Counter()
    address = options.answering_broker(broker)
    # Lines that appear are progress enough, and a bar between them would tear them apart.
    is_quiet = not summary and sys.stdout.isatty()
    with dead_letter_topic.reading(address) as consumer, _progress(is_quiet=is_quiet) as bar:
        moved = bar("reading")
        for number, letter in enumerate(dead_letter_topic.letters(consumer, selection, on_progress=moved), 1):
            if summary:
                counted[letter.content.topic, letter.content.reason.value] += 1
            else:
                typer.echo(orjson.dumps(letter_text.told(letter)).decode() if as_json else letter_text.line(letter))
            if most and number >= most:
                break
    if summary and as_json:
        rows = [{"topic": name, "reason": why, "count": count} for (name, why), count in sorted(counted.items())]
        typer.echo(orjson.dumps(rows).decode())
    elif summary:
        for (name, why), count in sorted(counted.items()):
            typer.echo(f"{count:>9,}  {name:<17} {why}")
        typer.echo(f"{counted.total():>9,}  in all")


def show(
    place: Annotated[str, typer.Argument(help="A place as `list` prints it, such as 2:1234.")],
    *,
    broker: options.Broker = None,
    form: Annotated[
        letter_text.Form, typer.Option("--as", help="How to print bytes; auto is text where it is text, else hex.")
    ] = letter_text.Form.AUTO,
    as_json: options.Json = False,
) -> None:
    """Show one dead letter with everything it holds: key, headers and value of a customer's record."""
    wanted = _place(place)
    with dead_letter_topic.reading(options.answering_broker(broker)) as consumer:
        try:
            letter = dead_letter_topic.letter_at(consumer, wanted)
        except dead_letter_topic.NoSuchLetter as error:
            typer.echo(f"needstream: {error}", err=True)
            raise typer.Exit(1) from error
    if as_json:
        line = orjson.loads(outputs.dead_letter_line(letter.content))
        typer.echo(orjson.dumps({"place": str(letter.place), **line}).decode())
        return
    content = letter.content
    for name, text in (
        ("place", f"{letter.place} on {topics.DEAD_LETTERS}"),
        ("origin", letter.origin),
        ("timestamp", letter_text.when(content.timestamp_ms)),
        ("reason", content.reason.value),
        ("field", content.field),
        ("detail", content.detail),
        ("remedy", content.remedy),
        ("replay of", content.replay_of),
        ("left out", content.omitted),
    ):
        if text:
            typer.echo(f"{name:<10} {letter_text.readable(text)}")
    typer.echo(f"{'key':<10} {letter_text.printed(content.key, form)}")
    for header, held in content.headers:
        typer.echo(f"{'header':<10} {letter_text.readable(header)} = {letter_text.printed(held, form)}")
    typer.echo(f"{'value':<10} {len(content.value or b'')} bytes\n{letter_text.printed(content.value, form)}")


def replay(
    places: Annotated[list[str] | None, typer.Argument(help="Places as `list` prints them.")] = None,
    *,
    broker: options.Broker = None,
    topic: TopicName = None,
    reason: Reason = "",
    field: Field = None,
    partition: Partition = None,
    since: Since = None,
    until: Until = None,
    everything: Annotated[bool, typer.Option("--all", help="Every letter, without a filter.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Send also what was replayed before.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: options.Json = False,
) -> None:
    """Send rejected records to where they came from, each once: original topic, partition, key, value and headers.

    A letter that was replayed before is passed over, also if the run that sent it was killed.
    Exit code 1 if any could not be sent.
    """
    selection = _selection(topic=topic, reason=reason, field=field, partition=partition, since=since, until=until)
    wanted = frozenset(_place(text) for text in places or ())
    if selection.is_everything and not wanted and not everything:
        message = "say which: places, a filter, or --all"
        raise typer.BadParameter(message)
    selection = replace(selection, places=wanted)
    address = options.answering_broker(broker)
    with dead_letter_topic.reading(address) as consumer, dead_letter_topic.reading(address) as own:
        replays = Replays(address, own, again=again)
        origins: dict[Place, str] = {}

        with _progress() as bar:
            letters = dead_letter_topic.letters(consumer, selection, on_progress=bar("reading"))
            plan = replays.plan(_noted(letters, origins), on_settling=bar("settling what a stopped run left open"))
        missing = [place for place in sorted(wanted) if place not in plan.verdicts]
        if dry_run:
            for letter in dead_letter_topic.letters(consumer, selection):
                if letter.place in plan.verdicts and not as_json:
                    typer.echo(letter_text.intention(letter, plan.verdicts[letter.place]))
        else:
            sending = plan.places(Verdict.SEND)
            if sending and not yes:
                goals = Counter(origins[place] for place in sending)
                listed = ", ".join(f"{count:,} to {name}" for name, count in sorted(goals.items()))
                typer.confirm(f"Send {listed}?", abort=True, err=True)
            with _progress() as bar:
                moved, numbers = bar("sending"), itertools.count(1)
                letters = dead_letter_topic.letters(consumer, Selection(places=sending)) if sending else iter(())
                plan.verdicts |= replays.send(letters, plan, on_sent=lambda _place: moved(next(numbers), len(sending)))
    _report(plan.verdicts, origins, missing=missing, dry_run=dry_run, as_json=as_json)
    fine = {Verdict.SEND, Verdict.REPLAYED, Verdict.FOUND}
    if missing or (not dry_run and not fine.issuperset(plan.verdicts.values())):
        raise typer.Exit(1)


def _noted(letters: Iterator[Letter], origins: dict[Place, str]) -> Iterator[Letter]:
    for letter in letters:
        origins[letter.place] = letter.content.topic
        yield letter


def _report(
    verdicts: dict[Place, Verdict], origins: dict[Place, str], *, missing: list[Place], dry_run: bool, as_json: bool
) -> None:
    def name(verdict: Verdict) -> str:
        return "sent" if verdict is Verdict.SEND and not dry_run else str(verdict)

    counts = Counter(verdicts.values())
    if as_json:
        rows: list[dict[str, str | None]] = [
            {"place": str(place), "topic": origins[place], "verdict": name(verdict)}
            for place, verdict in sorted(verdicts.items())
        ]
        rows += [{"place": str(place), "topic": None, "verdict": "missing"} for place in missing]
        told = {"dry_run": dry_run, "counts": {name(verdict): counts[verdict] for verdict in counts}, "letters": rows}
        typer.echo(orjson.dumps(told).decode())
        return
    for verdict in Verdict:
        if counts[verdict]:
            why = "acknowledged" if name(verdict) == "sent" else EXPLANATIONS[verdict]
            typer.echo(f"{counts[verdict]:>9,}  {name(verdict):<10} {why}")
    for place in missing:
        typer.echo(f"no dead letter at {place}: never there, or past the topic's retention")
    if not verdicts and not missing:
        typer.echo("no dead letter matches")


def _selection(
    *,
    topic: str | None,
    reason: str,
    field: str | None,
    partition: int | None,
    since: str | None,
    until: str | None,
) -> Selection:
    if topic is not None and topic not in topics.MERGED:
        message = f"{topic!r} is no input topic; there are {', '.join(topics.MERGED)}"
        raise typer.BadParameter(message, param_hint="--topic")
    if not any(each.value.startswith(reason) for each in RejectReason):
        message = f"no reason begins with {reason!r}; there are {', '.join(each.value for each in RejectReason)}"
        raise typer.BadParameter(message, param_hint="--reason")
    return Selection(
        topic=topic,
        reason=reason,
        field=field,
        partition=partition,
        since_ms=_moment(since, "--since"),
        until_ms=_moment(until, "--until"),
    )


def _moment(text: str | None, option: str) -> int | None:
    try:
        return None if text is None else parse_rfc3339(text)
    except ValueError as error:
        message = f"{text!r} is no time; write for example 2025-03-01T09:30:00Z"
        raise typer.BadParameter(message, param_hint=option) from error


def _place(text: str) -> Place:
    try:
        return dead_letter_topic.parse_place(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@contextmanager
def _progress(*, is_quiet: bool = False) -> Iterator[Callable[[str], OnProgress]]:
    """Bars on the terminal, none elsewhere; each is named, told how far of how much, and seen once it is told."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=is_quiet or not console.is_terminal,
        # Else what is printed meanwhile would go where the bar is, also when it was meant for a file.
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:

        def bar(what: str) -> OnProgress:
            task = progress.add_task(what, total=0, visible=False)
            return lambda done, of: progress.update(task, completed=done, total=of, visible=True)

        yield bar
