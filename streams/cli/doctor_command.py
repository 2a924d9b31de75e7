"""``needstream doctor``: checks what a worker needs and says what to do."""

from collections.abc import Callable, Iterator

import typer

from needstream.streams import changelog, input_offsets, state_folder, topic_admin
from needstream.streams.brokers import interface
from needstream.streams.cli import options
from needstream.streams.packs import loader
from needstream.streams.settings import DEVELOPMENT_KEY, Settings, from_environment


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(broker: options.Broker = None) -> None:
    """Check settings, pack, broker, topics, changelog, offsets and local state; exit code 1 if anything is wrong."""
    settings = from_environment()
    address = options.broker_address(broker)
    findings = 0
    for advice in _advice(settings):
        typer.echo(f"advice    {advice}")
    for name, examine in (
        ("pack", lambda: _pack(settings)),
        ("broker", lambda: _broker(address)),
        ("topics", lambda: _topics(address)),
        ("changelog", lambda: _changelog(address, settings.app_id)),
        ("offsets", lambda: _offsets(address, settings)),
        ("store", lambda: _store(settings)),
    ):
        problems = list(_guarded(examine))
        findings += len(problems)
        typer.echo(f"{name:<9} {'ok' if not problems else ''}")
        for problem in problems:
            typer.echo(f"  - {problem}")
    if findings:
        raise typer.Exit(1)


def _guarded(examine: Callable[[], Iterator[str]]) -> Iterator[str]:
    try:
        yield from examine()
    except (ConnectionError, ValueError, RuntimeError) as error:
        yield str(error)


def _advice(settings: Settings) -> Iterator[str]:
    if settings.model_key == DEVELOPMENT_KEY:
        yield "model snapshots are signed with the development key; set NEEDSTREAM_MODEL_KEY"
    if settings.store == "memory://":
        yield "customer states are kept in memory and restored from the changelog; set NEEDSTREAM_STORE=rocksdict://"


def _pack(settings: Settings) -> Iterator[str]:
    loader.load(settings.pack)
    yield from ()


def _broker(address: str) -> Iterator[str]:
    if not interface.answers(address):
        yield f"nobody answers the Kafka protocol at {address}; start a broker or set NEEDSTREAM_BROKER"


def _topics(address: str) -> Iterator[str]:
    yield from (str(problem) for problem in topic_admin.check(address))


def _changelog(address: str, app_id: str) -> Iterator[str]:
    yield from (str(problem) for problem in changelog.check(address, app_id))


def _offsets(address: str, settings: Settings) -> Iterator[str]:
    if interface.answers(address):
        findings = input_offsets.examine(address, settings.app_id, learns=settings.models is None)
        yield from (str(finding) for finding in findings)


def _store(settings: Settings) -> Iterator[str]:
    # Only what is there: a folder made here might belong to somebody else than the worker's user.
    if settings.store != "memory://" and settings.data_dir.exists():
        state_folder.StateFolder(settings.data_dir, changelog.TABLE).check()
    yield from ()
