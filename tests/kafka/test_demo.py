"""The demo's stages: a killed worker is started again and nothing planted is missed."""

import os
import signal
import time
from pathlib import Path

import pytest

from needstream.simulation import demo, emitted, parameters, scorecard, simulator, truth
from needstream.simulation.stage import Progress, Stage
from needstream.streams import producing
from needstream.streams.cli import main

WITHIN_S = 150.0


def test_a_killed_worker_is_started_again_and_finds_every_planted_need(tmp_path: Path) -> None:
    population = simulator.simulate(parameters.SimulationParameters(seed=5, customers=60, days=80))
    simulator.write(population, tmp_path / "input")
    progress = Progress(title="killed", total=len(population))
    pace = producing.Pace(rate=2_000)

    with Stage("bank", tmp_path / "input", output=tmp_path / "output", pace=pace, progress=progress) as stage:
        deadline = time.monotonic() + WITHIN_S
        while not stage.done and time.monotonic() < deadline:
            if progress.restarts == 0 and progress.by_scenario.total() >= 5:
                os.kill(stage.worker_pid, signal.SIGKILL)
            time.sleep(0.2)
        assert stage.done

    assert 1 <= progress.restarts
    signals = list(emitted.read_signals(tmp_path / "output"))
    card = scorecard.score(truth.read(tmp_path / "input" / "truth.jsonl"), signals)
    missed = {name: tally.expected - tally.found for name, tally in card.scenarios.items()}
    assert {} == {name: count for name, count in missed.items() if count}
    assert 0 == card.without_consent


def test_the_demo_plays_both_acts_and_sums_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["demo", "--customers", "40", "--days", "30", "--days-per-second", "0", "--output", str(tmp_path)]

    assert main.call(arguments) == 0

    told = capsys.readouterr().out
    assert "bank: found against the planted truth" in told
    assert "shop: real customers" in told
    assert list(emitted.read_signals(tmp_path / "bank" / "output"))
    assert list(emitted.read_signals(tmp_path / "shop" / "output"))


def test_the_real_sample_ships_with_the_program(tmp_path: Path) -> None:
    assert 400 < demo.write_real_sample(tmp_path)
