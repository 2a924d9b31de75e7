"""The events of a drill: equal for equal seeds, keyed, and in two orders."""

from collections import Counter
from pathlib import Path

import pytest

from needstream.simulation.chaos import event_log


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> event_log.Scenes:
    return event_log.simulate(tmp_path_factory.mktemp("events"), customers=40, days=60, seed=3)


def test_equal_seeds_give_equal_logs(scenes: event_log.Scenes, tmp_path: Path) -> None:
    again = event_log.simulate(tmp_path, customers=40, days=60, seed=3)

    assert scenes.arriving == again.arriving
    assert scenes.live == again.live


def test_both_orders_hold_the_same_records(scenes: event_log.Scenes) -> None:
    arriving, live = (
        Counter((line.topic, line.key, line.value) for line in log.lines) for log in (scenes.arriving, scenes.live)
    )

    assert arriving == live
    assert scenes.arriving.lines != scenes.live.lines


def test_every_record_has_a_key(scenes: event_log.Scenes) -> None:
    assert [] == [line for line in scenes.arriving.lines if line.key is None]


def test_a_few_records_are_unreadable(scenes: event_log.Scenes) -> None:
    assert any(not line.value.startswith(b"{") or b"yesterday" in line.value for line in scenes.live.lines) or any(
        b"broken" in line.value for line in scenes.live.lines
    )
