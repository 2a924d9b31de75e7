"""Short drills against the real worker: whatever happens to it, it says and remembers what an undisturbed one does."""

from pathlib import Path

import orjson
import pytest

from needstream.simulation.chaos import command
from needstream.streams import brokers
from needstream.streams.cli import main

SMALL = ("--short", "--customers", "100", "--days", "60", "--rounds", "1", "--partitions", "2")


def play(drill: str, broker: brokers.Broker, *, folder: Path, arguments: tuple[str, ...]) -> None:
    """Play a drill through the program; on failure the report says why."""
    code = main.call(["chaos", "--drill", drill, "--broker", broker.name, "--output", str(folder), *arguments])

    told = orjson.loads((folder / "report.json").read_bytes())
    assert {} == {f"{each['drill']} {each['models']}": each["findings"] for each in told["drills"] if each["findings"]}
    assert code == 0
    assert all(each["topics"] for each in told["drills"])


@pytest.mark.parametrize(
    ("models", "store"),
    [("pinned", "memory://"), pytest.param("learning", "rocksdict://", marks=pytest.mark.drill)],
)
def test_a_killed_worker_leaves_no_trace(broker: brokers.Broker, tmp_path: Path, *, models: str, store: str) -> None:
    kills = ("--kills", "3") if models == "learning" else ()
    play("kill", broker, folder=tmp_path, arguments=(*SMALL, *kills, "--models", models, "--store", store))


@pytest.mark.drill
def test_workers_that_come_and_go_leave_no_trace(broker: brokers.Broker, tmp_path: Path) -> None:
    play("rebalance", broker, folder=tmp_path, arguments=(*SMALL, "--models", "pinned"))


@pytest.mark.drill
def test_what_is_delivered_again_changes_nothing(broker: brokers.Broker, tmp_path: Path) -> None:
    play("redelivery", broker, folder=tmp_path, arguments=(*SMALL, "--models", "learning"))


@pytest.mark.drill
def test_a_broker_that_goes_and_comes_back_leaves_no_trace(broker: brokers.Broker, tmp_path: Path) -> None:
    if broker.name != command.BrokerName.APACHE:
        pytest.skip("the embedded broker saves shortly after it acknowledges")
    play("broker", broker, folder=tmp_path, arguments=(*SMALL, "--models", "pinned"))


def test_the_broker_drill_is_refused_on_the_embedded_broker() -> None:
    assert 2 == main.call(["chaos", "--drill", "broker", "--broker", "embedded"])
