"""The program ``needstream``: gathers its commands and turns every mistake into one clear answer.

Exit codes: 0 done, 1 failed, 2 wrong usage. Other packages add commands through the entry point
group ``needstream.commands``; each entry is called with the Typer application.
"""

import sys
from importlib.metadata import entry_points, version
from typing import Annotated

import typer
from rich.console import Console
from typer.exceptions import TyperException

from needstream.streams.cli import (
    deadletters_command,
    doctor_command,
    erase_command,
    evaluate_command,
    produce_command,
    replay_command,
    tail_command,
    topics_command,
    worker_command,
)
from needstream.streams.cli.failures import FAILURES

GROUP = "needstream.commands"
FAILED = 1

app = typer.Typer(
    name="needstream",
    help="Need signals and churn alerts from clickstream and transactions.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"needstream {version('needstream')}")
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Need signals and churn alerts from clickstream and transactions."""


worker_command.register(app)
topics_command.register(app)
replay_command.register(app)
produce_command.register(app)
tail_command.register(app)
evaluate_command.register(app)
deadletters_command.register(app)
erase_command.register(app)
doctor_command.register(app)


def run() -> None:
    """The console script: parse, run, exit."""
    sys.exit(call(sys.argv[1:]))


def call(arguments: list[str]) -> int:
    """Run one command line.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    command = typer.main.get_command(_complete(app))
    try:
        code = command.main(arguments, prog_name="needstream", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        console.print("stopped")
        return FAILED
    except TyperException as mistake:
        console.print(_explained(mistake), markup=False)
        return mistake.exit_code
    except FAILURES as error:
        console.print(f"needstream: {error}", markup=False)
        return FAILED
    return code if isinstance(code, int) else 0


def _complete(base: typer.Typer) -> typer.Typer:
    """The application with the commands of every installed package."""
    if not getattr(base, "completed", False):
        for entry in sorted(entry_points(group=GROUP), key=lambda each: each.name):
            entry.load()(base)
        base.completed = True  # type: ignore[attr-defined]  # remembered so that it happens once
    return base


def _explained(mistake: TyperException) -> str:
    """The mistake, and what would have been valid where it was made."""
    lines = [f"needstream: {mistake.format_message()}"]
    context = getattr(mistake, "ctx", None)
    if context is None:
        return lines[0]
    if hasattr(context.command, "list_commands"):
        lines.append(f"commands: {', '.join(sorted(context.command.list_commands(context)))}")
    options = sorted({name for each in context.command.params for name in each.opts if name.startswith("--")})
    if options:
        lines.append(f"options: {', '.join(options)}")
    lines.append(f"try: {context.command_path} --help")
    return "\n".join(lines)
