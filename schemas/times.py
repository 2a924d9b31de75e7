"""Points and spans of time as integer milliseconds, and their one text form at the edge.

Event time and processing time are different types, so that a clock reading cannot slip into a
decision that must depend on events alone.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NewType

EventTime = NewType("EventTime", int)
"""When it happened, as the producer said: milliseconds since 1970-01-01 UTC."""

ProcessingTime = NewType("ProcessingTime", int)
"""When we looked at it: milliseconds since 1970-01-01 UTC."""

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS_MS = {"ms": 1, "s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_MINUTES = tuple(f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(24 * 60))
_SECONDS = tuple(f"{second:02d}." for second in range(60))
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)")


def event_time(moment: datetime) -> EventTime:
    """Milliseconds of an aware ``moment``, rounded down."""
    span = moment - _EPOCH
    # The name of the type costs a call; every record comes by here.
    return span.days * DAY_MS + span.seconds * SECOND_MS + span.microseconds // 1000  # type: ignore[return-value]


def rfc3339(at_ms: int) -> str:
    """Text such as ``2025-03-01T09:30:00.250Z`` (UTC, always three decimals)."""
    day, within_ms = divmod(at_ms, DAY_MS)
    minute, within_ms = divmod(within_ms, MINUTE_MS)
    second, millisecond = divmod(within_ms, SECOND_MS)
    return f"{_date(day)}{_MINUTES[minute]}{_SECONDS[second]}{millisecond:03d}Z"


@lru_cache(maxsize=1024)
def _date(day: int) -> str:
    """The date of a day counted from 1970-01-01; a stream speaks of few days at a time."""
    return (_EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")


def parse_rfc3339(text: str) -> EventTime:
    """Milliseconds of an RFC 3339 text with an offset.

    Raises:
        ValueError: no RFC 3339 text, or one without an offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        msg = f"{text!r} has no offset; write for example {text}Z"
        raise ValueError(msg)
    return event_time(moment)


def parse_duration(text: str) -> int:
    """Milliseconds of text such as ``30m``, ``1h30m``, ``14d`` (units ms, s, m, h, d).

    Raises:
        ValueError: empty, or anything but numbers each followed by a unit.
    """
    compact = text.strip().replace(" ", "")
    parts = list(_DURATION.finditer(compact))
    if not parts or sum(len(part.group(0)) for part in parts) != len(compact):
        msg = f"{text!r} is no duration; write a number and a unit, such as 30m or 14d"
        raise ValueError(msg)
    return round(sum(float(part.group(1)) * _UNITS_MS[part.group(2)] for part in parts))


def duration_text(span_ms: int) -> str:
    """The shortest whole-unit text of a span, such as ``14d`` or ``90m``."""
    for unit, unit_ms in (("d", DAY_MS), ("h", HOUR_MS), ("m", MINUTE_MS), ("s", SECOND_MS)):
        if span_ms and span_ms % unit_ms == 0:
            return f"{span_ms // unit_ms}{unit}"
    return f"{span_ms}ms"
