"""The outline of a record: its top-level fields, how large and how deep each is, by one linear scan.

It answers for any bytes, also for those no parser reads to the end (nested too deeply, cut off, garbage), because it
is used to name the field at fault in exactly those records.
"""

import re

from msgspec import Struct

MAX_NAME = 64
"""Characters of a field name that are kept; a hostile name may be as long as its record."""

# Possessive throughout: a quote that never closes costs one pass, not one per escaped quote inside it.
_TOKEN = re.compile(rb'"((?:[^"\\]++|\\.)*+)"?+(\s*+:)?+|([\[{]++)|([\]}]++)', re.DOTALL)
_STRING, _NAME, _OPENING = 1, 2, 3


class Field(Struct):
    """A top-level field: bytes up to the next one, and its nesting counted from the record's own (1)."""

    name: str
    start: int
    size: int
    depth: int


def fields(raw: bytes) -> list[Field]:
    """The top-level fields in order, after a first one named "" for what stands before them."""
    found = [Field("", 0, len(raw), 0)]
    depth = 0
    for token in _TOKEN.finditer(raw):
        current = found[-1]
        match token.lastindex:
            case 1:
                continue
            case 2:
                if depth == 1:
                    current.size = token.start() - current.start
                    name = token[_STRING][:MAX_NAME].decode("utf-8", "replace")
                    found.append(Field(name, token.start(), len(raw) - token.start(), 0))
            case 3:
                depth += len(token[_OPENING])
                current.depth = max(current.depth, depth)
            case _:
                depth -= len(token[0])
    return found


def deepest(raw: bytes) -> Field:
    """The field that nests deepest, the first of equals."""
    return max(fields(raw), key=lambda field: field.depth)


def largest(raw: bytes) -> Field:
    """The field that takes the most bytes, the first of equals."""
    return max(fields(raw), key=lambda field: field.size)
