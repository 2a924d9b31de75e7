"""``needstream chaos``: play the drills and report; exit code 0 when all passed, 1 when one failed."""

import contextlib
import enum
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.console import Console

from needstream.simulation.chaos.outcomes import Outcome
from needstream.streams.cli import options as common

if TYPE_CHECKING:
    from needstream.simulation.chaos.theatre import Theatre

SHORT = {"customers": 200, "days": 90, "kills": 5, "rounds": 2, "move_s": 8.0, "stopped_s": 8.0, "paused_s": 15.0}
FULL = {"customers": 2_500, "days": 60, "kills": 30, "rounds": 6, "move_s": 10.0, "stopped_s": 20.0, "paused_s": 40.0}


class BrokerName(enum.StrEnum):
    """Which broker is started for each run."""

    EMBEDDED = "embedded"
    APACHE = "apache"


class DrillName(enum.StrEnum):
    """Which drills are played."""

    KILL = "kill"
    REBALANCE = "rebalance"
    BROKER = "broker"
    REDELIVERY = "redelivery"
    ALL = "all"


class ModelsKind(enum.StrEnum):
    """How models are served."""

    PINNED = "pinned"
    LEARNING = "learning"
    BOTH = "both"


class StoreName(enum.StrEnum):
    """Where customer states rest."""

    MEMORY = "memory://"
    ROCKSDICT = "rocksdict://"


def chaos(
    *,
    drill: Annotated[DrillName, typer.Option(help="Which drill.")] = DrillName.ALL,
    models: Annotated[ModelsKind, typer.Option(help="Models learned before and pinned, or learning meanwhile.")] = (
        ModelsKind.BOTH
    ),
    broker: Annotated[BrokerName, typer.Option(help="Started fresh for every run.")] = BrokerName.EMBEDDED,
    store: Annotated[StoreName, typer.Option(help="Where customer states rest.")] = StoreName.MEMORY,
    customers: Annotated[int | None, typer.Option(min=20, help="How many customers; short 200, full 2500.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="How many days; short 90, full 60.")] = None,
    kills: Annotated[int | None, typer.Option(min=0, help="Kills of the kill-loop; short 5, full 30.")] = None,
    rounds: Annotated[int | None, typer.Option(min=0, help="Rounds of the storm; short 2, full 6.")] = None,
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of the topics.")] = 4,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal events and plans.")] = 7,
    short: Annotated[bool, typer.Option("--short", help="A few minutes instead of half an hour or more.")] = False,
    output: Annotated[Path | None, typer.Option(file_okay=False, help="Keep events, logs and reports here.")] = None,
    as_json: common.Json = False,
) -> None:
    """Kill workers, move partitions, take the broker away, deliver twice; compare with an uninterrupted run.

    Simulated events only. The full form is about 200,000 events; a drill passes when outputs and customer states are
    those of a worker that nobody disturbed.
    """
    from needstream.simulation.chaos import fleet, report_table, theatre

    if drill is DrillName.BROKER and broker is BrokerName.EMBEDDED:
        msg = "the broker drill needs Apache Kafka; the embedded broker saves shortly after it acknowledges"
        raise typer.BadParameter(msg, param_hint="--broker")
    given = {"customers": customers, "days": days, "kills": kills, "rounds": rounds}
    sizes = (SHORT if short else FULL) | {name: number for name, number in given.items() if number is not None}
    chosen = theatre.Options(
        broker=str(broker),
        partitions=partitions,
        store=str(store),
        seed=seed,
        **sizes,  # type: ignore[arg-type]
    )
    kinds = [str(kind) for kind in ModelsKind if kind is not ModelsKind.BOTH and models in (kind, ModelsKind.BOTH)]
    console = Console(stderr=as_json)
    outcomes: list[Outcome] = []
    with _folder(output) as folder:
        for opened in theatre.open_theatres(chosen, folder, kinds=kinds):
            for name, play in _drills(drill, broker):
                with Console(stderr=True).status(f"{name}, models {opened.kind}"):
                    outcome = Outcome(name, opened.kind)
                    outcomes.append(outcome)
                    started_s = time.monotonic()
                    try:
                        play(opened, outcome)
                    except fleet.Hopeless as error:
                        outcome.notes.append(str(error))
                    outcome.seconds = time.monotonic() - started_s
                console.print(report_table.render(outcome))
        passed = all(outcome.passed for outcome in outcomes)
        told = {
            "passed": passed,
            "seed": seed,
            "broker": str(broker),
            "store": str(store),
            "partitions": partitions,
            "sizes": sizes,
            "drills": [outcome.as_dict() for outcome in outcomes],
        }
        (folder / "report.json").write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
        (folder / "differences.json").write_bytes(orjson.dumps(_examples(outcomes), option=orjson.OPT_INDENT_2))
    if as_json:
        typer.echo(orjson.dumps(told).decode())
    else:
        console.print(f"{'all passed' if passed else 'FAILED'}; --seed {seed} draws the same events and plans again")
    raise typer.Exit(0 if passed else 1)


def _drills(chosen: DrillName, broker: BrokerName) -> Iterator[tuple[str, Callable[["Theatre", Outcome], None]]]:
    from needstream.simulation.chaos import broker_drill, kill_drill, rebalance_drill, redelivery_drill

    # Redelivery begins with an uninterrupted run, which the kill-loop and the broker drill then compare with.
    plays: dict[DrillName, Callable[[Theatre, Outcome], None]] = {
        DrillName.REDELIVERY: redelivery_drill.play,
        DrillName.KILL: kill_drill.play,
        DrillName.REBALANCE: rebalance_drill.play,
        DrillName.BROKER: broker_drill.play,
    }
    for name, play in plays.items():
        if chosen is name or (chosen is DrillName.ALL and not (name is DrillName.BROKER and broker != "apache")):
            yield str(name), play


def _examples(outcomes: list[Outcome]) -> dict[str, object]:
    """Ids of a few differences; they name simulated customers, and stand in a file of their own."""
    told: dict[str, object] = {}
    for outcome in outcomes:
        if outcome.comparison is not None:
            found = {name: each.examples for name, each in outcome.comparison.topics.items() if each.examples}
            found["customer states"] = outcome.comparison.states.examples
            told[f"{outcome.drill} {outcome.models}"] = found
    return told


@contextlib.contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="needstream-chaos-") as folder:
        yield Path(folder)
