import io
import pathlib

import orjson
import pytest
import rich.console

from needstream.simulation import emitted, scorecard, scorecard_table, timeline, truth

DAY = timeline.DAY_MS
_START = timeline.parse("2025-03-01T00:00:00Z")


def _row(
    customer: str = "c1", scenario: str | None = "balance_drop", *, kind: str = "churn", **said: object
) -> truth.Planted:
    fields: dict[str, object] = {
        "customer_id": customer, "scenario": scenario, "kind": kind, "starts_at_ms": _START, "expected": True,
        "expected_from_ms": _START, "expected_until_ms": _START + 2 * DAY, **said,
    }  # fmt: skip
    return truth.Planted(**fields)  # type: ignore[arg-type]


def _signal(customer: str = "c1", scenario: str = "balance_drop", *, day: float = 1, **said: str) -> emitted.Signal:
    return emitted.Signal(
        customer_id=customer,
        scenario=scenario,
        event_time_ms=_START + round(day * DAY),
        topic=said.pop("topic", emitted.CHURN_ALERTS),
        **said,
    )


def test_a_signal_within_the_window_counts_for_recall_and_precision() -> None:
    tally = scorecard.score([_row(), _row("c2")], [_signal()]).scenarios["balance_drop"]

    assert (2, 1, 0.5) == (tally.expected, tally.found, tally.recall)
    assert (1, 1, 1.0) == (tally.signals, tally.matched, tally.precision)


@pytest.mark.parametrize("day", [0, 2])
def test_the_window_includes_both_its_ends(day: int) -> None:
    assert scorecard.score([_row()], [_signal(day=day)]).scenarios["balance_drop"].found == 1


@pytest.mark.parametrize("signal", [_signal(day=2.1), _signal(day=-0.1), _signal("c2"), _signal(scenario="inactivity")])
def test_a_signal_of_another_time_customer_or_scenario_is_a_false_alarm(signal: emitted.Signal) -> None:
    card = scorecard.score([_row()], [signal])

    assert card.scenarios["balance_drop"].found == 0
    assert card.scenarios[signal.scenario].false_alarms == 1


def test_what_nobody_planted_is_counted_and_not_judged() -> None:
    tally = scorecard.score([_row()], [_signal(scenario="unusual_behaviour")]).scenarios["unusual_behaviour"]

    assert (1, None, None) == (tally.signals, tally.recall, tally.precision)


def test_a_second_signal_in_the_window_is_right_but_finds_nothing_new() -> None:
    tally = scorecard.score([_row()], [_signal(), _signal(day=1.5)]).scenarios["balance_drop"]

    assert (1, 2, 2) == (tally.found, tally.signals, tally.matched)


def test_a_near_miss_that_fires_is_counted_and_a_false_alarm() -> None:
    rows = [_row(expected=False, note="big purchase"), _row("c2", expected=False, note="big purchase")]
    tally = scorecard.score(rows, [_signal()]).scenarios["balance_drop"]

    assert (2, 1, 1) == (tally.near_misses, tally.near_misses_fired, tally.false_alarms)
    assert tally.recall is None


def test_a_signal_against_a_refused_consent_is_counted_whatever_its_scenario() -> None:
    row = _row(kind="need", scenario="balance_jump", expected=False, note=truth.NO_CONSENT)
    sale = _signal(scenario="model.wealth", topic=emitted.NEED_SIGNALS)
    card = scorecard.score([row], [sale, _signal()])

    assert card.without_consent == 1
    assert card.scenarios["balance_jump"].near_misses == 0


def test_the_wrong_need_is_told_apart() -> None:
    row = _row(kind="need", scenario="application_abandoned", need="card", product="card")
    signals = [
        _signal(scenario="application_abandoned", topic=emitted.NEED_SIGNALS, need=need) for need in ("card", "loan")
    ]

    assert scorecard.score([row], signals).scenarios["application_abandoned"].wrong_need == 1


def test_a_missing_signal_is_explained_by_the_decision_that_stopped_it() -> None:
    stopped = _signal(topic=emitted.DECISIONS, gate="cooldown")
    tally = scorecard.score([_row(), _row("c2")], [], suppressed=[stopped]).scenarios["balance_drop"]

    assert {"cooldown": 1} == tally.suppressed


