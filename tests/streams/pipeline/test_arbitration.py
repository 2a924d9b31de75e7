"""Who may be told what: the gates in their order, and what is remembered of having spoken."""

import pytest

import stories
from builders import click, consent, customer_event, transaction
from needstream.schemas import pack as packs
from needstream.schemas.signals import Alert, Decision, NeedSignal
from needstream.streams.packs import loader
from needstream.streams.pipeline import arbitration

BANK = loader.load("bank")
GRANTED = consent(at="2025-03-01T00:00:00Z")
INSTALMENTS = [
    transaction("instalment", at=f"2025-03-02T0{n}:00:00Z", amount="90.00", balance_after="300.00") for n in range(3)
]


def _looks(day, times=4):
    return [click(at=f"2025-03-{day:02d}T1{n}:00:00Z", url="/loans") for n in range(times)]


def _decisions(*story, definitions=BANK):
    run = stories.Run(definitions).feed(stories.arrivals(*story)).finish()
    return [(each.scenario, each.verdict, each.gate) for each in run.of(Decision)]


def test_without_a_stated_consent_nothing_is_sold():
    assert [("repeated_loan_queries", "suppressed", "consent")] == _decisions(*_looks(2))


@pytest.mark.parametrize("status", ["DENIED", "REVOKED"])
def test_a_consent_taken_back_stops_sales(status):
    taken_back = consent(status=status, at="2025-03-01T12:00:00Z")

    assert [("repeated_loan_queries", "suppressed", "consent")] == _decisions(GRANTED, taken_back, *_looks(2))


def test_of_two_consents_the_newer_one_holds_whatever_the_order_of_arrival():
    older = consent(status="DENIED", at="2025-02-01T00:00:00Z")
    run = stories.Run(BANK).feed(stories.arrivals(GRANTED, older, *_looks(2)), at_end=stories.ALL).finish()

    assert [("fired", "none")] == [(each.verdict, each.gate) for each in run.of(Decision)]


def test_churn_alerts_need_no_consent_but_are_stopped_by_a_denied_profiling():
    balances = [transaction("balance", at=f"2025-0{n}-01T00:00:00Z", amount="5000.00") for n in range(1, 7)]
    gone = transaction("transfer_out", at="2025-06-03T00:00:00Z", balance_after="900.00")
    denied = consent("profiling", "DENIED", at="2025-06-02T00:00:00Z")

    assert ("balance_drop", "fired", "none") in _decisions(*balances, gone)
    assert ("balance_drop", "suppressed", "consent") in _decisions(*balances, denied, gone)


def test_care_is_stopped_by_a_denied_service():
    denied = consent("service", "DENIED", at="2025-03-01T00:00:00Z")

    assert [("liquidity_stress", "suppressed", "consent")] == _decisions(denied, *INSTALMENTS)


def test_the_muted_hear_no_sales_but_care():
    muted = customer_event("preference", at="2025-03-01T00:00:00Z", mute=True)

    assert [("liquidity_stress", "fired", "none")] == _decisions(GRANTED, muted, *INSTALMENTS)
    assert [("repeated_loan_queries", "suppressed", "muted")] == _decisions(GRANTED, muted, *_looks(2))


def test_nothing_is_sold_to_the_distressed():
    assert [
        ("liquidity_stress", "fired", "none"),
        ("repeated_loan_queries", "suppressed", "distress"),
    ] == _decisions(GRANTED, *INSTALMENTS, *_looks(5))


def test_distress_that_must_not_be_spoken_of_still_keeps_sales_away():
    denied = consent("service", "DENIED", at="2025-03-01T00:00:00Z")

    assert ("repeated_loan_queries", "suppressed", "distress") in _decisions(GRANTED, denied, *INSTALMENTS, *_looks(5))


def test_distress_lasts_as_long_as_its_condition_holds():
    """Said once on the 2nd, still true on the 14th: the fortnight counts from then."""
    again = transaction("instalment", at="2025-03-14T00:00:00Z", amount="90.00", balance_after="300.00")

    assert ("repeated_loan_queries", "suppressed", "distress") in _decisions(GRANTED, *INSTALMENTS, again, *_looks(20))
    assert ("repeated_loan_queries", "fired", "none") in _decisions(GRANTED, *INSTALMENTS, *_looks(20))


