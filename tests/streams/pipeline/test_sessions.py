import pytest

import stories
from builders import click
from needstream.schemas.parts import Session
from needstream.schemas.times import MINUTE_MS
from needstream.streams.packs import loader
from needstream.streams.pipeline import sessions
from needstream.streams.pipeline.emissions import LateEvent, SessionClosed

BANK = loader.load("bank")
NINE = "2025-03-01T09:00:00Z"


def _sessions(*times):
    run = stories.Run(BANK).feed(stories.arrivals(*(click(at=f"2025-03-01T{at}Z") for at in times)))
    run.finish(until="2025-03-02T00:00:00Z")
    return [(each.started_ms, each.ended_ms, each.events) for each in run.of(SessionClosed)]


def test_an_event_exactly_at_the_gap_extends_the_session():
    closed = _sessions("09:00:00.000", "09:30:00.000")

    assert [2] == [events for _, _, events in closed]


def test_an_event_a_millisecond_after_the_gap_opens_another_session():
    closed = _sessions("09:00:00.000", "09:30:00.001")

    assert [(0, 1), (0, 1)] == [(ended - started, events) for started, ended, events in closed]


def test_a_session_closes_without_another_event():
    assert 1 == len(_sessions("09:00:00.000"))


def test_a_late_click_is_left_out_of_the_session():
    run = stories.Run(BANK)
    run.feed(stories.arrivals(click(at="2025-03-01T10:00:00Z"), click(at=NINE)), at_end=stories.ALL)
    run.finish(until="2025-03-02T00:00:00Z")

    assert [3_600_000] == [each.late_by_ms for each in run.of(LateEvent)]
    assert [1] == [each.events for each in run.of(SessionClosed)]


def test_nothing_to_close_closes_nothing():
    state = stories.Run(BANK)

    assert [] == list(state.of(SessionClosed))
    assert sessions.close(stories.new_customer()) is None


@pytest.mark.parametrize(
    ("events", "minutes", "inhuman"),
    [(120, 1, False), (121, 1, True), (201, 10, True), (200, 10, False), (5000, 600, False)],
)
def test_a_session_is_inhuman_when_it_is_both_long_and_fast(events, minutes, *, inhuman):
    session = Session(started_ms=0, last_ms=minutes * MINUTE_MS, events=events)

    assert inhuman is sessions.is_inhuman(session, BANK)