def test_lead_time_runs_from_the_first_alert_within_sixty_days_to_the_last_sign_of_life() -> None:
    gone = _START + 100 * DAY
    rows = [_row(name, None, kind="churner", churned_at_ms=gone) for name in ("c1", "c2", "c3", "c4")]
    signals = [
        _signal("c1", day=20), _signal("c1", day=90), _signal("c1", day=95),
        _signal("c2", "model.churn", day=80), _signal("c3", day=121),
    ]  # fmt: skip
    lead = scorecard.score(rows, signals).lead_time

    assert (4, 2, 1) == (lead.churners, lead.warned, lead.only_afterwards)
    assert (15.0, 11.0, 19.0) == (lead.median_days, lead.p10_days, lead.p90_days)
    assert lead.warned_share == 0.5


def test_one_warned_churner_is_its_own_median_and_percentiles() -> None:
    row = _row(scenario=None, kind="churner", churned_at_ms=_START + 4 * DAY)
    lead = scorecard.score([row], [_signal()]).lead_time

    assert (3.0, 3.0, 3.0) == (lead.median_days, lead.p10_days, lead.p90_days)


def test_without_churners_there_is_no_lead_time() -> None:
    lead = scorecard.score([], []).lead_time

    assert (None, None, None, None) == (lead.median_days, lead.p10_days, lead.p90_days, lead.warned_share)


def test_slow_weeks_taken_for_churn_are_reported() -> None:
    row = _row(scenario=None, kind="churner", expected=False, note="slow weeks")
    lead = scorecard.score([row], [_signal(scenario="model.churn")]).lead_time

    assert (0, 1, 1) == (lead.churners, lead.slow_weeks, lead.slow_weeks_alerted)


def test_model_signals_are_set_against_latent_needs_and_not_judged() -> None:
    rows = [
        _row("c1", None, kind="latent", need="card", note="converts"),
        _row("c2", None, kind="latent", need="card", note="does not convert"),
    ]
    signals = [_signal(name, "model.card", topic=emitted.NEED_SIGNALS) for name in ("c1", "c3")]
    card = scorecard.score(rows, signals)

    assert scorecard.ModelScore(2, 1, 1, 1, 2, 1) == card.models["card"]
    assert {} == card.scenarios


def test_signals_about_bots_are_counted() -> None:
    assert (
        scorecard.score([_row("b1", None, kind="bot", expected=False)], [_signal("b1"), _signal("b1", day=9)]).to_bots
        == 1
    )


def test_output_files_are_read_and_missing_ones_are_empty(tmp_path: pathlib.Path) -> None:
    truth.write([_row(), _row("c2")], tmp_path / truth.FILE_NAME)
    alert = {
        "customer_id": "c1",
        "scenario": "balance_drop",
        "alert": "balance_drop",
        "event_time": "2025-03-02T00:00:00Z",
    }
    stopped = {**alert, "customer_id": "c2", "verdict": "suppressed", "gate": "consent"}
    fired = {**alert, "verdict": "fired", "gate": "none"}
    (tmp_path / "churn-alerts.v1.jsonl").write_bytes(orjson.dumps(alert) + b"\n")
    (tmp_path / "decisions.v1.jsonl").write_bytes(orjson.dumps(stopped) + b"\n" + orjson.dumps(fired) + b"\n")

    tally = scorecard.score_directory(tmp_path / truth.FILE_NAME, tmp_path).scenarios["balance_drop"]

    assert (2, 1, 1, {"consent": 1}) == (tally.expected, tally.found, tally.matched, tally.suppressed)


def test_the_card_becomes_json_and_tables() -> None:
    rows = [
        _row(),
        _row("c2", None, kind="churner", churned_at_ms=_START + 3 * DAY),
        _row("c3", None, kind="latent", need="loan"),
    ]
    card = scorecard.score(rows, [_signal(), _signal("c2")])
    text = io.StringIO()
    rich.console.Console(file=text, width=160).print(scorecard_table.render(card))

    plain = orjson.loads(orjson.dumps(card.as_dict()))
    assert plain["scenarios"]["balance_drop"]["recall"] == 1.0
    assert plain["scenarios"]["balance_drop"]["precision"] == 0.5
    assert plain["churn_lead_time"]["median_days"] == 2.0
    for shown in ("balance_drop", "100.0%", "50.0%", "loan", "1 of 1"):
        assert shown in text.getvalue()
