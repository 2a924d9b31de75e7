"""The shipped scenarios, recomputed by brute force from the whole history, against what the simulator says it planted.

This is an oracle of its own: plain lists instead of decayed counters, no state, no code of the product.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from needstream.simulation import catalogue, simulator, timeline, truth

Event = dict[str, Any]
Fired = Iterator[int]

DAY = timeline.DAY_MS
_LOAN_QUERY = re.compile("loan|borrow|credit line")
_PAYER = re.compile("payroll|salary|wage|employer", re.IGNORECASE)
_MADE_BY_BANK = {"fee", "interest", "balance", "instalment", "loan_repayment"}


def _decayed(times: list[int], at_ms: int, *, half_life_days: float) -> float:
    return sum(0.5 ** ((at_ms - time) / (half_life_days * DAY)) for time in times if time <= at_ms)


def _loan_views(events: list[Event]) -> list[int]:
    return [
        event["at_ms"]
        for event in events
        if event.get("url", "").startswith("/loans") or _LOAN_QUERY.search(event.get("query", ""))
    ]


def _applications(events: list[Event], product: str) -> list[int]:
    return [e["at_ms"] for e in events if e["event_type"] == "application" and e["product"] == product]


def _balances(events: list[Event]) -> list[tuple[int, float]]:
    return [
        (event["at_ms"], float(event.get("balance_after", event["amount"])))
        for event in events
        if "balance_after" in event or event["event_type"] == "balance"
    ]


def _activity(events: list[Event]) -> list[int]:
    return [
        event["at_ms"]
        for event in events
        if event["topic"] in ("clickstream.v1", "transactions.v1") and event["event_type"] not in _MADE_BY_BANK
    ]


def _repeated_loan_queries(events: list[Event], end_ms: int) -> Fired:
    views, applications = _loan_views(events), _applications(events, "loan")
    was_above = False
    for at_ms in views:
        above = _decayed(views, at_ms, half_life_days=7) >= 3.3
        applied = any(0 <= at_ms - time <= 30 * DAY for time in applications)
        if above and not was_above and not applied:
            yield at_ms
        was_above = above


def _loan_rate_shopping(events: list[Event], end_ms: int) -> Fired:
    views = [event["at_ms"] for event in events if event.get("url") in catalogue.RATE_PAGES]
    stops = _applications(events, "loan") + views
    for at_ms in views:
        due = at_ms + 5 * DAY
        enough = _decayed(views, at_ms, half_life_days=7) >= 3
        if enough and due < end_ms and not any(at_ms < time <= due for time in stops):
            yield due


def _against_baseline(events: list[Event], crosses: Callable[[float, float], bool]) -> Fired:
    balances = _balances(events)
    was_across = False
    for number, (at_ms, balance) in enumerate(balances):
        before = balances[:number]
        recent = [value for time, value in before if time >= at_ms - 30 * DAY] or [before[-1][1] if before else balance]
        mature = number >= 5 and at_ms - balances[0][0] >= 21 * DAY
        across = mature and crosses(balance, sum(recent) / len(recent))
        if across and not was_across:
            yield at_ms
        was_across = across


def _balance_jump(events: list[Event], end_ms: int) -> Fired:
    return _against_baseline(events, lambda now, usual: now >= 1.8 * usual and now - usual >= 5_000)


def _balance_drop(events: list[Event], end_ms: int) -> Fired:
    return _against_baseline(events, lambda now, usual: now <= 0.4 * usual and usual - now >= 1_000)


def _salary_missing(events: list[Event], end_ms: int) -> Fired:
    paid = [e["at_ms"] for e in events if e["event_type"] == "deposit" and _PAYER.search(e.get("counterparty", ""))]
    for number in range(3, len(paid) + 1):
        gaps = [later - earlier for earlier, later in itertools.pairwise(paid[:number])]
        due = paid[number - 1] + sum(gaps) // len(gaps) + 7 * DAY
        next_paid = paid[number] if number < len(paid) else end_ms
        if due < next_paid:
            yield due


def _application_abandoned(events: list[Event], end_ms: int) -> Fired:
    steps = [(e["at_ms"], e["product"], e["step"]) for e in events if e["event_type"] == "form_step"]
    for number, (at_ms, product, step) in enumerate(steps):
        due = at_ms + DAY
        goes_on = any(later <= due and name == product for later, name, _ in steps[number + 1 :])
        if step != "submitted" and due < end_ms and not goes_on:
            yield due


def _inactivity(events: list[Event], end_ms: int) -> Fired:
    times = [*_activity(events), end_ms]
    for number, (earlier, later) in enumerate(itertools.pairwise(times), start=1):
        if number >= 5 and later - earlier > 21 * DAY:
            yield earlier + 21 * DAY


def _liquidity_stress(events: list[Event], end_ms: int) -> Fired:
    instalments = [event["at_ms"] for event in events if event["event_type"] == "instalment"]
    incomes = [
        (event["at_ms"], float(event["amount"]))
        for event in events
        if event["event_type"] in ("deposit", "transfer_in")
    ]
    balances = _balances(events)
    for at_ms in instalments:
        income = sum(amount for time, amount in incomes if at_ms - 30 * DAY <= time <= at_ms)
        recent = [value for time, value in balances if at_ms - 30 * DAY <= time <= at_ms]
        strained = income < 3_000 and sum(recent) / len(recent) < 2_000
        if strained and _decayed(instalments, at_ms, half_life_days=30) >= 2.4:
            yield at_ms


def _credit_score_drop(events: list[Event], end_ms: int) -> Fired:
    scores = [(event["at_ms"], event["score"]) for event in events if event["event_type"] == "credit_score"]
    for number in range(1, len(scores)):
        at_ms, score = scores[number]
        reference = max(value for _, value in scores[:number])
        already_low = number > 1 and scores[number - 1][1] <= reference - 40
        if score <= reference - 40 and not already_low:
            yield at_ms


RULES: dict[str, Callable[[list[Event], int], Fired]] = {
    "repeated_loan_queries": _repeated_loan_queries,
    "loan_rate_shopping": _loan_rate_shopping,
    "balance_jump": _balance_jump,
    "balance_drop": _balance_drop,
    "salary_missing": _salary_missing,
    "application_abandoned": _application_abandoned,
    "inactivity": _inactivity,
    "liquidity_stress": _liquidity_stress,
    "credit_score_drop": _credit_score_drop,
}


@pytest.fixture(scope="module")
def oracle(simulation: simulator.Simulation, events: dict[str, list[Event]]) -> dict[str, dict[str, list[int]]]:
    """When each rule fires for each customer, bots left out."""
    bots = {row.customer_id for row in simulation.truth if row.kind == "bot"}
    end_ms = simulation.parameters.end_ms
    return {
        scenario: {
            customer_id: list(rule(of_customer, end_ms))
            for customer_id, of_customer in events.items()
            if customer_id not in bots
        }
        for scenario, rule in RULES.items()
    }


@pytest.mark.parametrize("scenario", RULES)
def test_what_was_planted_fires_within_its_window(
    scenario: str, *, simulation: simulator.Simulation, oracle: dict[str, dict[str, list[int]]]
) -> None:
    missing = [
        row
        for row in simulation.truth
        if row.scenario == scenario
        and (row.expected or row.note == truth.NO_CONSENT)
        and not any(
            row.expected_from_ms <= at_ms <= row.expected_until_ms for at_ms in oracle[scenario][row.customer_id]
        )
    ]

    assert [] == missing


@pytest.mark.parametrize("scenario", RULES)
def test_near_misses_and_ordinary_customers_do_not_fire(
    scenario: str, *, simulation: simulator.Simulation, oracle: dict[str, dict[str, list[int]]]
) -> None:
    windows: dict[str, list[truth.Planted]] = {}
    for row in simulation.truth:
        if row.scenario == scenario and (row.expected or row.note == truth.NO_CONSENT):
            windows.setdefault(row.customer_id, []).append(row)
    unexplained = [
        (customer_id, timeline.rfc3339(at_ms))
        for customer_id, times in oracle[scenario].items()
        for at_ms in times
        if not any(row.expected_from_ms <= at_ms <= row.expected_until_ms for row in windows.get(customer_id, ()))
    ]

    assert len(unexplained) <= 1, unexplained


def test_ordinary_customers_are_never_silent_for_more_than_twelve_days(
    simulation: simulator.Simulation, events: dict[str, list[Event]]
) -> None:
    planted = {row.customer_id for row in simulation.truth if row.kind != "latent"}
    longest = max(
        later - earlier
        for customer_id, of_customer in events.items()
        if customer_id not in planted
        for earlier, later in itertools.pairwise([*_activity(of_customer), simulation.parameters.end_ms])
    )

    assert longest < 12 * DAY


def test_loan_pages_are_rare_without_a_need(simulation: simulator.Simulation, events: dict[str, list[Event]]) -> None:
    with_need = {row.customer_id for row in simulation.truth if row.need == "loan" or row.kind == "bot"}
    views = [len(_loan_views(rows)) for customer_id, rows in events.items() if customer_id not in with_need]

    assert sum(views) / len(views) < 1
    assert sum(count >= 4 for count in views) / len(views) < 0.02


@pytest.mark.parametrize("need", ["loan", "wealth", "card", "insurance", "remittance"])
def test_a_need_that_will_convert_shows_in_the_pages_but_not_to_certainty(
    need: str, *, simulation: simulator.Simulation, events: dict[str, list[Event]]
) -> None:
    """Views of the product in the two weeks before: converting customers against everybody at the same moments."""
    pages = {*catalogue.PRODUCT_PAGES[need], *(catalogue.RATE_PAGES if need == "loan" else ())}
    bots = {row.customer_id for row in simulation.truth if row.kind == "bot"}
    converting = [
        row for row in simulation.truth if row.kind == "latent" and row.need == need and row.note == "converts"
    ]

    def views(customer_id: str, at_ms: int) -> int:
        return sum(
            event.get("url") in pages and 0 < at_ms - event["at_ms"] <= 14 * DAY for event in events[customer_id]
        )

    wins, pairs = 0.0, 0
    for row in converting:
        at_ms = row.expected_until_ms - 3 * DAY
        own = views(row.customer_id, at_ms)
        for other in itertools.islice(events, 0, None, 5):
            if other != row.customer_id and other not in bots:
                theirs = views(other, at_ms)
                wins += 1 if own > theirs else 0.5 if own == theirs else 0
                pairs += 1

    assert len(converting) >= 20
    assert 0.7 < wins / pairs < 0.97
