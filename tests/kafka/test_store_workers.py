"""Workers on local stores: killed, on a full or damaged disk, refused, and taking over from one another."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import aiokafka
import msgspec
import orjson
import pytest

import running
from needstream.schemas import state as states
from needstream.streams import brokers, changelog, producing, topic_admin, topics
from needstream.streams.state_folder import StateFolder

APP_ID = "stores"
CHANGELOG = changelog.name(APP_ID)
FULL_SPEED = producing.Pace()


@pytest.fixture
def fresh_broker(broker: brokers.Broker) -> Iterator[brokers.Broker]:
    """A broker without any topic but the inputs: needstream's topics have fixed names."""
    with brokers.choose(broker.name) as started:
        topic_admin.apply(started.bootstrap, 2)
        yield started


def _worker(
    broker: brokers.Broker, directory: Path, *, before: str = "", name: str = "state", **settings: str
) -> AbstractContextManager[running.RunningWorker]:
    """A worker on local stores; `before` is what its process does first."""
    chosen = {
        "app_id": APP_ID,
        "store": "rocksdict://",
        "data_dir": str(directory / name),
        "ordering_wait": "200ms",
    } | settings
    (directory / f"{name}.log").unlink(missing_ok=True)
    return running.worker(broker.bootstrap, directory, before=before, name=name, **chosen)


def _scores(customers: int, *, day: int) -> list[producing.Outgoing]:
    return [
        producing.Outgoing(
            0,
            topics.CUSTOMERS,
            f"c{number}".encode(),
            orjson.dumps(
                {
                    "event_id": f"score-{day}-{number}",
                    "event_type": "credit_score",
                    "event_time": f"2025-03-{day:02}T09:00:00Z",
                    "customer_id": f"c{number}",
                    "score": 600 + day,
                }
            ),
        )
        for number in range(customers)
    ]


def _produce(broker: brokers.Broker, customers: int, *, day: int) -> None:
    producing.produce(broker.bootstrap, iter(_scores(customers, day=day)), pace=FULL_SPEED)


async def _send(broker: brokers.Broker, key: bytes, stored: bytes) -> None:
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        await producer.send_and_wait(CHANGELOG, stored, key=key, partition=0)


def _newest(broker: brokers.Broker) -> dict[str, bytes]:
    """What the changelog says of every customer."""
    newest = {record.key.decode(): record.value for record in running.published(broker.bootstrap, CHANGELOG)}
    return _customers(newest)


def _stored(directory: Path) -> dict[str, bytes]:
    """What the stores of a stopped worker say."""
    folder = StateFolder(directory / "state", changelog.TABLE)
    known: dict[str, bytes] = {}
    for number in folder.partitions():
        store = folder.open(number)
        known.update(store.items())
        store.close()
    return _customers(known)


def _customers(known: Mapping[str, bytes | None]) -> dict[str, bytes]:
    """Without the partitions' own records, of which each partition has one under the same key."""
    return {key: stored for key, stored in known.items() if stored is not None and key != states.PARTITION_KEY}


def _restored_counts(log: Path) -> int:
    """How many records a worker read from the changelog, as its log says."""
    lines = [orjson.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    told = [line for line in lines if line["message"] == "states restored"]
    return sum(sum(line["records"].values()) for line in told)


DIES_BEFORE_THE_STORE = """
import os
from needstream.streams.stores import RocksPartition
RocksPartition.write = lambda *_: os._exit(9)
"""


def test_a_worker_that_dies_between_changelog_and_store_goes_on_from_the_changelog(
    fresh_broker: brokers.Broker, tmp_path: Path
) -> None:
    _skip_without_expiry(fresh_broker)
    _produce(fresh_broker, 50, day=1)
    with _worker(fresh_broker, tmp_path, before=DIES_BEFORE_THE_STORE) as worker:
        assert 9 == worker.process.wait(60), worker.log.read_text()[-4000:]

    acknowledged = len(running.published(fresh_broker.bootstrap, CHANGELOG))
    with _worker(fresh_broker, tmp_path) as worker:
        worker.await_caught_up(1)
        assert 0 == worker.terminate()
        restored = _restored_counts(worker.log)

    assert 0 < acknowledged == restored
    assert 50 == len(_newest(fresh_broker))
    assert _newest(fresh_broker) == _stored(tmp_path)


def _skip_without_expiry(broker: brokers.Broker) -> None:
    if broker.name != "apache":
        pytest.skip("the embedded broker goes on waiting for a member that was killed")


SMALL_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (28_000, resource.RLIM_INFINITY))
"""


def test_a_full_disk_stops_the_worker_with_one_line_and_costs_nothing(
    fresh_broker: brokers.Broker, tmp_path: Path
) -> None:
    """A limit of file sizes stands in for a full disk: RocksDB's write ends in the middle."""
    for day in range(1, 6):
        _produce(fresh_broker, 400, day=day)
    with _worker(fresh_broker, tmp_path, before=SMALL_FILES) as worker:
        assert 1 == worker.process.wait(90), worker.log.read_text()[-4000:]
        (told,) = [line for line in worker.log.read_text().splitlines() if line.startswith("needstream:")]
    assert "raise the limit of file sizes" in told

    with _worker(fresh_broker, tmp_path) as worker:
        worker.await_caught_up(1)
        assert 0 == worker.terminate()

    assert 400 == len(_newest(fresh_broker))
    assert {605} == {states.restore(stored).credit.score for stored in _newest(fresh_broker).values()}
    assert _newest(fresh_broker) == _stored(tmp_path)


