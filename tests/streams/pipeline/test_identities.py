"""A visitor's history becomes the customer's exactly, once, and only the first customer's."""

import pytest

import stories
from builders import click, consent, customer_event, ms, transaction
from needstream.schemas.identities import History
from needstream.schemas.signals import NeedSignal
from needstream.schemas.times import DAY_MS
from needstream.streams.packs import loader
from needstream.streams.pipeline import consents, identities
from needstream.streams.pipeline.emissions import SessionClosed, SharedDeviceEvent

BANK = loader.load("bank")
SHOP = loader.load("shop")
UNTIL = "2025-03-02T00:00:00Z"


def _visit(at, *, device="a1", **said):
    return click(at=at, customer=None, anonymous=device, **said)


def _identify(at, *, customer="c1", device="a1"):
    return click("identify", at=at, customer=customer, anonymous=device)


def _live(*story, partitions=None, until=UNTIL):
    log = stories.arrivals(*story)
    if partitions is None:
        return stories.Run(BANK).feed(log, at_end=stories.ALL).finish(until=until)
    return stories.Cluster(BANK, partitions, seed=1).feed(log).finish(until=ms(until))


def _state(run, key="c1"):
    return next((each for each in run.customers() if each.customer_id == key), None)


def test_counts_and_session_are_what_they_would_be_had_the_customer_been_known_from_the_start():
    visits = ["2025-02-20T09:00:00Z", "2025-02-20T09:07:00Z", "2025-03-01T08:50:00Z", "2025-03-01T08:55:00Z"]
    before = [consent(at="2025-02-10T08:00:00Z"), click(at="2025-02-15T09:00:00Z", url="/loans")]
    after = [_identify("2025-03-01T09:00:00Z"), click(at="2025-03-01T09:01:00Z", url="/cards")]
    merged = _live(*before, *[_visit(at, url="/loans") for at in visits], *after)
    known = _live(*before, *[click(at=at, url="/loans") for at in visits], *after)

    assert _state(merged).first_ms == _state(known).first_ms
    assert _state(merged).counters.keys() == _state(known).counters.keys()
    for fact, counter in _state(known).counters.items():
        assert _state(merged).counters[fact] == pytest.approx(counter, rel=1e-12)
    last = [(each.started_ms, each.ended_ms, each.events) for each in merged.of(SessionClosed)][-1]
    assert (ms("2025-03-01T08:50:00Z"), ms("2025-03-01T09:01:00Z"), 4) == last


def test_what_was_looked_at_before_the_login_counts_at_the_login():
    """Two rate pages before it and the login itself: the need is known before the next click."""
    looks = [_visit(f"2025-03-01T09:0{minute}:00Z", url="/loans") for minute in (1, 2, 3, 4)]
    run = _live(consent(at="2025-02-01T00:00:00Z"), *looks, _identify("2025-03-01T09:05:00Z"))

    (signal,) = run.of(NeedSignal)
    assert ("loan", "2025-03-01T09:05:00.000Z") == (signal.need, signal.event_time)
    assert _identify("2025-03-01T09:05:00Z").event_id == signal.trigger_event_id


def test_a_late_event_from_before_the_login_still_reaches_the_customer():
    run = _live(
        _visit("2025-03-01T09:00:00Z", url="/loans"),
        _identify("2025-03-01T09:05:00Z"),
        click(at="2025-03-01T09:06:00Z", url="/cards"),
        _visit("2025-03-01T09:04:00Z", url="/loans"),
    )

    counter = _state(run).counters["interest.loan"]
    assert 1 < counter[1] <= 2
    assert counter == pytest.approx(
        _state(
            _live(
                click(at="2025-03-01T09:00:00Z", url="/loans"),
                _identify("2025-03-01T09:05:00Z"),
                click(at="2025-03-01T09:04:00Z", url="/loans"),
            )
        ).counters["interest.loan"]
    )


def test_a_visit_after_the_login_without_one_reaches_the_owner():
    run = _live(
        _identify("2025-03-01T09:05:00Z"),
        _visit("2025-03-01T12:00:00Z", url="/loans"),
        _visit("2025-03-01T12:01:00Z", url="/loans"),
    )

    assert 2 == pytest.approx(_state(run).counters["interest.loan"][1], rel=1e-3)
    assert {} == _state(run, "visitor\x1fa1").counters


def test_a_shared_device_does_not_mix_two_customers():
    """The first who identifies gets the history; once a second does, what comes without a login is nobody's."""
    run = _live(
        _visit("2025-03-01T09:00:00Z", url="/loans"),
        _identify("2025-03-01T09:05:00Z", customer="c1"),
        _visit("2025-03-01T10:00:00Z", url="/loans"),
        _identify("2025-03-01T11:00:00Z", customer="c2"),
        _visit("2025-03-01T12:00:00Z", url="/loans"),
    )

    assert 2 == pytest.approx(_state(run, "c1").counters["interest.loan"][1], rel=0.1)
    assert "interest.loan" not in _state(run, "c2").counters
    assert 1 == len(list(run.of(SharedDeviceEvent)))
    assert not identities.is_awaiting(_state(run, "c2"))


