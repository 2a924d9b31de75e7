"""How a pending prediction is kept small: its features, and what each contestant said, as bytes.

In go numbers, out come bytes from which they are read again: features without loss, probabilities within 1/65536.
The bytes stand in stored states, so their layout is a contract.
"""

import struct
from functools import cache
from itertools import compress

from needstream.models.standing import RECORDED

_FLOAT_BYTES = 4
_LEVEL_BYTES = 2
_LEVELS = 2**16
_ROW = struct.Struct(f"<{len(RECORDED)}H")
_SAID = [struct.Struct(f"<B{count}H") for count in range(len(RECORDED) + 1)]
_WHO = tuple(1 << place for place in range(len(RECORDED)))


def packed(values: tuple[float, ...]) -> bytes:
    """A vector for keeping: a bit per value that is not zero, then those values. Most are zero."""
    present = sum(compress(_bits(len(values)), values))
    kept = [value for value in values if value]
    return present.to_bytes(_mask_bytes(len(values)), "little") + struct.pack(f"<{len(kept)}f", *kept)


def unpacked(kept: bytes, size: int) -> tuple[float, ...]:
    """The vector of ``size`` values that was packed."""
    width = _mask_bytes(size)
    present = int.from_bytes(kept[:width], "little")
    values = iter(struct.unpack_from(f"<{(len(kept) - width) // _FLOAT_BYTES}f", kept, width))
    return tuple([next(values) if present & bit else 0.0 for bit in _bits(size)])


def said_packed(levels: bytes) -> list[bytes]:
    """What contestants said, for keeping, of model after model.

    Args:
        levels: 16 bits for each kind, in the order of ``RECORDED``: 0 stands for one that was not asked, any other
            number n for the probability n / 65536.

    Returns:
        For each model a byte with a bit for everyone who was asked, then the levels of these.
    """
    rows = []
    for row in _ROW.iter_unpack(levels):
        asked = [level for level in row if level]
        rows.append(_SAID[len(asked)].pack(sum(compress(_WHO, row)), *asked))
    return rows


def said_unpacked(kept: bytes) -> dict[str, float]:
    """What contestants said, by kind, within 1/65536 and never quite 0 or 1."""
    if not kept:
        return {}
    asked, *levels = _SAID[len(kept) // _LEVEL_BYTES].unpack(kept)
    return dict(zip(_kinds(asked), [level / _LEVELS for level in levels], strict=True))


@cache
def _kinds(asked: int) -> tuple[str, ...]:
    return tuple(kind for place, kind in enumerate(RECORDED) if asked >> place & 1)


@cache
def _bits(size: int) -> tuple[int, ...]:
    return tuple(1 << place for place in range(size))


def _mask_bytes(size: int) -> int:
    return (size + 7) // 8
