"""Settings: one frozen value, read once from a mapping; the only reader of the environment."""

import difflib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from needstream.schemas.times import parse_duration

PREFIX = "NEEDSTREAM_"
DEVELOPMENT_KEY = b"needstream-development-key"
"""Signs model snapshots until a key is configured; anyone can know it, so a worker warns."""

_FOR_TESTS = frozenset({"NEEDSTREAM_DATA", "NEEDSTREAM_TEST_BROKERS", "NEEDSTREAM_REQUIRE_BROKERS"})
_PORTS = range(65_536)


class SettingsRefused(ValueError):
    """Raised for an unknown or unusable setting; names it, its value and what is valid."""


class Settings(Struct, frozen=True, kw_only=True):
    """How one worker runs.

    Attributes:
        broker: ``host:port`` of the Kafka cluster, several separated by commas.
        app_id: consumer group and prefix of the changelog topic.
        pack: a shipped domain pack or a folder with one.
        store: where customer states rest, ``memory://`` or ``rocksdict://``.
        data_dir: folder for local state, one worker's own.
        standby: how many other workers keep a copy of each partition's states, 0 or 1.
        web_host, web_port: where metrics and health are served; port 0 serves nothing.
        model_key: key that signs model snapshots and erasure receipts.
        models: a file of signed snapshots to score with; the worker then does not learn.
        future_tolerance_ms: how far in the future of its arrival an event may lie.
        ordering_wait_ms: how long a caught-up input must be silent before it is no longer waited for.
        identity_wait_ms: how long the events of a customer wait for the history of a visitor.
        idle_after_ms: after this silence the event time of a partition goes on without events.
        stall_after_ms: with work and no finished round for so long the worker says that it is not healthy.
        dead_letter_alert: the share of rejected records above which one is warned.
        dead_letter_stop: the share above which the worker stops; None for never.
        log_level: of the standard library's names.
    """

    broker: str = "localhost:9092"
    app_id: str = "needstream"
    pack: str = "bank"
    store: str = "memory://"
    data_dir: Path = Path(".needstream")
    standby: int = 0
    web_host: str = "127.0.0.1"
    web_port: int = 6066
    model_key: bytes = DEVELOPMENT_KEY
    models: Path | None = None
    future_tolerance_ms: int = 600_000
    ordering_wait_ms: int = 20
    identity_wait_ms: int = 60_000
    idle_after_ms: int = 900_000
    stall_after_ms: int = 120_000
    dead_letter_alert: float = 0.05
    dead_letter_stop: float | None = None
    log_level: str = "INFO"


def from_environment() -> Settings:
    """The settings of the process environment."""
    return from_mapping(os.environ)


def from_mapping(environment: Mapping[str, str]) -> Settings:
    """The settings of the ``NEEDSTREAM_`` variables in ``environment``; other variables are ignored.

    Durations are text such as ``20ms`` or ``15m``.

    Raises:
        SettingsRefused: an unknown variable of that prefix, or a value that cannot be used.
    """
    chosen: dict[str, object] = {}
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable in _FOR_TESTS:
            continue
        reader = _READERS.get(variable)
        if reader is None:
            near = difflib.get_close_matches(variable, _READERS, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            message = f"{variable} is no setting; {hint}valid are {', '.join(sorted(_READERS))}"
            raise SettingsRefused(message)
        name, read = reader
        try:
            chosen[name] = read(environment[variable])
        except ValueError as error:
            shown = "" if name == "model_key" else f"={environment[variable]!r}"
            message = f"{variable}{shown}: {error}"
            raise SettingsRefused(message) from error
    return Settings(**chosen)  # type: ignore[arg-type]  # each reader returns its field's type


def _text(given: str) -> str:
    if not given.strip():
        message = "must not be empty"
        raise ValueError(message)
    return given.strip()


def read_addresses(given: str) -> str:
    """Broker addresses as they were given.

    Raises:
        ValueError: not ``host:port``, several separated by commas.
    """
    for address in given.split(","):
        host, _, port = address.strip().rpartition(":")
        if not host or not port.isdigit() or int(port) not in _PORTS:
            message = "must be host:port, several separated by commas"
            raise ValueError(message)
    return given.replace(" ", "")


def _port(given: str) -> int:
    if not given.isdigit() or int(given) not in _PORTS:
        message = "must be a port number from 0 to 65535"
        raise ValueError(message)
    return int(given)


def _store(given: str) -> str:
    if given not in ("memory://", "rocksdict://"):
        message = "must be memory:// or rocksdict://"
        raise ValueError(message)
    return given


def _standby(given: str) -> int:
    if given not in ("0", "1"):
        message = "must be 0 or 1"
        raise ValueError(message)
    return int(given)


def _key(given: str) -> bytes:
    shortest = 16
    if len(given) < shortest:
        message = f"must have at least {shortest} characters"
        raise ValueError(message)
    return given.encode()


def _file(given: str) -> Path:
    path = Path(given)
    if not path.is_file():
        message = "is no file"
        raise ValueError(message)
    return path


def _share(given: str) -> float:
    try:
        share = float(given)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        message = "must be a share, more than 0 and at most 1"
        raise ValueError(message)
    return share


def _share_or_off(given: str) -> float | None:
    return None if given == "off" else _share(given)


def _level(given: str) -> str:
    levels = ("DEBUG", "INFO", "WARNING", "ERROR")
    if given.upper() not in levels:
        message = f"must be one of {', '.join(levels)}"
        raise ValueError(message)
    return given.upper()


_READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    f"{PREFIX}BROKER": ("broker", read_addresses),
    f"{PREFIX}APP_ID": ("app_id", _text),
    f"{PREFIX}PACK": ("pack", _text),
    f"{PREFIX}STORE": ("store", _store),
    f"{PREFIX}DATA_DIR": ("data_dir", Path),
    f"{PREFIX}STANDBY": ("standby", _standby),
    f"{PREFIX}WEB_HOST": ("web_host", _text),
    f"{PREFIX}WEB_PORT": ("web_port", _port),
    f"{PREFIX}MODEL_KEY": ("model_key", _key),
    f"{PREFIX}MODELS": ("models", _file),
    f"{PREFIX}FUTURE_TOLERANCE": ("future_tolerance_ms", parse_duration),
    f"{PREFIX}ORDERING_WAIT": ("ordering_wait_ms", parse_duration),
    f"{PREFIX}IDENTITY_WAIT": ("identity_wait_ms", parse_duration),
    f"{PREFIX}IDLE_AFTER": ("idle_after_ms", parse_duration),
    f"{PREFIX}STALL_AFTER": ("stall_after_ms", parse_duration),
    f"{PREFIX}DEAD_LETTER_ALERT": ("dead_letter_alert", _share),
    f"{PREFIX}DEAD_LETTER_STOP": ("dead_letter_stop", _share_or_off),
    f"{PREFIX}LOG_LEVEL": ("log_level", _level),
}
