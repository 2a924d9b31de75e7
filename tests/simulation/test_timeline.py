import pytest
from hypothesis import given
from hypothesis import strategies as st

from needstream.simulation import timeline


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_a_formatted_time_parses_to_itself(at_ms: int) -> None:
    assert at_ms == timeline.parse(timeline.rfc3339(at_ms))


def test_an_offset_is_honoured() -> None:
    assert timeline.parse("2025-03-01T09:30:00Z") == timeline.parse("2025-03-01T10:30:00+01:00")


def test_a_time_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="without an offset"):
        timeline.parse("2025-03-01T09:30:00")


def test_the_default_start_is_a_monday() -> None:
    assert timeline.weekday(timeline.parse("2025-01-06T00:00:00Z") // timeline.DAY_MS) == 0
