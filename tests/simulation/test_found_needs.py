"""Planted needs are found: the product against the truth of the simulation it cannot see."""

import pytest

from needstream.simulation import parameters, scorecard, simulator
from needstream.streams.packs import loader
from needstream.streams.replay import Replay, ReplayOptions

RECALL = 0.9
PRECISION = 0.8
CUSTOMERS = 250


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> scorecard.Scorecard:
    folder = tmp_path_factory.mktemp("found")
    population = simulator.simulate(parameters.SimulationParameters(customers=CUSTOMERS))
    simulator.write(population, folder / "events")
    latest_ms = population.parameters.end_ms + 86_400_000
    Replay(loader.load("bank"), ReplayOptions(latest_ms=latest_ms)).run(folder / "events", folder / "said")
    return scorecard.score_directory(folder / "events" / "truth.jsonl", folder / "said")


@pytest.mark.parametrize(
    "scenario",
    [
        "repeated_loan_queries",
        "loan_rate_shopping",
        "balance_jump",
        "balance_drop",
        "salary_missing",
        "application_abandoned",
        "inactivity",
        "liquidity_stress",
        "credit_score_drop",
        "unusual_payment",
    ],
)
def test_a_planted_scenario_is_found_and_little_else(card: scorecard.Scorecard, scenario: str) -> None:
    found = card.scenarios[scenario]

    assert found.expected >= 5
    assert found.recall is not None
    assert found.recall >= RECALL
    assert found.precision is not None
    assert found.precision >= PRECISION
    assert found.near_misses_fired == 0


def test_nobody_without_consent_is_signalled(card: scorecard.Scorecard) -> None:
    assert card.without_consent == 0


def test_churn_alerts_come_before_the_end_for_some_and_their_lead_time_is_reported(card: scorecard.Scorecard) -> None:
    assert card.lead_time.warned > 0
    assert card.lead_time.median_days is not None
    assert card.lead_time.slow_weeks_alerted == 0
