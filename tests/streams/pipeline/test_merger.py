import itertools

import msgspec
from hypothesis import given
from hypothesis import strategies as st

import stories
from builders import click, customer_event, feedback, outcome, transaction
from needstream.streams import topics
from needstream.streams.pipeline.merger import Merger

LATENESS_MS = 15 * 60 * 1000
OTHERS = stories.ALL - {topics.CLICKSTREAM, topics.TRANSACTIONS}


def _merger(*story, **chosen):
    merger = Merger(topics.MERGED, LATENESS_MS, **chosen)
    for arrival in stories.arrivals(*story):
        merger.push(arrival)
    return merger


def _released(merger, at_end):
    return [arrival.event.event_id for arrival in merger.release(at_end)]


def test_an_event_waits_until_every_input_behind_has_passed_it_by_the_lateness():
    merger = _merger(
        click(at="2025-03-01T09:00:00.000Z", event_id="a"),
        transaction(at="2025-03-01T09:15:00.000Z", event_id="b"),
        click(at="2025-03-01T09:20:00.000Z", event_id="c"),
    )

    assert [] == _released(merger, OTHERS)

    later = transaction(at="2025-03-01T09:15:00.001Z", event_id="d")
    merger.push(stories.arrivals(transaction(), later)[1])

    assert ["a"] == _released(merger, OTHERS)
    assert ["b", "d", "c"] == _released(merger, stories.ALL)


def test_an_input_that_has_said_nothing_holds_everything_back():
    merger = _merger(click(at="2025-03-01T09:00:00Z"), click(at="2025-03-09T09:00:00Z"))

    assert [] == _released(merger, OTHERS)
    assert 2 == len(merger)


def test_an_input_at_its_end_is_not_waited_for():
    merger = _merger(click(at="2025-03-01T09:00:00Z", event_id="a"), click(at="2025-03-09T09:00:00Z", event_id="b"))

    assert ["a"] == _released(merger, OTHERS | {topics.TRANSACTIONS})
    assert ["b"] == _released(merger, stories.ALL)


def test_what_is_ripe_leaves_though_an_input_may_still_bring_earlier_events():
    merger = _merger(click(at="2025-03-01T09:00:00Z", event_id="a"), click(at="2025-03-01T09:05:00Z", event_id="b"))
    mark = merger.pushed
    for arrival in stories.arrivals(click(), click(), click(at="2025-03-01T09:06:00Z", event_id="c"))[2:]:
        merger.push(arrival)
    assert [] == _released(merger, OTHERS)

    merger.ripen(mark)

    assert ["a", "b"] == _released(merger, OTHERS)
    assert 1 == len(merger)


def test_what_is_earlier_leaves_before_what_is_ripe():
    merger = _merger(click(at="2025-03-01T09:05:00Z", event_id="b"))
    mark = merger.pushed
    for arrival in stories.arrivals(click(), click(at="2025-03-01T09:00:00Z", event_id="a"))[1:]:
        merger.push(arrival)

    merger.ripen(mark)
    merger.ripen(mark)

    assert ["a", "b"] == _released(merger, OTHERS)


def test_ties_are_broken_by_topic_then_by_event_id():
    merger = _merger(transaction(event_id="a"), click(event_id="c"), click(event_id="b"))

    assert ["b", "c", "a"] == _released(merger, stories.ALL)


def test_beyond_the_bound_the_oldest_leave_early():
    merger = _merger(*(click(at=f"2025-03-01T09:00:0{9 - n}Z", event_id=f"e{n}") for n in range(5)), most_waiting=3)

    assert ["e4", "e3"] == _released(merger, frozenset())
    assert 3 == len(merger)


def test_what_is_not_taken_stays():
    merger = _merger(click(at="2025-03-01T09:00:00Z", event_id="a"), click(at="2025-03-01T09:01:00Z", event_id="b"))
    next(merger.release(stories.ALL))

    assert 1 == len(merger)
    assert 1 == merger.waiting_from(topics.CLICKSTREAM)
    assert ["b"] == _released(merger, stories.ALL)
    assert merger.waiting_from(topics.CLICKSTREAM) is None


def test_the_lowest_offset_that_waits_is_known_for_each_topic():
    merger = _merger(
        click(at="2025-03-01T09:30:00Z", event_id="late in order"),
        click(at="2025-03-01T09:00:00Z", event_id="first"),
        transaction(at="2025-03-01T09:15:01Z"),
    )
    assert ["first"] == _released(merger, OTHERS)

    assert 0 == merger.waiting_from(topics.CLICKSTREAM)
    assert 0 == merger.waiting_from(topics.TRANSACTIONS)
    assert merger.waiting_from(topics.FEEDBACK) is None


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=60))
def test_the_lowest_offset_held_back_is_known_like_in_a_sorted_list(moves):
    """The same offset may be there twice: a record that is delivered again before the first was applied."""
    merger, oracle = Merger(topics.MERGED, 0), []
    for offset, leaves in moves:
        if leaves:
            (gone,) = itertools.islice(merger.release(set(topics.MERGED)), 1) if oracle else (None,)
            if gone is not None:
                oracle.remove(gone.offset)
        else:
            oracle.append(offset)
            (arrival,) = stories.arrivals(click(at=f"2025-03-01T12:00:{offset * 7 % 20:02}Z"))
            merger.push(msgspec.structs.replace(arrival, offset=offset))
        assert min(oracle, default=None) == merger.waiting_from(topics.CLICKSTREAM)


def test_topics_read_further_than_the_slowest_by_more_than_the_lateness_are_ahead():
    story = [click(at="2025-03-01T09:00:00.000Z")]
    story += [transaction(at="2025-03-01T09:15:00.000Z"), feedback(at="2025-03-01T09:15:00.001Z")]
    story += [customer_event(at="2025-03-01T09:00:00Z"), outcome(at="2025-03-01T09:00:00Z")]

    assert {topics.FEEDBACK} == _merger(*story).ahead({topics.IDENTITIES})
    assert {topics.CLICKSTREAM} == _merger(story[0]).ahead({topics.IDENTITIES})


def test_nobody_waits_for_a_topic_at_its_end_so_it_holds_nobody_back():
    story = [click(at="2025-03-01T12:00:00Z"), transaction(at="2025-03-01T09:00:00Z")]
    quiet = {topics.FEEDBACK, topics.CUSTOMERS, topics.OUTCOMES, topics.IDENTITIES}

    assert {topics.CLICKSTREAM} == _merger(*story).ahead(quiet)
    assert set() == _merger(*story).ahead(set(topics.MERGED))


@given(st.lists(st.tuples(st.lists(st.integers(0, 59), max_size=40), st.integers(0, 30)), max_size=8))
def test_what_leaves_next_is_the_earliest_however_many_come_at_once(rounds):
    merger, oracle = Merger(topics.MERGED, 0), []
    for seconds, taken in rounds:
        for arrival in stories.arrivals(*(click(at=f"2025-03-01T12:00:{second:02}Z") for second in seconds)):
            merger.push(arrival)
        oracle = sorted([*oracle, *(second * 1000 for second in seconds)])
        left = [arrival.at_ms % 60_000 for arrival in itertools.islice(merger.release(stories.ALL), taken)]

        assert oracle[:taken] == left
        oracle = oracle[taken:]
        assert len(oracle) == len(merger)
