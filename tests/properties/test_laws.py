"""Laws that hold of every run: sessions, consent, distress, decisions, the watermark, the size of a state."""

import statistics

from hypothesis import given
from hypothesis import strategies as st

import stories
from needstream.schemas import codecs, events, times
from needstream.schemas.signals import Alert, Decision, NeedSignal, ProfileSummary
from needstream.streams.pipeline.emissions import SessionClosed
from needstream.streams.pipeline.watermark import Watermark

KIB = 1024


def test_sessions_equal_a_brute_force_recomputation(population, lived):
    until_ms = max(arrival.at_ms for arrival in population.log)

    assert oracle_sessions(population, until_ms) == _closed(lived)


def test_sessions_of_a_busy_log_equal_a_brute_force_recomputation(crowd):
    log = [each for each in crowd.log if not isinstance(each.event, events.Erasure)]
    until_ms = max(arrival.at_ms for arrival in log) + times.DAY_MS
    run = stories.Run(crowd.definitions).feed(log).finish(until=until_ms)

    assert oracle_sessions(crowd, until_ms) == _closed(run)


def test_no_sales_signal_without_marketing_consent(population, lived):
    consents = [each for each in population.log if isinstance(each.event, events.Consent)]
    sales = _sales(population, lived)
    for signal in sales:
        at_ms = times.parse_rfc3339(signal.event_time)
        stated = [
            (each.at_ms, each.event.event_id, each.event.status)
            for each in consents
            if each.key == signal.customer_id and each.event.purpose == "marketing" and each.at_ms <= at_ms
        ]
        assert max(stated)[-1] == "GRANTED"

    assert len(sales) > 10
    assert any(each.gate == "consent" for each in lived.of(Decision))


def test_no_sales_signal_while_in_distress_but_care_is_heard(crowd):
    definitions = crowd.definitions
    run = crowd.run().feed(crowd.log).finish()
    cared = [
        (each.customer_id, times.parse_rfc3339(each.event_time))
        for each in run.of(Alert)
        if each.scenario in definitions.pack.distress
    ]
    for signal in _sales(crowd, run):
        at_ms = times.parse_rfc3339(signal.event_time)
        distressed = [
            began_ms
            for customer_id, began_ms in cared
            if customer_id == signal.customer_id and 0 <= at_ms - began_ms < definitions.distress_lasts_ms
        ]
        assert not [began_ms for began_ms in distressed if not _erased_between(crowd, signal, began_ms=began_ms)]

    assert cared
    assert any(each.gate == "distress" for each in run.of(Decision))


def test_every_candidate_is_decided_once_and_every_signal_by_a_decision(crowd):
    run = crowd.run().feed(crowd.log).finish()
    decisions = list(run.of(Decision))
    fired = [each for each in decisions if each.verdict == "fired"]
    signals = [*run.of(NeedSignal), *run.of(Alert)]

    assert len(decisions) == len({each.decision_id for each in decisions})
    assert sorted(each.signal_id for each in fired) == sorted(each.signal_id for each in signals)
    assert {(each.verdict == "fired", each.gate == "none", each.signal_id is not None) for each in decisions} == {
        (True, True, True),
        (False, False, False),
    }


def test_visitors_without_a_login_get_no_signal_no_profile_and_no_prediction(population, lived):
    visitors = {each.key for each in population.log if each.event.customer_id is None}
    visitors -= {each.key for each in population.log if each.event.customer_id is not None}
    said = [*lived.of(NeedSignal), *lived.of(Alert), *lived.of(Decision), *lived.of(ProfileSummary)]

    assert visitors
    assert not visitors & {each.customer_id for each in said}
    assert not any(state.predictions for state in lived.customers() if state.customer_id in visitors)


def test_a_state_is_small(lived):
    """At most 8 KiB, and 2 KiB in the median: what a million customers cost."""
    sizes = [len(stored) for stored in lived.remembered().values()]

    assert max(sizes) <= 8 * KIB
    assert statistics.median(sizes) <= 2 * KIB


@given(st.lists(st.tuples(st.booleans(), st.integers(-(10**9), 10**13))), st.integers(0, 10**7))
def test_the_watermark_never_goes_back(moves, lateness_ms):
    watermark = Watermark(lateness_ms)
    stood_ms = None
    for is_tick, at_ms in moves:
        if is_tick:
            watermark.tick(at_ms)
        else:
            watermark.observe(at_ms)
            assert watermark.at_ms >= at_ms - lateness_ms
        assert stood_ms is None or watermark.at_ms >= stood_ms
        stood_ms = watermark.at_ms


def oracle_sessions(scene, until_ms):
    """Sessions that are over at ``until_ms`` less the lateness, from nothing but the sorted clicks."""
    gap_ms = scene.definitions.session_gap_ms
    clicks = {}
    owners = {
        codecs.visitor_key(arrival.event.anonymous_id): arrival.key
        for arrival in scene.log
        if isinstance(arrival.event, events.Click) and arrival.event.event_type == "identify"
    }
    for arrival in sorted(scene.log, key=stories.merge_order):
        if isinstance(arrival.event, events.Click):
            clicks.setdefault(owners.get(arrival.key, arrival.key), {}).setdefault(
                arrival.event.event_id, arrival.at_ms
            )
    sessions = []
    for key, moments in clicks.items():
        opened = None
        for at_ms in [*moments.values(), 2**60]:
            if opened and at_ms - opened[1] > gap_ms:
                if opened[1] + gap_ms < until_ms:
                    sessions.append((key, *opened))
                opened = None
            opened = (opened[0], at_ms, opened[2] + 1) if opened else (at_ms, at_ms, 1)
    return sorted(sessions)


def _closed(run):
    return sorted((each.customer_id, each.started_ms, each.ended_ms, each.events) for each in run.of(SessionClosed))


def _sales(scene, run):
    priority = scene.definitions.pack.priority["sales"]
    return [each for each in run.of(NeedSignal) if each.priority == priority]


def _erased_between(scene, signal, *, began_ms):
    until_ms = times.parse_rfc3339(signal.event_time)
    return any(
        isinstance(each.event, events.Erasure) and each.key == signal.customer_id and began_ms <= each.at_ms <= until_ms
        for each in scene.log
    )
