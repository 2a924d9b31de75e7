"""The dataflow as a whole: what an input of a customer does, also when it is late, repeated or asks to be forgotten."""

import stories
from builders import click, consent, customer_event, feedback, ms, outcome, transaction
from needstream.schemas.signals import Alert, LabelledExample, NeedSignal, ProfileSummary
from needstream.schemas.times import DAY_MS
from needstream.streams.packs import loader
from needstream.streams.pipeline.emissions import CustomerErased, DuplicateEvent, LateEvent, SessionClosed

BANK = loader.load("bank")


def _live(*story, until=None):
    """Applied in the order of arrival, as inputs are that have been read to their end."""
    run = stories.Run(BANK).feed(stories.arrivals(*story), at_end=stories.ALL)
    return run.finish(until=until)


def _only(run):
    (state,) = run.customers()
    return state


def test_an_event_that_was_seen_changes_nothing():
    once = _live(click(url="/loans"))
    twice = _live(click(url="/loans"), click(url="/loans"))

    assert [DuplicateEvent(click(url="/loans").event_id)] == twice.emissions
    assert once.remembered() == twice.remembered()


def test_a_late_event_is_counted_and_said_to_be_late():
    run = _live(click(at="2025-03-01T12:00:00Z", url="/loans"), click(at="2025-03-01T11:00:00Z", url="/loans"))

    assert [3_600_000] == [each.late_by_ms for each in run.of(LateEvent)]
    assert 1.98 < _only(run).counters["interest.loan"][2] < 2


def test_counts_do_not_depend_on_the_order_of_arrival():
    early, late = click(at="2025-03-01T09:00:00Z", url="/loans"), click(at="2025-03-03T09:00:00Z", url="/loans")

    forward = _only(_live(early, late)).counters["interest.loan"]
    backward = _only(_live(late, early)).counters["interest.loan"]

    assert [round(each, 9) for each in forward] == [round(each, 9) for each in backward]


def test_a_late_event_does_not_turn_the_clock_back():
    state = _only(_live(click(at="2025-03-01T12:00:00Z"), click(at="2025-03-01T11:00:00Z")))

    assert ms("2025-03-01T12:00:00Z") == state.clock_ms == state.active_ms
    assert ms("2025-03-01T11:00:00Z") == state.first_ms


def test_a_late_credit_score_still_raises_the_care_alert():
    """Topics race each other by fractions of a second; the click must not swallow the alert."""
    run = _live(
        customer_event("credit_score", at="2025-03-01T09:00:00Z", score=700),
        click(at="2025-03-02T09:00:00.200Z"),
        customer_event("credit_score", at="2025-03-02T09:00:00.000Z", score=640),
    )

    assert ["credit_score_drop"] == [each.scenario for each in run.of(Alert)]
    assert ["2025-03-02T09:00:00.200Z"] == [each.event_time for each in run.of(Alert)]


def test_a_visitor_without_login_is_counted_but_never_addressed():
    steps = [
        click("form_step", at=f"2025-03-0{day}T10:00:00Z", customer=None, anonymous="a1", form="loan_application")
        for day in (1, 2, 3)
    ]
    run = _live(consent(customer=None, anonymous="a1", at="2025-03-01T09:00:00Z"), *steps, until="2025-03-30T00:00:00Z")
    state = _only(run)

    assert {SessionClosed} == {type(each) for each in run.emissions}
    assert (0, {}, [], ["forgotten"]) == (state.active_ms, state.armings, state.predictions, [*state.timers])


def test_a_visitor_is_forgotten_three_months_after_the_last_event():
    run = _live(click(customer=None, anonymous="a1", at="2025-03-01T09:00:00Z"), until="2025-05-30T08:59:59Z")
    assert 1 == len(run.customers())

    run.finish(until="2025-05-30T09:00:00Z")
    assert [] == run.customers()


def test_feedback_and_outcomes_are_part_of_the_story_but_no_activity():
    run = _live(feedback("complaint", text="slow"), outcome("accepted"), customer_event("override", name="tier"))

    assert [] == run.emissions
    assert 0 == _only(run).active_ms


