"""Where the Kafka protocol comes from: a broker in a box, Apache Kafka from Maven artifacts, or one already running.

`choose` turns a short name into a broker; every broker is a context manager that yields its bootstrap address.
"""

from pathlib import Path

from needstream.streams.brokers.apache import ApacheBroker
from needstream.streams.brokers.embedded import EmbeddedBroker
from needstream.streams.brokers.external import ExternalBroker
from needstream.streams.brokers.interface import Broker, BrokerUnavailable

__all__ = ["ApacheBroker", "Broker", "BrokerUnavailable", "EmbeddedBroker", "ExternalBroker", "choose"]

CHOICES = "embedded | apache | external:host:port"


def choose(name: str, directory: Path | None = None) -> Broker:
    """Return the broker a name stands for, not started yet.

    Args:
        name: `embedded`, `apache` or `external:host:port`.
        directory: where a broker we start keeps its data; None means a temporary directory that is removed on exit.

    Raises:
        ValueError: the name is none of the three.
    """
    match name.partition(":"):
        case ("embedded", "", ""):
            return EmbeddedBroker(directory)
        case ("apache", "", ""):
            return ApacheBroker(directory)
        case ("external", ":", address) if address:
            return ExternalBroker(address)
    msg = f"unknown broker {name!r}; expected {CHOICES}"
    raise ValueError(msg)
