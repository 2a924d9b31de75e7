"""Profiles, announcements and their sentences: what a consumer reads."""

import pytest

import stories
from builders import click, consent, customer_event, transaction
from needstream.schemas.signals import Alert, NeedSignal, ProfileSummary
from needstream.streams.packs import loader

BANK = loader.load("bank")
LOOKS = [click(at=f"2025-03-01T1{n}:00:00Z", url="/loans") for n in range(4)]
GRANTED = consent(at="2025-03-01T00:00:00Z")


def _signal(*story, kind=NeedSignal):
    return next(stories.Run(BANK).feed(stories.arrivals(*story)).finish().of(kind))


def test_sentences_carry_the_values_of_the_moment():
    scores = [customer_event("credit_score", at=f"2025-03-0{n}T00:00:00Z", score=900 - 100 * n) for n in (1, 2)]
    alert = _signal(*scores, kind=Alert)

    assert "The credit score is 100 points below its best of the last year." == alert.explanation.en
    assert "信用评分比过去一年最高值低 100 分。" == alert.explanation.zh


@pytest.mark.parametrize(
    ("balance", "shown"),
    [("999.40", "999"), ("1999.40", "1,999"), ("9.60", "9.6"), ("3.00", "3"), ("0.25", "0.25"), ("0", "0")],
)
def test_large_figures_are_rounded_and_small_ones_keep_what_matters(balance, shown):
    story = [
        transaction("instalment", at=f"2025-03-01T1{n}:00:00Z", amount="50.00", balance_after=balance) for n in range(3)
    ]

    assert f"usual balance of {shown}:" in _signal(*story, kind=Alert).explanation.en


def test_the_preferred_channel_is_the_one_the_customer_stated():
    stated = customer_event("preference", at="2025-03-01T00:00:00Z", channel="email")
    scores = [customer_event("credit_score", at=f"2025-03-0{n}T00:00:00Z", score=900 - 100 * n) for n in (1, 2)]

    assert "any" == _signal(GRANTED, *LOOKS).channel_hint
    assert "email" == _signal(GRANTED, stated, *LOOKS).channel_hint
    assert "phone" == _signal(stated, *scores, kind=Alert).channel_hint


def test_a_signal_carries_the_tier_of_the_customer():
    gold = customer_event("profile", at="2025-03-01T00:00:00Z", tier="gold", language="zh")

    assert "gold" == _signal(GRANTED, gold, *LOOKS).tier


def test_a_profile_is_published_when_a_session_ends():
    run = stories.Run(BANK).feed(stories.arrivals(GRANTED, *LOOKS)).finish(until="2025-03-01T14:00:00Z")
    profiles = list(run.of(ProfileSummary))

    assert 4 == len(profiles)
    assert ("2025-03-01T13:00:00.000Z", ("repeated_loan_queries",), {"marketing": "GRANTED"}, {}) == (
        profiles[-1].last_active_at,
        profiles[-1].open_scenarios,
        profiles[-1].consents,
        profiles[-1].scores,
    )
    assert 3.9 < profiles[-1].sessions_30d < 4
