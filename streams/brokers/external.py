"""A broker somebody else runs: only its address is ours to know."""

from needstream.streams.brokers import interface

REACH_TIMEOUT_S = 10.0


class ExternalBroker(interface.Broker):
    """An already running cluster; `start` checks that it answers, `stop` leaves it alone."""

    name = "external"

    def __init__(self, address: str) -> None:
        """Take `host:port`, or several separated by commas.

        Raises:
            ValueError: a part is not `host:port`.
        """
        for part in address.split(","):
            host, colon, port = part.rpartition(":")
            if not (host and colon and port.isascii() and port.isdigit()):
                msg = f"broker address {part!r} is not host:port"
                raise ValueError(msg)
        self._address = address

    @property
    def bootstrap(self) -> str:
        """The address as it was given."""
        return self._address

    def start(self) -> str:
        """Check that the cluster answers and return its address."""
        if not interface.await_answer(self._address, REACH_TIMEOUT_S, alive=lambda: True):
            msg = (
                f"no broker answers at {self._address} (tried for {REACH_TIMEOUT_S:.0f} s): start it, correct "
                "NEEDSTREAM_BROKER, or check that its advertised listener can be reached from here"
            )
            raise interface.BrokerUnavailable(msg)
        return self._address

    def stop(self) -> None:
        """Do nothing: the cluster is not ours."""
