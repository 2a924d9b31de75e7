"""What producers do wrong with clocks and repetitions stays with the customer it happens to."""

import stories
from builders import click, ms
from needstream.schemas.state import RECENT_EVENT_IDS
from needstream.streams.packs import loader
from needstream.streams.pipeline.emissions import DuplicateEvent, LateEvent

BANK = loader.load("bank")
NOON_MS = ms("2025-03-01T12:00:00Z")


def _live(*story):
    """Applied in the order of arrival, as inputs are that have been read to their end."""
    return stories.Run(BANK).feed(stories.arrivals(*story), at_end=stories.ALL).finish()


def _by_customer(run):
    return {state.customer_id: state for state in run.customers()}


def test_a_clock_that_is_ahead_makes_nobody_elses_events_late():
    others = [click(at=f"2025-03-01T12:{minute:02}:00Z", customer=f"c{minute}") for minute in range(20)]

    run = _live(click(at="2025-03-01T12:59:00Z", customer="ahead"), *others)

    assert [] == [*run.of(LateEvent)]
    assert {f"c{minute}" for minute in range(20)} | {"ahead"} == set(_by_customer(run))


def test_a_clock_that_was_ahead_makes_the_customers_own_next_events_late_until_time_has_caught_up():
    run = _live(*(click(at=f"2025-03-01T12:{minute}:00Z") for minute in (50, 10, 40, 55)))

    assert [40 * 60_000, 10 * 60_000] == [each.late_by_ms for each in run.of(LateEvent)]
    assert NOON_MS + 55 * 60_000 == _by_customer(run)["c1"].clock_ms


def test_a_clock_that_is_a_year_behind_turns_no_clock_back_and_opens_no_session():
    run = _live(
        click(at="2025-03-01T12:00:00Z"),
        click(at="2024-03-01T12:00:00Z"),
        click(at="2025-03-01T12:05:00Z"),
    )

    assert [365 * 86_400_000] == [each.late_by_ms for each in run.of(LateEvent)]
    state = _by_customer(run)["c1"]
    assert (NOON_MS, 2) == (state.session.started_ms, state.session.events)


def test_an_event_that_a_producer_sent_twice_counts_once():
    story = [click(at=f"2025-03-01T12:{minute:02}:00Z", url="/loans") for minute in range(30)]

    once, twice = _live(*story), _live(*(event for event in story for _ in range(2)))

    assert 30 == len([*twice.of(DuplicateEvent)])
    assert once.remembered() == twice.remembered()


def test_an_event_repeated_beyond_the_ring_of_ids_counts_again_and_is_late():
    """The stated window: the newest events of the customer, however long ago they were."""
    story = [click(at=f"2025-03-01T12:00:{second:02}Z", url="/loans") for second in range(60)]
    story += [click(at=f"2025-03-01T12:01:{second:02}Z", url="/loans") for second in range(RECENT_EVENT_IDS - 59)]
    assert RECENT_EVENT_IDS + 1 == len(story)

    within, beyond = _live(*story[:-1], story[0]), _live(*story, story[0])

    assert (1, 0) == (len([*within.of(DuplicateEvent)]), len([*within.of(LateEvent)]))
    assert (0, 1) == (len([*beyond.of(DuplicateEvent)]), len([*beyond.of(LateEvent)]))
