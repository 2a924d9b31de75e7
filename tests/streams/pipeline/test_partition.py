import pytest

import stories
from builders import click, ms, transaction
from needstream.schemas.signals import Alert, ProfileSummary
from needstream.streams import topics
from needstream.streams.packs import loader
from needstream.streams.pipeline import partition
from needstream.streams.pipeline.emissions import DuplicateEvent, SessionClosed

BANK = loader.load("bank")


def test_at_most_as_many_events_are_applied_as_asked_for():
    run = stories.Run(BANK)
    for arrival in stories.arrivals(*(click(at=f"2025-03-01T09:00:0{n}Z") for n in range(5))):
        run.partition.push(arrival)
    list(run.partition.advance(stories.ALL, most=2))

    assert 3 == len(run.partition.merger)
    assert 2 == run.partition.merger.waiting_from(topics.CLICKSTREAM)


def test_a_redelivered_record_is_noticed_before_anything_else():
    story = stories.arrivals(click(at="2025-03-01T09:00:00Z"))
    run = stories.Run(BANK).feed(story, at_end=stories.ALL)
    run.flush()
    before = run.stored()
    run.restart()
    run.feed(story, at_end=stories.ALL)

    assert [DuplicateEvent(story[0].event.event_id)] == run.emissions[-1:]
    assert {} == run.partition.flush()
    assert before == run.stored()


def test_an_idle_partition_rings_by_ticks():
    run = stories.Run(BANK).feed(stories.arrivals(click(at="2025-03-01T09:00:00Z")), at_end=stories.ALL)
    run.tick(ms("2025-03-01T09:30:00.000Z"))
    assert [] == list(run.of(SessionClosed))

    run.tick(ms("2025-03-01T09:30:00.001Z"))
    assert 1 == len(list(run.of(SessionClosed)))


def test_a_tick_before_the_first_event_is_remembered():
    run = stories.Run(BANK)

    run.tick(1000)

    assert [] == run.emissions
    assert 1000 == run.partition.watermark.at_ms


def test_time_does_not_pass_events_that_are_held_back():
    """The click at 09:20 keeps the session open, though it still waits for the transactions."""
    run = stories.Run(BANK)
    first, second = stories.arrivals(click(at="2025-03-01T09:00:00Z"), click(at="2025-03-01T09:20:00Z"))
    run.feed([first], at_end=stories.ALL)
    run.partition.push(second)
    run.tick(ms("2025-03-01T10:00:00Z"))
    assert [] == list(run.of(SessionClosed))

    run.finish(until="2025-03-01T10:00:00Z")
    assert [2] == [each.events for each in run.of(SessionClosed)]


def test_alarms_survive_a_restart():
    run = stories.Run(BANK).feed(stories.arrivals(click(at="2025-03-01T09:00:00Z"))).finish()
    run.restart()
    run.finish(until="2025-03-01T10:00:00Z")

    assert 1 == len(list(run.of(SessionClosed)))


def test_the_watermark_survives_a_restart():
    run = stories.Run(BANK).feed(stories.arrivals(click(at="2025-03-01T09:00:00Z"))).finish()
    stood_ms = run.partition.watermark.at_ms
    run.restart()

    assert stood_ms == run.partition.watermark.at_ms


def test_alarms_of_different_customers_ring_in_order_of_time():
    story = [
        click("login", at=f"2025-03-0{day}T09:00:00Z", customer=who) for who in ("b", "a") for day in (2, 3, 4, 5, 6)
    ]
    story += [transaction("fee", at="2025-03-07T09:00:00Z", customer="a")]
    run = stories.Run(BANK).feed(stories.arrivals(*sorted(story, key=lambda each: each.event_time)))
    run.finish(until="2025-04-30T00:00:00Z")

    assert [("a", "2025-03-27"), ("b", "2025-03-27")] == [
        (each.customer_id, each.event_time[:10]) for each in run.of(Alert)
    ]


