"""How a pending prediction is kept small: its features, and what each contestant said, as bytes.

In go numbers, out come bytes from which they are read again: features without loss, probabilities within 1/65536.
The bytes stand in stored states, so their layout is a contract.
"""

import struct
from collections.abc import Callable
from functools import cache, lru_cache
from itertools import compress, count
from operator import itemgetter

from needstream.models.standing import RECORDED

_LEVEL_BYTES = 2
_share = (2.0**-16).__mul__
"""The probability of a level."""

_ROW = struct.Struct(f"<{len(RECORDED)}H")
_SAID = [struct.Struct(f"<B{count}H") for count in range(len(RECORDED) + 1)]
_WHO = tuple(1 << place for place in range(len(RECORDED)))


def packed(values: tuple[float, ...]) -> bytes:
    """A vector for keeping: a bit per value that is not zero, then those values. Most are zero."""
    present = sum(compress(_bits(len(values)), values))
    kept = [*filter(None, values)]
    return present.to_bytes(_mask_bytes(len(values)), "little") + _floats(len(kept)).pack(*kept)


def unpacked(kept: bytes, size: int) -> tuple[float, ...]:
    """The vector of ``size`` values that was packed."""
    width = _mask_bytes(size)
    spread, floats = _spread(kept[:width], size)
    return spread((0.0, *floats.unpack_from(kept, width)))


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
        asked = [*filter(None, row)]
        rows.append(_SAID[len(asked)].pack(sum(compress(_WHO, row)), *asked))
    return rows


def said_unpacked(kept: bytes) -> dict[str, float]:
    """What contestants said, by kind, within 1/65536 and never quite 0 or 1."""
    if not kept:
        return {}
    asked, *levels = _SAID[len(kept) // _LEVEL_BYTES].unpack(kept)
    return dict(zip(_kinds(asked), map(_share, levels), strict=True))


@cache
def _kinds(asked: int) -> tuple[str, ...]:
    return tuple(kind for place, kind in enumerate(RECORDED) if asked >> place & 1)


@lru_cache(maxsize=4096)
def _spread(mask: bytes, size: int) -> tuple[Callable[[tuple[float, ...]], tuple[float, ...]], struct.Struct]:
    """What puts the values kept under a mask in their places, a zero before them in all others; and how they are kept.

    Customers who do the same have the same features, so a few masks come again and again.
    """
    present = int.from_bytes(mask, "little")
    behind = count(1)
    places = [next(behind) if present & bit else 0 for bit in _bits(size)]
    if len(places) > 1:
        return itemgetter(*places), _floats(present.bit_count())
    # An itemgetter of one place would give no tuple.
    return (lambda values: tuple(values[place] for place in places)), _floats(present.bit_count())


@cache
def _floats(size: int) -> struct.Struct:
    return struct.Struct(f"<{size}f")


@cache
def _bits(size: int) -> tuple[int, ...]:
    return tuple(1 << place for place in range(size))


def _mask_bytes(size: int) -> int:
    return (size + 7) // 8