def test_a_customer_may_have_several_devices():
    run = _live(
        _visit("2025-03-01T09:00:00Z", device="phone", url="/loans"),
        _visit("2025-03-01T09:01:00Z", device="tablet", url="/loans"),
        _identify("2025-03-01T09:05:00Z", device="phone"),
        _identify("2025-03-01T09:06:00Z", device="tablet"),
    )

    assert 2 == pytest.approx(_state(run).counters["interest.loan"][1], rel=1e-2)
    assert {"phone": [0], "tablet": [0]} == _state(run).devices


def test_the_longest_known_of_very_many_devices_is_let_go():
    asked = [_identify(f"2025-03-01T09:{minute:02d}:00Z", device=f"d{minute}") for minute in range(12)]
    run = _live(*asked)

    assert [f"d{number}" for number in range(4, 12)] == list(_state(run).devices)


def test_a_second_login_on_the_same_device_asks_no_more():
    run = _live(_identify("2025-03-01T09:05:00Z"), _identify("2025-03-01T10:05:00Z"))

    assert 1 == len(list(run.of(History)))


def test_an_identify_under_the_anonymous_key_brings_the_history_and_itself():
    log = stories.arrivals(_visit("2025-03-01T09:00:00Z", url="/loans"), _identify("2025-03-01T09:05:00Z"))
    log[1] = stories.under_key(log[1], b"a1")
    run = stories.Run(BANK).feed(log, at_end=stories.ALL).finish(until=UNTIL)

    assert [2] == [each.events for each in run.of(SessionClosed)]
    assert "interest.loan" in _state(run).counters
    assert {"a1": [1]} == _state(run).devices


def test_a_refusal_given_without_a_login_is_the_customers_and_a_grant_is_not():
    run = _live(
        consent("marketing", "DENIED", customer=None, anonymous="a1", at="2025-03-01T09:00:00Z"),
        consent("profiling", "GRANTED", customer=None, anonymous="a1", at="2025-03-01T09:00:00Z"),
        _identify("2025-03-01T09:05:00Z"),
        consent("service", "REVOKED", customer=None, anonymous="a1", at="2025-03-01T10:00:00Z"),
        consent("analytics", "GRANTED", customer=None, anonymous="a1", at="2025-03-01T10:00:00Z"),
    )

    assert {"marketing": "DENIED", "service": "REVOKED"} == {
        purpose: status for purpose, (status, _) in consents.decisions(_state(run)).items()
    }


def test_amounts_in_another_currency_are_not_added_up():
    """Their number is: two purchases, of which one can be summed."""
    story = [
        transaction("purchase", at="2025-03-01T08:00:00Z", currency="USD"),
        transaction("purchase", at="2025-03-01T09:00:00Z", currency="EUR", customer=None, anonymous="a1"),
        _identify("2025-03-01T09:05:00Z"),
    ]
    run = stories.Run(SHOP).feed(stories.arrivals(*story), at_end=stories.ALL).finish(until=UNTIL)

    assert 100.0 == pytest.approx(_state(run).counters["amount.tx.purchase"][1], rel=1e-2)
    assert 2.0 == pytest.approx(_state(run).counters["tx.purchase"][1], rel=0.05)


def test_amounts_in_the_customers_currency_are_added_up():
    story = [
        transaction("purchase", at="2025-03-01T08:00:00Z"),
        transaction("purchase", at="2025-03-01T09:00:00Z", customer=None, anonymous="a1"),
        _identify("2025-03-01T09:05:00Z"),
    ]
    run = stories.Run(SHOP).feed(stories.arrivals(*story), at_end=stories.ALL).finish(until=UNTIL)

    assert 200.0 == pytest.approx(_state(run).counters["amount.tx.purchase"][1], rel=0.05)


def test_messages_that_come_twice_are_taken_once():
    """A crash after the visitor's partition has answered makes it answer again."""
    run = _live(
        _visit("2025-03-01T09:00:00Z", url="/loans"),
        _identify("2025-03-01T09:05:00Z"),
        *[_visit(f"2025-03-01T10:{minute:02d}:00Z", url="/loans") for minute in range(30)],
    )
    once = _state(run).counters
    for message in list(run.received):
        run.receive(message.event)
    run.finish()

    assert once == _state(run).counters


def test_forwarded_events_count_once_even_beyond_the_ring_of_ids():
    visits = [_visit(f"2025-03-01T10:{n // 60:02d}:{n % 60:02d}Z", url="/loans") for n in range(0, 600, 5)]
    run = _live(_identify("2025-03-01T09:05:00Z"), *visits)
    once = _state(run).counters
    for message in list(run.received):
        run.receive(message.event)
    run.finish()

    assert once == _state(run).counters


