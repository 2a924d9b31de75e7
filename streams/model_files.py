"""Files of signed model snapshots, one JSON object per line: written by replay, served pinned by both shells."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from needstream.models.snapshots import SnapshotRefused, sign, verify
from needstream.models.standing import Standing
from needstream.streams import event_files


def write(models: Iterable[Standing], path: Path, *, key: bytes) -> None:
    """Sign the models and write them in the order given."""
    with path.open("wb") as file:
        for model in models:
            file.write(msgspec.json.encode(sign(model, key)) + b"\n")


def read(path: Path, *, key: bytes, features: tuple[str, ...]) -> list[Standing]:
    """The models of a file.

    Raises:
        SnapshotRefused: there is none, or one is not authentic or has other features.
    """
    models = [verify(line, key, features=features) for line in event_files.read_lines(path) if line]
    if not models:
        msg = f"{path} holds no model snapshot"
        raise SnapshotRefused(msg)
    return models
