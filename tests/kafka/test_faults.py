"""Whatever stands still, is away or is slow: the same worker goes on afterwards, nothing lost and nothing invented."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from kafka import KafkaProducer

import running
from needstream.simulation import parameters, simulator
from needstream.streams import app, brokers, producing, sending, topic_admin, topics
from needstream.streams.packs import loader
from needstream.streams.replay import Replay, ReplayOptions
from needstream.streams.settings import DEVELOPMENT_KEY, Settings

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
        producer = _begin(bootstrap, lines, rate=1_000)
        try:
            _await(lambda: first.records() > 1_000, [first, second])
            first.process.send_signal(signal.SIGSTOP)
            time.sleep(FROZEN_S)
            first.process.send_signal(signal.SIGCONT)
        finally:
            producer.join()
        _await_caught_up(first, second)
        assert (0, 0) == (first.terminate(), second.terminate())
        assert "Traceback" not in first.log.read_text()

    _assert_said(bootstrap, replayed)


def test_the_same_worker_goes_on_after_the_broker_was_away(
    fresh_broker: brokers.Broker, lines: Sequence[producing.Outgoing], replayed: Path, tmp_path: Path
) -> None:
    if fresh_broker.name != "apache":
        pytest.skip("the embedded broker saves shortly after it acknowledges")
    bootstrap = fresh_broker.bootstrap
    producing.produce(bootstrap, iter(lines), pace=FULL_SPEED)

    with running.worker(bootstrap, tmp_path, **_settings(replayed)) as worker:
        _await(lambda: worker.records() > 1_000, [worker])
        fresh_broker.stop()
        time.sleep(20)
        fresh_broker.start()
        _await_caught_up(worker)
        assert worker.terminate() == 0

    _assert_said(bootstrap, replayed)


@pytest.mark.drill
def test_the_same_worker_goes_on_after_the_broker_stood_still(
    fresh_broker: brokers.Broker, lines: Sequence[producing.Outgoing], replayed: Path, tmp_path: Path
) -> None:
    """It takes connections and answers nothing; meanwhile the worker says that it does not get on."""
    bootstrap = fresh_broker.bootstrap
    process = fresh_broker._process.pid  # type: ignore[attr-defined]  # the brokers of these tests are local processes
    producing.produce(bootstrap, iter(lines), pace=FULL_SPEED)

    with running.worker(bootstrap, tmp_path, **_settings(replayed), stall_after="10s") as worker:
        _await(lambda: worker.records() > 1_000, [worker])
        os.killpg(process, signal.SIGSTOP)
        try:
            time.sleep(40)
            status, told = worker.get("/health")
        finally:
            os.killpg(process, signal.SIGCONT)
        assert (503, "stalled") == (status, orjson.loads(told)["status"])
        _await_caught_up(worker)
        assert worker.get("/health")[0] == 200
        assert worker.terminate() == 0

    _assert_said(bootstrap, replayed)


def test_what_somebody_else_writes_to_the_changelog_is_undone(fresh_broker: brokers.Broker, tmp_path: Path) -> None:
    bootstrap, changelog = fresh_broker.bootstrap, "needstream-customer-states-changelog"
    with running.worker(bootstrap, tmp_path) as worker:
        _await_caught_up(worker)
        _score(bootstrap, 1)
        _await(lambda: b"c1" in {record.key for record in running.published(bootstrap, changelog)}, [worker])
        own = next(record for record in running.published(bootstrap, changelog) if record.key == b"c1")
        producer = KafkaProducer(bootstrap_servers=bootstrap)
        for key in (own.key, b"stranger"):
            producer.send(changelog, own.value, key=key, partition=own.partition)
        producer.close()
        _score(bootstrap, 2)
        _await(lambda: b"needstream_fenced_writes_total 1.0" in worker.get("/metrics")[1], [worker])
        assert worker.terminate() == 0

    newest = {record.key: record.value for record in running.published(bootstrap, changelog)}
    assert newest[b"stranger"] is None
    assert newest[own.key] not in (None, own.value)


def _score(bootstrap: str, day: int) -> None:
    event = {"event_id": f"score-{day}", "event_type": "credit_score", "customer_id": "c1", "score": 700 - day}
    value = orjson.dumps(event | {"event_time": f"2025-03-0{day}T09:00:00Z"})
    producing.produce(bootstrap, iter([producing.Outgoing(0, topics.CUSTOMERS, b"c1", value)]), pace=FULL_SPEED)


@pytest.mark.asyncio
async def test_a_slow_sink_holds_back_reading(
    fresh_broker: brokers.Broker, lines: Sequence[producing.Outgoing], tmp_path: Path
) -> None:
    producing.produce(fresh_broker.bootstrap, iter(lines), pace=FULL_SPEED)
    worker = app.Worker(Settings(broker=fresh_broker.bootstrap, data_dir=tmp_path, web_port=0), PARTITIONS)
    send, asked, flows, stop = worker.send, asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def send_later(records: Any, may_repeat: sending.MayRepeat) -> Any:
        asked.set()
        await flows.wait()
        return await send(records, may_repeat)

    def read() -> float:
        return sum(worker.metrics.records.labels(topic)._value.get() for topic in topics.INPUTS)

    worker.send = send_later  # type: ignore[method-assign]  # a broker that takes its time
    working = asyncio.ensure_future(app.run(worker, stop))
    await asyncio.wait_for(asked.wait(), 60)
    await asyncio.sleep(5)
    held = read()
    flows.set()
    deadline = time.monotonic() + 60
    while read() < len(lines) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    stop.set()
    await working

    assert held < len(lines) / 2
    assert len(lines) == read()


def test_a_producer_gone_wrong_stops_the_worker_before_its_records_are_acknowledged(
    fresh_broker: brokers.Broker, tmp_path: Path
) -> None:
    bad = [producing.Outgoing(0, topics.CLICKSTREAM, b"c1", b"{")] * 300
    producing.produce(fresh_broker.bootstrap, iter(bad), pace=FULL_SPEED)

    with running.worker(fresh_broker.bootstrap, tmp_path, dead_letter_stop="0.5") as worker:
        assert worker.process.wait(60) == 1
        told = worker.log.read_text()

    assert "NEEDSTREAM_DEAD_LETTER_STOP=0.5" in told.splitlines()[-1]
    assert "Traceback" not in told
    assert [] == running.published(fresh_broker.bootstrap, topics.DEAD_LETTERS)