DAMAGED_ONCE = """
from needstream.streams import stores
real, calls = stores.RocksPartition.write, []
def write(self, snapshots, through):
    calls.append(through)
    if len(calls) == 2:
        raise self._fault(Exception("Corruption: block checksum mismatch"))
    real(self, snapshots, through)
stores.RocksPartition.write = write
"""


@pytest.mark.drill
def test_damage_found_while_a_worker_runs_is_repaired_by_its_second_start(
    fresh_broker: brokers.Broker, tmp_path: Path
) -> None:
    """One write fails as RocksDB's do once it has met damage; when it meets it is up to RocksDB."""
    _produce(fresh_broker, 400, day=1)
    with _worker(fresh_broker, tmp_path) as worker:
        worker.await_caught_up(400)
        assert 0 == worker.terminate()

    with _worker(fresh_broker, tmp_path, before=DAMAGED_ONCE) as worker:
        worker.await_caught_up(0)
        _produce(fresh_broker, 400, day=2)
        _produce(fresh_broker, 400, day=3)
        _await(lambda: "worker starts again" in worker.log.read_text())
        worker.await_caught_up(1)
        assert 0 == worker.terminate()
        told = worker.log.read_text()

    assert "moved aside and rebuilt" in told
    assert {603} == {states.restore(stored).credit.score for stored in _newest(fresh_broker).values()}
    assert _newest(fresh_broker) == _stored(tmp_path)


def test_states_of_an_unknown_version_are_refused_with_one_line_and_nothing_is_changed(
    fresh_broker: brokers.Broker, tmp_path: Path
) -> None:
    foreign = msgspec.msgpack.encode([states.STATE_VERSION + 1, "c1", 0, 0])
    changelog.require(fresh_broker.bootstrap, APP_ID, partitions=2)
    asyncio.run(_send(fresh_broker, b"c1", foreign))
    folder = StateFolder(tmp_path / "state", changelog.TABLE)
    folder.prepare()
    store = folder.open(0)
    store.write({"c1": foreign}, 0)
    store.close()
    folder.close()

    with _worker(fresh_broker, tmp_path) as worker:
        assert 1 == worker.process.wait(60)
        told = worker.log.read_text()
    with _worker(fresh_broker, tmp_path, store="memory://", name="memory") as worker:
        assert 1 == worker.process.wait(60)
        told_of_changelog = worker.log.read_text()

    remedy = f"version {states.STATE_VERSION + 1}, this program reads"
    assert "Traceback" not in told
    assert [1, 1] == [text.splitlines()[-1].count(remedy) for text in (told, told_of_changelog)]
    assert {"c1": foreign} == _newest(fresh_broker) == _stored(tmp_path)


def test_a_second_worker_on_the_same_folder_is_refused(fresh_broker: brokers.Broker, tmp_path: Path) -> None:
    with _worker(fresh_broker, tmp_path) as first:
        first.await_caught_up(0)
        (tmp_path / "second").mkdir()
        with _worker(fresh_broker, tmp_path / "second", data_dir=str(tmp_path / "state")) as second:
            assert 1 == second.process.wait(60)
            assert "in use by another worker" in second.log.read_text()
        assert 0 == first.terminate()


def test_a_standby_takes_over_without_reading_what_it_has(fresh_broker: brokers.Broker, tmp_path: Path) -> None:
    _skip_without_expiry(fresh_broker)
    with (
        _worker(fresh_broker, tmp_path, name="one", standby="1") as one,
        _worker(fresh_broker, tmp_path, name="two", standby="1") as two,
    ):
        _await(lambda: [1, 1] == [_page(each)["assigned"] for each in (one, two)])
        _produce(fresh_broker, 300, day=1)
        _await(lambda: one.records() + two.records() >= 300 and all(_page(each)["caught_up"] for each in (one, two)))
        time.sleep(6)  # the standbys look every two seconds
        before = _restored_counts(two.log)
        one.process.kill()
        one.process.wait()
        _await(lambda: 2 == _page(two)["assigned"] and _page(two)["caught_up"])
        _produce(fresh_broker, 300, day=2)
        _await(lambda: two.records() >= 300)
        two.await_caught_up(300)
        assert 0 == two.terminate()
        after = _restored_counts(two.log)

    assert 0 < before == after
    assert {602} == {states.restore(stored).credit.score for stored in _newest(fresh_broker).values()}


def _page(worker: running.RunningWorker) -> dict[str, Any]:
    _, body = worker.get("/ready")
    return orjson.loads(body) if body else {"assigned": 0, "caught_up": False}


def _await(happened: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.2)
