import pathlib

import orjson

from needstream.simulation import journal, simulator, truth


def _small(**choices: int) -> simulator.Simulation:
    return simulator.simulate(simulator.SimulationParameters(**{"customers": 60, "days": 60, **choices}))


def test_the_same_seed_gives_the_same_bytes(tmp_path: pathlib.Path) -> None:
    for name in ("first", "second"):
        simulator.write(_small(seed=3), tmp_path / name)

    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_another_seed_gives_other_events() -> None:
    assert _small(seed=3).arrivals != _small(seed=4).arrivals


def test_every_input_topic_has_a_file_named_after_it(tmp_path: pathlib.Path) -> None:
    simulator.write(_small(), tmp_path)

    assert {f"{topic}.jsonl" for topic in journal.TOPICS} | {truth.FILE_NAME} == {p.name for p in tmp_path.iterdir()}


def test_the_files_hold_every_arrival_and_every_planted_row(tmp_path: pathlib.Path) -> None:
    simulation = _small()
    simulator.write(simulation, tmp_path)

    lines = [line for topic in journal.TOPICS for line in (tmp_path / f"{topic}.jsonl").read_bytes().splitlines()]
    assert len(simulation) == len(lines) == sum(simulation.counts().values())
    assert simulation.truth == list(truth.read(tmp_path / truth.FILE_NAME))


def test_a_single_customer_for_a_single_day_can_be_simulated() -> None:
    simulation = _small(customers=1, days=1, bots=0, anonymous_visitors=0)

    assert {"c000001"} == {arrival.key for arrival in simulation}


def test_broken_records_appear_only_when_asked_for() -> None:
    def unreadable(simulation: simulator.Simulation) -> int:
        broken = 0
        for arrival in simulation:
            try:
                broken += not {"event_id", "event_time"} <= set(orjson.loads(arrival.event))
            except orjson.JSONDecodeError:
                broken += 1
        return broken

    assert unreadable(_small()) == 0
    assert unreadable(_small(malformed=25)) == 20  # Every fifth is readable, but has an impossible time.
