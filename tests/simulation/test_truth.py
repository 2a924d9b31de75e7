import collections
import itertools
import pathlib

import pytest

from needstream.simulation import simulator, timeline, truth

SCENARIOS = {
    "repeated_loan_queries", "loan_rate_shopping", "balance_jump", "balance_drop", "salary_missing",
    "application_abandoned", "inactivity", "liquidity_stress", "credit_score_drop",
}  # fmt: skip


def test_rows_survive_the_file(tmp_path: pathlib.Path, simulation: simulator.Simulation) -> None:
    written = truth.write(simulation.truth, tmp_path / truth.FILE_NAME)

    assert len(simulation.truth) == written
    assert simulation.truth == list(truth.read(tmp_path / truth.FILE_NAME))


@pytest.mark.parametrize("line", ["[]", "{}", "nonsense", '{"customer_id": "c1", "starts_at": 3}'])
def test_a_line_that_is_no_row_is_named(tmp_path: pathlib.Path, line: str) -> None:
    path = tmp_path / truth.FILE_NAME
    path.write_text(f"\n{line}\n")

    with pytest.raises(ValueError, match=r"truth\.jsonl, line 2"):
        list(truth.read(path))


def test_every_scenario_has_expected_rows_and_near_misses(simulation: simulator.Simulation) -> None:
    expected = collections.Counter(row.scenario for row in simulation.truth if row.expected)
    near_misses = collections.Counter(
        row.scenario for row in simulation.truth if not row.expected and row.note != truth.NO_CONSENT
    )

    for scenario in SCENARIOS:
        assert expected[scenario] >= 15
        assert near_misses[scenario] >= 8


def test_windows_are_ordered_and_expected_ones_begin_before_the_end(simulation: simulator.Simulation) -> None:
    for row in simulation.truth:
        assert row.kind in truth.KINDS
        assert row.expected_from_ms <= row.expected_until_ms
        assert simulation.parameters.start_ms <= row.starts_at_ms < simulation.parameters.end_ms
        if row.expected:
            assert row.expected_from_ms < simulation.parameters.end_ms


def test_an_expected_row_of_a_scenario_lies_within_its_customers_life(simulation: simulator.Simulation) -> None:
    """What a churner leaves behind may still be noticed afterwards; what he would have to do himself may not."""
    churned = {row.customer_id: row.churned_at_ms for row in simulation.truth if row.churned_at_ms is not None}
    needs_activity = SCENARIOS - {"inactivity", "salary_missing"}
    for row in simulation.truth:
        last_ms = churned.get(row.customer_id)
        if last_ms is not None and row.scenario in needs_activity:
            assert row.starts_at_ms <= last_ms


def test_nobody_has_two_planted_scenarios_of_one_name_at_once(simulation: simulator.Simulation) -> None:
    windows = collections.defaultdict(list)
    for row in simulation.truth:
        if row.scenario is not None:
            windows[row.customer_id, row.scenario].append((row.expected_from_ms, row.expected_until_ms))
    for of_customer in windows.values():
        of_customer.sort()
        for (_, until), (begin, _) in itertools.pairwise(of_customer):
            assert until < begin


def test_a_sales_plant_without_consent_is_not_expected(
    simulation: simulator.Simulation, events: dict[str, list[dict[str, str]]]
) -> None:
    granted = {
        customer_id
        for customer_id, rows in events.items()
        if any(row.get("purpose") == "marketing" and row["status"] == "GRANTED" for row in rows)
    }
    for row in simulation.truth:
        if row.kind in ("need", "latent"):
            assert not row.expected or row.customer_id in granted
            assert row.note != truth.NO_CONSENT or row.customer_id not in granted


def test_churners_are_silent_for_ever(
    simulation: simulator.Simulation, events: dict[str, list[dict[str, int | str]]]
) -> None:
    made_by_bank = {"fee", "interest", "balance", "instalment", "loan_repayment"}
    churned = {row.customer_id: row.churned_at_ms for row in simulation.truth if row.churned_at_ms is not None}

    assert len(churned) >= 40
    for customer_id, churned_at_ms in churned.items():
        last_ms = max(
            int(event["at_ms"])
            for event in events[customer_id]
            if event["topic"] in ("clickstream.v1", "transactions.v1") and event["event_type"] not in made_by_bank
        )
        assert churned_at_ms == last_ms
        assert churned_at_ms < simulation.parameters.end_ms - 2 * timeline.DAY_MS