def test_a_customer_is_written_once_per_flush():
    run = stories.Run(BANK).feed(stories.arrivals(*(click(at=f"2025-03-01T09:00:0{n}Z") for n in range(5))))
    run.emissions += run.partition.advance(stories.ALL)

    assert ["c1", "partition\x1f"] == list(run.partition.flush())
    assert {} == run.partition.flush()


def test_offsets_of_another_partition_number_are_left_as_they_are():
    run = stories.Run(BANK).feed(stories.arrivals(click(at="2025-03-01T09:00:00Z"), partition=3)).finish()

    assert {0: [0]} == run.customers()[0].applied


def test_a_round_is_bounded_in_alarms_too():
    visits = [click(at="2025-03-01T09:00:00Z", customer=f"c{number}") for number in range(10)]
    run = stories.Run(BANK).feed(stories.arrivals(*visits), at_end=stories.ALL)
    run.partition.tick(ms("2025-03-01T10:00:00Z"))

    steps = [list(run.partition.advance(stories.ALL, most=4)) for _ in range(4)]

    closed = [sum(isinstance(each, SessionClosed) for each in said) for said in steps]
    assert [4, 4, 2, 0] == closed
    assert not run.partition.is_ringing


def test_alarms_that_are_due_ring_before_the_next_event_is_taken():
    first = click(at="2025-03-01T09:00:00Z")
    second = click(at="2025-03-01T12:00:00Z", customer="c2")
    run = stories.Run(BANK).feed(stories.arrivals(first), at_end=stories.ALL)
    run.partition.tick(ms("2025-03-01T10:00:00Z"))
    run.partition.push(stories.arrivals(first, second)[1])

    said = list(run.partition.advance(stories.ALL, most=1))

    assert [SessionClosed, ProfileSummary] == [type(each) for each in said]
    assert (True, 1) == (not run.partition.is_ringing, run.partition.waiting)


def test_what_is_not_read_again_yet_after_a_crash_is_not_taken_for_applied():
    """The third record was applied ahead of the second; an alarm writes the customer before the second comes again."""
    story = [
        click(at="2025-03-01T09:00:00Z"),
        click(at="2025-03-01T09:20:00Z", url="/loans"),
        click(at="2025-03-01T09:10:00Z"),
        transaction(at="2025-03-01T09:31:00Z", customer="c2"),
    ]
    first, second, third, other = stories.arrivals(*story)
    run = stories.Run(BANK)
    for arrival in (first, second, third, other):
        run.partition.push(arrival)
    run.advance(stories.ALL - {topics.TRANSACTIONS})
    run.flush()
    run.restart()
    run.partition.tick(ms("2025-03-01T10:00:00Z"))
    run.advance()
    run.flush()

    run.feed([second], at_end=stories.ALL)

    assert not list(run.of(DuplicateEvent))
    assert "interest.loan" in next(each for each in run.finish().customers() if each.customer_id == "c1").counters


def test_a_dropped_record_changes_nothing_and_holds_up_nobody():
    good, bad = stories.arrivals(click(at="2025-03-01T09:00:00Z"), click(at="2025-03-01T09:01:00Z", url="/loans"))
    run = stories.Run(BANK)
    run.partition.drop(bad)
    run.feed([good, bad], at_end=stories.ALL).flush()

    assert 0 == run.partition.waiting
    assert "interest.loan" not in run.customers()[0].counters


def test_the_event_in_work_is_known_while_it_is_applied(monkeypatch):
    arrived = stories.arrivals(click(at="2025-03-01T09:00:00Z"), click(at="2025-03-01T09:01:00Z"))
    run = stories.Run(BANK)
    monkeypatch.setattr(partition, "step", _fails)

    with pytest.raises(ZeroDivisionError):
        run.feed(arrived, at_end=stories.ALL)

    assert arrived[0] == run.partition.in_work


def _fails(*_arguments, **_options):
    raise ZeroDivisionError