def test_a_customers_events_wait_for_the_history_and_nobody_elses_do():
    run = stories.Run(BANK, post=lambda _: None)
    run.feed(
        stories.arrivals(
            _identify("2025-03-01T09:05:00Z"),
            click(at="2025-03-01T09:06:00Z", url="/loans"),
            click(at="2025-03-01T09:06:00Z", url="/loans", customer="c2"),
        ),
        at_end=stories.ALL,
    )
    run.flush()

    assert "interest.loan" not in _state(run, "c1").counters
    assert "interest.loan" in _state(run, "c2").counters
    assert (["c1"], 1, 1) == (
        run.partition.awaiting,
        run.partition.waiting,
        run.partition.waiting_from("clickstream.v1"),
    )


def test_a_history_that_does_not_come_is_not_waited_for_for_ever_but_still_welcome():
    asked = []
    run = stories.Run(BANK, post=asked.append)
    story = [_identify("2025-03-01T09:05:00Z"), click(at="2025-03-01T09:06:00Z", url="/loans")]
    run.feed(stories.arrivals(*story), at_end=stories.ALL)
    run.partition.stop_awaiting("c1")
    run.flush()
    assert 1 == _state(run).counters["interest.loan"][1]

    visitor = stories.Run(BANK, post=run.receive)
    visitor.feed(stories.arrivals(_visit("2025-03-01T09:00:00Z", url="/loans")), at_end=stories.ALL)
    visitor.receive(asked[0])
    visitor.finish()
    run.finish()
    assert 2 == pytest.approx(_state(run).counters["interest.loan"][1], rel=1e-2)


def test_alarms_of_a_waiting_customer_wait_as_well():
    asked = []
    run = stories.Run(BANK, post=asked.append)
    run.feed(stories.arrivals(_identify("2025-03-01T09:05:00Z")), at_end=stories.ALL)
    run.tick(ms("2025-03-01T12:00:00Z"))
    assert [] == list(run.of(SessionClosed))

    visitor = stories.Run(BANK, post=run.receive)
    visitor.feed(stories.arrivals(_visit("2025-03-01T09:00:00Z", url="/loans")), at_end=stories.ALL)
    visitor.receive(asked[0])
    visitor.finish()
    run.finish()
    assert [2] == [each.events for each in run.of(SessionClosed)]


def test_a_session_that_closed_before_the_question_came_is_taken_up_again():
    """The visitor's partition was ahead: its time had passed the end of the session when it heard of the login."""
    asked = []
    run = stories.Run(BANK, post=asked.append)
    run.feed(stories.arrivals(_identify("2025-03-01T09:05:00Z")), at_end=stories.ALL)
    visitor = stories.Run(BANK, post=run.receive)
    visitor.feed(stories.arrivals(_visit("2025-03-01T09:00:00Z", url="/loans")), at_end=stories.ALL)
    visitor.tick(ms("2025-03-01T12:00:00Z"))
    visitor.receive(asked[0])
    visitor.finish()
    run.finish(until="2025-03-01T12:00:00Z")

    assert [2] == [each.events for each in run.of(SessionClosed)]
    assert 1 == pytest.approx(_state(run).counters["session.closed"][1], rel=1e-2)


def test_erasing_the_customer_erases_the_devices_histories_too():
    run = _live(
        _visit("2025-03-01T09:00:00Z", url="/loans"),
        _identify("2025-03-01T09:05:00Z"),
        customer_event("erasure", at="2025-03-01T10:00:00Z"),
        _visit("2025-03-01T09:59:00Z", url="/loans"),
    )

    assert not any(b"c1" in stored or b"a1" in stored for stored in run.stored().values())
    assert all(state.erased_ms for state in run.customers())


def test_a_visitor_who_was_forgotten_begins_anew():
    later = ms("2025-03-01T09:00:00Z") + 100 * DAY_MS
    run = _live(
        _visit("2025-03-01T09:00:00Z", url="/loans"),
        _visit(stories.text(later), url="/loans"),
        until=stories.text(later + 1),
    )

    assert 1 == _state(run, "visitor\x1fa1").counters["interest.loan"][1]


@pytest.mark.parametrize("partitions", [1, 2, 7])
def test_the_merge_is_the_same_across_partitions(partitions):
    story = [
        consent(at="2025-02-01T00:00:00Z"),
        *[_visit(f"2025-03-01T09:0{minute}:00Z", url="/loans") for minute in (1, 2, 3)],
        _identify("2025-03-01T09:05:00Z"),
        click(at="2025-03-01T09:06:00Z", url="/loans"),
    ]
    alone = _live(*story)
    cluster = _live(*story, partitions=partitions)

    states = {key: stored for run in cluster.runs for key, stored in run.remembered().items()}
    assert alone.remembered()["c1"] == states["c1"]