def test_erasure_leaves_nothing_but_a_marker():
    run = _live(
        consent(at="2025-03-01T08:00:00Z"),
        click(at="2025-03-01T09:00:00Z", url="/loans"),
        transaction(at="2025-03-01T10:00:00Z", balance_after="100.00"),
        customer_event("erasure", at="2025-03-01T11:00:00Z"),
    )
    marker = _only(run)
    (erased,) = run.of(CustomerErased)

    assert ("c1", customer_event("erasure", at="2025-03-01T11:00:00Z").event_id) == (
        erased.customer_id,
        erased.event_id,
    )
    assert (True, 1) == (erased.was_known, erased.consents)
    assert "c1" not in run.stored()
    assert not any(b"c1" in stored for stored in run.stored().values())
    assert ({}, None, {}, b"", 0) == (
        marker.counters,
        marker.balance,
        marker.consents,
        marker.recent_ids,
        marker.active_ms,
    )
    assert ["forgotten"] == list(marker.timers)


def test_the_alarms_before_an_erasure_still_ring():
    """Whether they did must not depend on how far the watermark of the partition had come."""
    run = _live(click(at="2025-03-01T09:00:00Z"), customer_event("erasure", at="2025-03-01T09:31:00Z"))

    assert [SessionClosed, ProfileSummary, CustomerErased] == [type(each) for each in run.emissions]


def test_what_happened_before_an_erasure_is_not_brought_back_by_late_records():
    run = _live(
        customer_event("erasure", at="2025-03-01T11:00:00Z"),
        click(at="2025-03-01T10:59:59.999Z", url="/loans"),
    )

    assert [LateEvent, 1] == [type(run.emissions[-1]), run.emissions[-1].late_by_ms]
    assert {} == _only(run).counters


def test_the_marker_of_an_erasure_goes_away_after_a_month():
    run = stories.Run(BANK).feed(stories.arrivals(customer_event("erasure", at="2025-03-01T11:00:00Z")))
    run.finish(until="2025-03-31T10:59:00Z")
    assert 1 == len(run.customers())

    run.finish(until="2025-03-31T11:00:00Z")
    assert [] == run.customers()


def test_a_customer_may_come_back_after_an_erasure():
    run = _live(
        customer_event("erasure", at="2025-03-01T11:00:00Z"),
        click(at="2025-03-02T11:00:00Z", url="/loans"),
        until="2025-05-01T00:00:00Z",
    )

    assert 1 == _only(run).counters["interest.loan"][1]
    assert "forgotten" not in _only(run).timers


def test_what_a_late_record_says_of_before_an_erasure_stays_forgotten_when_the_customer_has_come_back():
    run = _live(
        customer_event("erasure", at="2025-03-01T11:00:00Z"),
        click(at="2025-03-01T11:05:00Z", url="/cards"),
        click(at="2025-03-01T10:59:00Z", url="/loans"),
    )

    assert "interest.loan" not in next(each for each in run.customers() if each.customer_id == "c1").counters


def test_predictions_are_sampled_weekly_while_the_customer_is_there():
    run = _live(click(at="2025-03-01T09:00:00Z"), until="2025-05-01T00:00:00Z")
    first_ms = ms("2025-03-01T09:00:00Z")

    made = sorted({ms(each.predicted_at) for each in run.of(LabelledExample)})

    assert [first_ms + 7 * DAY_MS, first_ms + 14 * DAY_MS] == made


def test_a_suspected_bot_is_neither_sampled_nor_signalled():
    looks = [click(at=f"2025-03-01T09:00:{n // 4:02d}.{n % 4 * 250:03d}Z", url="/loans") for n in range(130)]
    run = _live(consent(at="2025-03-01T08:00:00Z"), *looks, until="2025-03-08T09:00:30Z")

    assert [] == _only(run).predictions
    assert [] == [*run.of(NeedSignal)]


def test_a_person_who_reads_is_not_taken_for_a_bot():
    looks = [click(at=f"2025-03-01T09:00:{5 * n:02d}Z", url="/loans") for n in range(6)]
    run = _live(consent(at="2025-03-01T08:00:00Z"), *looks, until="2025-03-01T09:10:00Z")

    assert ["repeated_loan_queries"] == [signal.scenario for signal in run.of(NeedSignal)]


def test_an_alarm_of_a_scenario_that_is_declared_no_more_is_silent():
    run = stories.Run(BANK).feed(stories.arrivals(click(at="2025-03-01T09:00:00Z"))).finish()
    bare = stories.changed(BANK, scenarios=(), distress=())
    later = stories.Run(bare)
    later.store = run.store
    later.restart()
    later.finish(until="2025-04-30T00:00:00Z")

    assert [] == [*later.of(Alert)]
