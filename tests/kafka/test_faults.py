"""Whatever stands still, is away or is slow: the same worker goes on afterwards, nothing lost and nothing invented."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import orjson
import pytest

import running
from needstream.simulation import parameters, simulator
from needstream.streams import brokers, producing, topic_admin, topics
from needstream.streams.packs import loader
from needstream.streams.replay import Replay, ReplayOptions
from needstream.streams.settings import DEVELOPMENT_KEY

PARTITIONS = 2
FULL_SPEED = producing.Pace()
FROZEN_S = 15.0
"""Longer than the group session, 10 s."""


@pytest.fixture
def fresh_broker(broker: brokers.Broker) -> Iterator[brokers.Broker]:
    """A broker without any topic: needstream's topics have fixed names."""
    with brokers.choose(broker.name) as started:
        topic_admin.apply(started.bootstrap, PARTITIONS)
        yield started


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[producing.Outgoing]:
    """Two months of a small bank whose visitors stay anonymous: messages between partitions take their own time."""
    folder = tmp_path_factory.mktemp("faults")
    simulator.write(simulator.simulate(parameters.SimulationParameters(seed=12, customers=150, days=60)), folder)
    return [line for line in producing.read_folder(folder) if b'"identify"' not in line.value]


@pytest.fixture(scope="session")
def replayed(lines: Sequence[producing.Outgoing], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What replay makes of them with the models that a first replay learned."""
    folder = tmp_path_factory.mktemp("replayed")
    for topic in {line.topic for line in lines}:
        values = [line.value for line in lines if line.topic == topic]
        (folder / f"{topic}.jsonl").write_bytes(b"\n".join(values) + b"\n")
    definitions, latest_ms = loader.load("bank"), time.time_ns() // 1_000_000
    Replay(definitions, ReplayOptions(latest_ms=latest_ms, model_key=DEVELOPMENT_KEY)).run(folder, folder / "learned")
    models = folder / "learned" / f"{topics.MODEL_SNAPSHOTS}.jsonl"
    pinned = ReplayOptions(latest_ms=latest_ms, models=models, model_key=DEVELOPMENT_KEY)
    Replay(definitions, pinned).run(folder, folder / "pinned")
    return folder


def _settings(replayed: Path, wait: str = "1s") -> dict[str, str]:
    return {"models": str(replayed / "learned" / f"{topics.MODEL_SNAPSHOTS}.jsonl"), "ordering_wait": wait}


def _await(
    happened: Callable[[], object], workers: Iterable[running.RunningWorker], *, within_s: float = 120.0
) -> None:
    deadline = time.monotonic() + within_s
    while not happened():
        told = [worker.log.read_text()[-3000:] for worker in workers if worker.process.poll() is not None]
        assert not told, told
        assert time.monotonic() < deadline, [worker.log.read_text()[-3000:] for worker in workers]
        time.sleep(0.05)


def _await_caught_up(*workers: running.RunningWorker) -> None:
    """Return once the workers have all partitions between them and have applied everything, idle ones as well."""

    def caught_up() -> bool:
        pages = [worker.get("/ready") for worker in workers]
        told = [orjson.loads(body) for status, body in pages if status == 200]
        return sum(each["assigned"] for each in told) == PARTITIONS and all(
            each["caught_up"] for each in told if each["assigned"]
        )

    _await(caught_up, workers)
    time.sleep(3)  # idle partitions follow the event time of the others
    _await(caught_up, workers)


def _assert_said(bootstrap: str, replayed: Path) -> None:
    """Everything replay says, and nothing else; a repeat after a fault has the same id and the same payload."""
    for topic, identity in running.IDENTITIES.items():
        expected = running.by_id((replayed / "pinned" / f"{topic}.jsonl").read_bytes().splitlines(), identity)
        records = [record.value for record in running.published(bootstrap, topic)]
        said = [running.by_id([record], identity) for record in records]
        assert expected, topic
        assert expected == running.by_id(records, identity)
        assert [] == [each for each in said if not each.items() <= expected.items()]


def _begin(bootstrap: str, lines: Sequence[producing.Outgoing], *, rate: float) -> threading.Thread:
    pace = producing.Pace(rate=rate)
    thread = threading.Thread(target=producing.produce, args=(bootstrap, iter(lines)), kwargs={"pace": pace})
    thread.start()
    return thread


def test_a_worker_that_stood_still_does_no_harm_and_goes_on(
    fresh_broker: brokers.Broker, lines: Sequence[producing.Outgoing], replayed: Path, tmp_path: Path
) -> None:
    """Meanwhile another one has its partitions; what it had in work is not written over the other's."""
    bootstrap, settings = fresh_broker.bootstrap, _settings(replayed)
    with (
        running.worker(bootstrap, tmp_path / "1", **settings) as first,
        running.worker(bootstrap, tmp_path / "2", **settings) as second,
    ):
        _await_caught_up(first, second)
        sending = _begin(bootstrap, lines, rate=1_000)
        try:
            _await(lambda: first.records() > 1_000, [first, second])
            first.process.send_signal(signal.SIGSTOP)
            time.sleep(FROZEN_S)
            first.process.send_signal(signal.SIGCONT)
        finally:
            sending.join()
        _await_caught_up(first, second)
        assert (0, 0) == (first.terminate(), second.terminate())
        assert "Traceback" not in first.log.read_text()

    _assert_said(bootstrap, replayed)


def _stopped(broker: brokers.Broker) -> None:
    """The broker is away for a while, and nothing of it is lost."""
    broker.stop()
    time.sleep(20)
    broker.start()


def _paused(broker: brokers.Broker) -> None:
    """The broker takes connections and answers nothing for a while."""
    process = broker._process.pid  # type: ignore[attr-defined]  # the brokers of these tests are local processes
    os.killpg(process, signal.SIGSTOP)
    time.sleep(40)
    os.killpg(process, signal.SIGCONT)


@pytest.mark.parametrize("disturb", [_stopped, _paused])
def test_the_same_worker_goes_on_after_a_fault_of_the_broker(
    fresh_broker: brokers.Broker,
    lines: Sequence[producing.Outgoing],
    replayed: Path,
    tmp_path: Path,
    *,
    disturb: Callable[[brokers.Broker], None],
) -> None:
    if fresh_broker.name != "apache":
        pytest.skip("the embedded broker saves shortly after it acknowledges")
    bootstrap = fresh_broker.bootstrap
    producing.produce(bootstrap, iter(lines), pace=FULL_SPEED)

    with running.worker(bootstrap, tmp_path, **_settings(replayed)) as worker:
        _await(lambda: worker.records() > 1_000, [worker])
        disturb(fresh_broker)
        _await_caught_up(worker)
        assert 0 == worker.terminate()

    _assert_said(bootstrap, replayed)
