"""``needstream topics``: what exists, what is missing, what is wrong."""

from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from needstream.streams import topic_admin, topics
from needstream.streams.cli import options

Partitions = Annotated[int, typer.Option(min=1, max=10_000, help="Partitions of the input and output topics.")]
Replication = Annotated[int, typer.Option(min=1, max=7, help="Copies of each partition.")]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Create or check the Kafka topics.", no_args_is_help=True)
    group.command("plan")(plan)
    group.command("apply")(apply)
    group.command("check")(check)
    app.add_typer(group, name="topics")


def plan(
    *,
    broker: options.Broker = None,
    partitions: Partitions = topics.DEFAULT_PARTITIONS,
    replication: Replication = 1,
    as_json: options.Json = False,
) -> None:
    """Show what `apply` would create, and what stands in its way."""
    planned = topic_admin.plan(options.broker_address(broker), partitions, replication=replication)
    _show(planned, as_json=as_json, verb="would create")


def apply(
    *,
    broker: options.Broker = None,
    partitions: Partitions = topics.DEFAULT_PARTITIONS,
    replication: Replication = 1,
    as_json: options.Json = False,
) -> None:
    """Create missing topics; existing ones are never altered."""
    done = topic_admin.apply(options.broker_address(broker), partitions, replication=replication)
    _show(done, as_json=as_json, verb="created")


def check(broker: options.Broker = None, as_json: options.Json = False) -> None:
    """Say what is wrong with the topics and what to do; exit code 1 if anything is."""
    problems = topic_admin.check(options.broker_address(broker))
    if as_json:
        typer.echo(orjson.dumps([str(problem) for problem in problems]).decode())
    else:
        for problem in problems:
            typer.echo(str(problem))
        if not problems:
            typer.echo("topics: all there, co-partitioned, rightly configured")
    if problems:
        raise typer.Exit(1)


def _show(planned: topic_admin.Plan, *, as_json: bool, verb: str) -> None:
    if as_json:
        told = {
            "creations": [
                {"topic": each.topic.name, "partitions": each.partitions, "replication": each.replication}
                for each in planned.creations
            ],
            "problems": [str(problem) for problem in planned.problems],
        }
        typer.echo(orjson.dumps(told).decode())
    else:
        table = Table("topic", "key", "partitions", "cleanup")
        for creation in planned.creations:
            topic = creation.topic
            table.add_row(topic.name, topic.key, str(creation.partitions), str(topic.cleanup_policy))
        if planned.creations:
            typer.echo(f"{verb}:")
            Console().print(table)
        for problem in planned.problems:
            typer.echo(str(problem))
        if not (planned.creations or planned.problems):
            typer.echo("topics: nothing to do")
    if any(problem.fatal for problem in planned.problems):
        raise typer.Exit(1)
