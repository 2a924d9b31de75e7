"""Published data sets by name, converted to input files."""

import collections
import contextlib
import csv
import enum
import pathlib
from collections.abc import Callable, Iterator
from typing import IO

from needstream.simulation.adapters import bank_calls, berka, converted, online_retail
from needstream.streams.event_files import DamagedFile

Read = Callable[[pathlib.Path, collections.Counter[str]], Iterator[converted.Converted]]


class Source(enum.StrEnum):
    """The data sets that can be converted; what a path must lead to stands with each adapter."""

    ONLINE_RETAIL = "online-retail"
    BERKA = "berka"
    BANK_CALLS = "bank-calls"


READERS: dict[Source, Read] = {
    Source.ONLINE_RETAIL: online_retail.read,
    Source.BERKA: berka.read,
    Source.BANK_CALLS: bank_calls.read,
}


def write(source: Source, path: pathlib.Path, *, folder: pathlib.Path) -> tuple[dict[str, int], dict[str, int]]:
    """Convert the data set at ``path`` to ``<topic>.jsonl`` files in ``folder``.

    Returns:
        Events by topic, and what was left out by reason.

    Raises:
        FileNotFoundError: a file of the data set is missing.
        DamagedFile: the file is not what the data set's adapter reads.
    """
    skipped = collections.Counter[str]()
    written = collections.Counter[str]()
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        files: dict[str, IO[bytes]] = {}
        try:
            for topic, _, event in READERS[source](path, skipped):
                if topic not in files:
                    files[topic] = stack.enter_context((folder / f"{topic}.jsonl").open("wb"))
                files[topic].write(event + b"\n")
                written[topic] += 1
        except KeyError as error:
            msg = f"{path}: no {source} data: there is no column {error}"
            raise DamagedFile(msg) from error
        except (UnicodeDecodeError, EOFError, ValueError, csv.Error) as error:
            msg = f"{path}: no {source} data: {error}"
            raise DamagedFile(msg) from error
    if not written:
        msg = f"{path}: no {source} data: nothing in it could be converted"
        raise DamagedFile(msg)
    return dict(written), dict(skipped)
