"""Points and spans of time survive their text."""

from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from needstream.schemas import times

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_9999_MS = 253_370_764_800_000


@given(
    st.datetimes(
        datetime(1, 1, 2),  # noqa: DTZ001 - hypothesis wants naive bounds
        datetime(9999, 12, 30),  # noqa: DTZ001
        timezones=st.builds(lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-1439, 1439)),
    )
)
def test_event_time_is_rounded_down_to_the_millisecond(moment: datetime) -> None:
    span = moment - EPOCH
    microseconds = (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds

    assert microseconds // 1000 == times.event_time(moment)


@given(st.integers(0, YEAR_9999_MS))
def test_text_and_milliseconds_are_inverse(at_ms: int) -> None:
    assert at_ms == times.parse_rfc3339(times.rfc3339(at_ms))


def test_text_is_in_utc_with_three_decimals() -> None:
    assert "2025-03-01T08:30:00.250Z" == times.rfc3339(times.parse_rfc3339("2025-03-01T09:30:00.25+01:00"))


@pytest.mark.parametrize("text", ["2025-03-01T09:30:00", "2025-03-01"])
def test_a_time_without_an_offset_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="no offset; write for example"):
        times.parse_rfc3339(text)


@pytest.mark.parametrize(
    ("text", "span_ms"),
    [
        ("30m", 1_800_000),
        ("1h30m", 5_400_000),
        ("14d", 1_209_600_000),
        ("1 d 1 ms", 86_400_001),
        ("0.5s", 500),
        ("0s", 0),
    ],
)
def test_a_duration_is_numbers_with_units(text: str, span_ms: int) -> None:
    assert span_ms == times.parse_duration(text)


@pytest.mark.parametrize(
    "text", ["", "  ", "5", "m", "5x", "5m3", "-5m", "1e3s", "5mm", "1..5s", "\u0665m", "9" * 400 + "d"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        times.parse_duration(text)


@given(st.integers(0, 10**11))
def test_the_shortest_text_of_a_span_means_the_span(span_ms: int) -> None:
    assert span_ms == times.parse_duration(times.duration_text(span_ms))


@pytest.mark.parametrize(
    ("span_ms", "text"), [(1_209_600_000, "14d"), (5_400_000, "90m"), (3_600_000, "1h"), (1500, "1500ms")]
)
def test_a_span_is_told_in_its_largest_whole_unit(span_ms: int, text: str) -> None:
    assert text == times.duration_text(span_ms)


@given(st.text(alphabet="0123456789.smhd ", max_size=12))
def test_a_duration_is_the_sum_of_its_parts_or_refused(text: str) -> None:
    try:
        span_ms = times.parse_duration(text)
    except ValueError:
        return
    units = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
    rest, total = text.replace(" ", ""), Fraction(0)
    while rest:
        number = rest[: next(place for place, letter in enumerate(rest) if letter in "smhd")]
        unit = "ms" if rest[len(number) :].startswith("ms") else rest[len(number)]
        total += Fraction(number) * units[unit]
        rest = rest[len(number) + len(unit) :]
    assert abs(total - span_ms) <= 1
