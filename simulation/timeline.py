"""Event times of the simulation: whole milliseconds since 1970 in UTC, days counted from the start, RFC 3339 text.

The simulator never reads a clock: every time here comes from the parameters.
"""

import datetime
import functools

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_EPOCH_ORDINAL = datetime.date(1970, 1, 1).toordinal()


@functools.lru_cache(maxsize=8192)
def date_of(day_number: int) -> datetime.date:
    """Return the calendar date of a day counted from 1970-01-01."""
    return datetime.date.fromordinal(_EPOCH_ORDINAL + day_number)


@functools.lru_cache(maxsize=8192)
def _date_text(day_number: int) -> str:
    return date_of(day_number).isoformat()


def rfc3339(at_ms: int) -> str:
    """Format a time as RFC 3339 in UTC with milliseconds, for example ``2025-03-01T09:30:00.250Z``."""
    day_number, rest_ms = divmod(at_ms, DAY_MS)
    seconds, milliseconds = divmod(rest_ms, SECOND_MS)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{_date_text(day_number)}T{hour:02d}:{minute:02d}:{second:02d}.{milliseconds:03d}Z"


def parse(text: str) -> int:
    """Return the milliseconds since 1970 of an RFC 3339 text with an offset.

    Raises:
        ValueError: the text is no such time, or says no offset.
    """
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        message = f"time without an offset: {text!r}"
        raise ValueError(message)
    elapsed = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return elapsed // datetime.timedelta(milliseconds=1)


def weekday(day_number: int) -> int:
    """Return 0 for Monday to 6 for Sunday of a day counted from 1970-01-01."""
    return (day_number + 3) % 7
