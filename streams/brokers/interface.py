"""What every broker offers, and the one way to ask whether it answers.

Invariant: a broker counts as started only once a real metadata request named at least one node.
"""

import logging
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

POLL_INTERVAL_S = 0.05


class BrokerUnavailable(RuntimeError):
    """Raised when a broker cannot be started or reached; the message names the cause and the remedy."""


class Broker(ABC):
    """A Kafka-protocol broker with a life: start, stop, and the address clients bootstrap from."""

    #: Short name for reports: `embedded`, `apache` or `external`.
    name: str
    #: Where the records are kept; None for a broker that is not ours.
    directory: Path | None = None

    @property
    @abstractmethod
    def bootstrap(self) -> str:
        """The address clients connect to, `host:port`; several are separated by commas."""

    @abstractmethod
    def start(self) -> str:
        """Start the broker, wait until it answers and return `bootstrap`.

        Raises:
            BrokerUnavailable: it cannot be started or does not answer.
        """

    @abstractmethod
    def stop(self) -> None:
        """Stop the broker cleanly; acknowledged records stay on disk and `start` serves them again."""

    def close(self) -> None:
        """Stop for good and give back what only existed for this broker."""
        self.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_outcome: object) -> None:
        self.close()


def answers(bootstrap: str, timeout_s: float = 5.0) -> bool:
    """Tell whether a metadata request to `bootstrap` names at least one node."""
    # Somebody must listen at all before a client tries: one that is refused leaves its socket to the garbage collector.
    if not any(_listens(address, timeout_s) for address in bootstrap.split(",")):
        return False
    # A client that gets no answer logs each attempt; not being there yet is what is asked here.
    logger = logging.getLogger("kafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap.split(","),
            request_timeout_ms=int(timeout_s * 1000),
            bootstrap_timeout_ms=int(timeout_s * 1000),
        )
        try:
            # Bootstrapping asked for the nodes; this second metadata request goes to one of those that were named.
            admin.list_topics()
        finally:
            admin.close()
    except (KafkaError, OSError):
        return False
    else:
        return True
    finally:
        logger.setLevel(level)


def _listens(address: str, timeout_s: float) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout_s).close()
    except OSError:
        return False
    return True


def await_answer(bootstrap: str, timeout_s: float, *, alive: Callable[[], bool]) -> bool:
    """Wait until a broker answers; False when `alive` turns false or `timeout_s` is over first."""
    deadline = time.monotonic() + timeout_s
    while alive() and time.monotonic() < deadline:
        if answers(bootstrap, timeout_s=1.0):
            return True
        time.sleep(POLL_INTERVAL_S)
    return False
