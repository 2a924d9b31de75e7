"""Dead letters as text: a line for people, an object for scripts, bytes in a form that can be printed.

Only `printed` shows what a record holds.
"""

import base64
from enum import StrEnum
from typing import Any

from needstream.schemas.times import rfc3339
from needstream.streams.dead_letter_replays import Verdict
from needstream.streams.dead_letter_topic import Letter


class Form(StrEnum):
    """How bytes are printed."""

    AUTO = "auto"
    TEXT = "text"
    HEX = "hex"
    BASE64 = "base64"


def told(letter: Letter) -> dict[str, Any]:
    """What a script is told of a letter: all but what it holds."""
    content = letter.content
    return {
        "place": str(letter.place),
        "topic": content.topic,
        "partition": content.partition,
        "offset": content.offset,
        "reason": content.reason.value,
        "field": content.field,
        "remedy": content.remedy,
        "timestamp": when(content.timestamp_ms) or None,
        "value_bytes": len(content.value or b""),
        "replay_of": content.replay_of,
        "omitted": content.omitted,
    }


def line(letter: Letter) -> str:
    """A line of a list."""
    content = letter.content
    at = when(content.timestamp_ms)[:19].replace("T", " ")
    return f"{letter.place!s:<10} {at:<19}  {letter.origin:<24} {content.reason.value:<34} {readable(content.field)}"


def intention(letter: Letter, verdict: Verdict) -> str:
    """What a replay would do with a letter."""
    content = letter.content
    size = f"{len(content.value or b''):,} bytes, {len(content.headers)} headers"
    return f"{letter.place!s:<10} -> {content.topic}[{content.partition}]  {size}  {verdict}"


def when(at_ms: int | None) -> str:
    """A time as text; empty for none."""
    if at_ms is None:
        return ""
    try:
        return rfc3339(at_ms)
    except OverflowError:  # a producer may date a record beyond the year 9999
        return f"{at_ms} ms"


def readable(text: str) -> str:
    """Text that cannot steer the terminal it is printed on."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def printed(content: bytes | None, form: Form) -> str:
    """Bytes in a form that cannot steer the terminal either."""
    if content is None:
        return "(null)"
    if form is Form.BASE64:
        return base64.b64encode(content).decode()
    if form is not Form.HEX:
        try:
            return readable(content.decode())
        except UnicodeDecodeError:
            if form is Form.TEXT:
                return readable(content.decode("utf-8", "backslashreplace"))
    return content.hex(" ")
