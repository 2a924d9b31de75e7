"""Planted payments are far above all before them, recomputed from the whole history."""

import math
import statistics
from typing import Any

from needstream.simulation import journal, simulator

Event = dict[str, Any]


def _payments(events: list[Event]) -> list[tuple[int, float]]:
    """Time and logarithm of every payment."""
    return [
        (event["at_ms"], math.log1p(float(event["amount"])))
        for event in events
        if event["event_type"] in journal.PAYMENTS
    ]


def test_a_planted_payment_lies_five_deviations_above_all_before_it(
    simulation: simulator.Simulation, events: dict[str, list[Event]]
) -> None:
    rows = [row for row in simulation.truth if row.scenario == "unusual_payment"]

    assert rows
    for row in rows:
        payments = _payments(events[row.customer_id])
        before = [size for at_ms, size in payments if at_ms < row.starts_at_ms]
        largest = max(size for at_ms, size in payments if row.starts_at_ms <= at_ms <= row.expected_until_ms)
        assert len(before) >= 20
        assert (largest - statistics.fmean(before)) / max(0.5, statistics.pstdev(before)) > 4.99


def test_a_customer_takes_the_money_away_once(simulation: simulator.Simulation) -> None:
    customers = [row.customer_id for row in simulation.truth if row.scenario == "unusual_payment"]

    assert len(set(customers)) == len(customers)
