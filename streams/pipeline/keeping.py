"""How a pending prediction is kept small: its features, and what each contestant said, as bytes.

In go numbers, out come bytes from which they are read again: features without loss, probabilities within 1/65536.
The bytes stand in stored states, so their layout is a contract.
"""

import struct
from collections.abc import Mapping
from typing import get_args

from needstream.models.standing import LINE
from needstream.schemas import pack as packs

_FLOAT_BYTES = 4
_KINDS: tuple[str, ...] = (LINE, *get_args(packs.Contestant))
"""The order in which what was said is kept: new kinds are appended, none is moved or removed."""

_LEVEL_BYTES = 2
_LEVELS = 2**16


def packed(values: tuple[float, ...]) -> bytes:
    """A vector for keeping: a bit per value that is not zero, then those values. Most are zero."""
    present = sum(1 << place for place, value in enumerate(values) if value)
    kept = [value for value in values if value]
    return present.to_bytes(_mask_bytes(len(values)), "little") + struct.pack(f"<{len(kept)}f", *kept)


def unpacked(kept: bytes, size: int) -> tuple[float, ...]:
    """The vector of ``size`` values that was packed."""
    width = _mask_bytes(size)
    present = int.from_bytes(kept[:width], "little")
    values = iter(struct.unpack(f"<{(len(kept) - width) // _FLOAT_BYTES}f", kept[width:]))
    return tuple(next(values) if present >> place & 1 else 0.0 for place in range(size))


def said_packed(said: Mapping[str, float]) -> bytes:
    """What contestants said, by kind, for keeping: 16 bits each in the order of the kinds.

    0 stands for one that was not asked, any other number n for the probability n / 65536; zeros at the end are cut off.
    """
    levels = [_level(said.get(kind)) for kind in _KINDS]
    while levels and not levels[-1]:
        levels.pop()
    return struct.pack(f"<{len(levels)}H", *levels)


def said_unpacked(kept: bytes) -> dict[str, float]:
    """What contestants said, by kind, within 1/65536 and never quite 0 or 1."""
    levels = struct.unpack(f"<{len(kept) // _LEVEL_BYTES}H", kept)
    return {kind: level / _LEVELS for kind, level in zip(_KINDS, levels, strict=False) if level}


def _level(probability: float | None) -> int:
    return 0 if probability is None else max(1, min(_LEVELS - 1, round(probability * _LEVELS)))


def _mask_bytes(size: int) -> int:
    return (size + 7) // 8
