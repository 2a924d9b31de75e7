"""Files of events named by topic: ``clickstream.v1.jsonl``, also ``.gz``, one event per line."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from needstream.streams import topics


class DamagedFile(ValueError):
    """Raised when a file cannot be read to its end."""


def find(folder: Path) -> dict[str, Path]:
    """The input files of a folder by topic, in merge rank; missing ones count as empty.

    Raises:
        FileNotFoundError: there is none at all.
    """
    found = {
        topic: path
        for topic in topics.INPUTS
        for path in (folder / f"{topic}.jsonl.gz", folder / f"{topic}.jsonl")
        if path.is_file()
    }
    if not found:
        msg = f"{folder} holds none of {', '.join(f'{topic}.jsonl' for topic in topics.INPUTS)} (.gz too)"
        raise FileNotFoundError(msg)
    return found


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines without their ends; an empty line is a record, an empty rest of the file is not.

    Raises:
        DamagedFile: a compressed file that is cut off or not compressed; says how far it could be read.
    """
    read = 0
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        try:
            for line in file:
                read += 1
                yield line.removesuffix(b"\n").removesuffix(b"\r")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            msg = f"{path}: damaged after line {read}: {error}"
            raise DamagedFile(msg) from error


def count_lines(folder: Path) -> int:
    """How many records the input files of a folder hold."""
    return sum(sum(1 for _ in read_lines(path)) for path in find(folder).values())