def test_what_was_said_is_not_repeated_while_its_condition_stays_true():
    assert [("repeated_loan_queries", "fired", "none")] == _decisions(GRANTED, *_looks(2, times=9))


def test_what_turns_true_again_within_the_cooldown_is_suppressed():
    forgotten = click(at="2025-03-10T10:00:00Z", url="/loans")

    assert [
        ("repeated_loan_queries", "fired", "none"),
        ("repeated_loan_queries", "suppressed", "cooldown"),
    ] == _decisions(GRANTED, *_looks(2), forgotten, *_looks(11))


def test_more_signals_than_the_cap_are_suppressed():
    capped = stories.changed(BANK, caps=(packs.Cap(treatment="sales", at_most=1, within="7d"),))
    step = click("form_step", at="2025-03-02T09:00:00Z", form="card_application", step="1")
    story = (GRANTED, step, *_looks(2), click(at="2025-03-03T12:00:00Z"))

    assert [
        ("repeated_loan_queries", "fired", "none"),
        ("application_abandoned", "suppressed", "frequency_cap"),
    ] == _decisions(*story, definitions=capped)
    assert ("application_abandoned", "fired", "none") in _decisions(*story)


def test_a_need_that_does_not_suit_is_not_offered():
    unless = packs.Condition(feature="count_30d.tx.instalment", at_least=0.5)
    definitions = stories.changed(BANK, suitability=(packs.Suitability(need="loan", unless=unless),))
    run = stories.Run(definitions).feed(stories.arrivals(GRANTED, INSTALMENTS[0], *_looks(3))).finish()

    (decision,) = run.of(Decision)
    assert ("suitability", True) == (decision.gate, decision.detail.startswith("count_30d.tx.instalment is 0.9"))


def test_a_suspected_bot_is_told_nothing():
    fast = [click(at=f"2025-03-02T09:00:{n // 4:02d}.{n % 4 * 250:03d}Z") for n in range(130)]

    assert [("repeated_loan_queries", "suppressed", "suspected_bot")] == _decisions(GRANTED, *fast, *_looks(3))


def test_the_control_group_is_silent_and_cooled_down_like_the_treated_one():
    definitions = stories.changed(BANK, holdout_share=1.0)
    forgotten = click(at="2025-03-10T10:00:00Z", url="/loans")
    run = stories.Run(definitions).feed(stories.arrivals(GRANTED, *_looks(2), forgotten, *_looks(11))).finish()

    assert [] == [*run.of(NeedSignal), *run.of(Alert)]
    assert ["holdout", "cooldown"] == [each.gate for each in run.of(Decision)]


def test_the_control_group_is_as_large_as_its_share_and_sticky():
    names = [f"c{number}" for number in range(4000)]
    held_out = [name for name in names if arbitration.in_holdout(name, 0.1)]

    assert 300 < len(held_out) < 500
    assert set(held_out) <= {name for name in names if arbitration.in_holdout(name, 0.2)}
    assert [] == [name for name in names if arbitration.in_holdout(name, 0.0)]


def test_candidates_of_one_moment_are_heard_in_order_of_priority():
    """Care of the same event comes first, and so stops the sale."""
    sale = next(each for each in BANK.pack.scenarios if each.id == "repeated_loan_queries")
    often = packs.Condition(feature="count_30d.tx.instalment", at_least=2.4)
    definitions = stories.with_scenario(BANK, sale, triggered_by=("tx.instalment",), when=often)

    assert [
        ("liquidity_stress", "fired", "none"),
        ("repeated_loan_queries", "suppressed", "distress"),
    ] == _decisions(GRANTED, *INSTALMENTS, definitions=definitions)


def test_the_same_decision_has_the_same_id_in_every_run():
    first, second = (
        [each.signal_id for each in stories.Run(BANK).feed(stories.arrivals(GRANTED, *_looks(2))).of(NeedSignal)]
        for _ in range(2)
    )

    assert first == second
