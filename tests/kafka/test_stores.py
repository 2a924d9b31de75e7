"""Customer states between changelog and local stores: nothing is lost or read twice, nothing removed comes back."""

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiokafka
import msgspec
import orjson
import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import NewTopic

import running
from needstream.schemas import state as states
from needstream.streams import brokers, changelog, producing, topic_admin, topics
from needstream.streams.state_folder import StateFolder
from needstream.streams.tables import CustomerStates
from needstream.streams.topic_admin import TopicsRefused

APP_ID = "stores"
CHANGELOG = changelog.name(APP_ID)
FULL_SPEED = producing.Pace()


@pytest.fixture
def fresh_broker(broker: brokers.Broker) -> Iterator[brokers.Broker]:
    """A broker without any topic but the inputs: needstream's topics have fixed names."""
    with brokers.choose(broker.name) as started:
        topic_admin.apply(started.bootstrap, 2)
        yield started


@pytest.fixture
def admin(fresh_broker: brokers.Broker) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=fresh_broker.bootstrap)
    yield client
    client.close()


def _snapshot(customer_id: str, at_ms: int = 1_000) -> bytes:
    return states.snapshot(states.new_customer(customer_id, at_ms))


def _states(broker: brokers.Broker, folder: Path | None) -> CustomerStates:
    local = None if folder is None else StateFolder(folder, changelog.TABLE)
    return CustomerStates(broker.bootstrap, APP_ID, folder=local, partitions=2)


async def _restored(broker: brokers.Broker, folder: Path | None) -> tuple[dict[str, bytes], int]:
    """What a worker that starts knows of partition 0, and how many records it read for that."""
    started = _states(broker, folder)
    try:
        await started.prepare()
        await started.restore([0])
        return dict(started.partition(0).items()), started.restored[0]
    finally:
        started.close()


async def _send(broker: brokers.Broker, snapshots: dict[str, bytes | None], partition: int = 0) -> int:
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        for customer_id, stored in snapshots.items():
            sent = await producer.send_and_wait(CHANGELOG, stored, key=customer_id.encode(), partition=partition)
    return int(sent.offset)


# -- restoring -------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("on_disk", [False, True])
async def test_everything_comes_back_from_the_changelog(
    fresh_broker: brokers.Broker, tmp_path: Path, *, on_disk: bool
) -> None:
    everyone: dict[str, bytes | None] = {f"c{number}": _snapshot(f"c{number}") for number in range(5_000)}
    await _restored(fresh_broker, None)
    await _send_packed(fresh_broker, everyone)
    await _send(fresh_broker, {"c7": None, "c8": _snapshot("c8", 2_000)})

    known, count = await _restored(fresh_broker, tmp_path if on_disk else None)

    del everyone["c7"]
    assert everyone | {"c8": _snapshot("c8", 2_000)} == known
    assert 5_002 == count


async def _send_packed(broker: brokers.Broker, snapshots: dict[str, bytes | None]) -> None:
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=broker.bootstrap, linger_ms=20) as producer:
        sent = [
            await producer.send(CHANGELOG, stored, key=customer_id.encode(), partition=0)
            for customer_id, stored in snapshots.items()
        ]
        await asyncio.gather(*sent)


@pytest.mark.asyncio
async def test_a_restart_reads_no_more_than_was_missed(fresh_broker: brokers.Broker, tmp_path: Path) -> None:
    """What the worker itself wrote counts as read: to the changelog first, then here with its offset."""
    started = _states(fresh_broker, tmp_path)
    await started.prepare()
    await started.restore([0, 1])
    for number in range(20):
        through = await _send(fresh_broker, {f"c{number}": _snapshot(f"c{number}")})
        started.partition(0).write({f"c{number}": _snapshot(f"c{number}")}, through)
    started.close()

    assert 0 == (await _restored(fresh_broker, tmp_path))[1]
    await _send(fresh_broker, {"c3": None, "c20": _snapshot("c20")})
    known, count = await _restored(fresh_broker, tmp_path)

    assert {f"c{number}" for number in range(21)} - {"c3"} == set(known)
    assert 2 == count
    assert 0 == (await _restored(fresh_broker, tmp_path))[1]


@pytest.mark.asyncio
async def test_what_was_acknowledged_and_not_written_here_comes_with_the_next_start(
    fresh_broker: brokers.Broker, tmp_path: Path
) -> None:
    started = _states(fresh_broker, tmp_path)
    await started.prepare()
    await started.restore([0])
    first = {"a": _snapshot("a"), "b": _snapshot("b")}
    started.partition(0).write(dict(first), await _send(fresh_broker, dict(first)))
    await _send(fresh_broker, {"a": None, "b": _snapshot("b", 2_000)})  # and killed
    started.close()

    known, count = await _restored(fresh_broker, tmp_path)

    assert {"b": _snapshot("b", 2_000)} == known
    assert 2 == count


@pytest.mark.asyncio
async def test_a_partition_that_goes_and_comes_back_lacks_nothing(fresh_broker: brokers.Broker, tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        started = _states(fresh_broker, folder)
        await started.prepare()
        await started.restore([0, 1])
        await _send(fresh_broker, {"a": _snapshot("a"), "b": _snapshot("b")})
        await started.restore([0])
        await started.restore([1])
        await _send(fresh_broker, {"a": None})

        await started.restore([0, 1])

        assert {"b": _snapshot("b")} == dict(started.partition(0).items())
        started.close()


# -- what must not be completed --------------------------------------------------------------------------------------


async def _left_behind(broker: brokers.Broker, folder: Path) -> None:
    """A worker knows `removed` and `kept`, then another one has the partition and `removed` is removed."""
    known, _ = await _restored(broker, folder)
    assert not known
    await _send(broker, {"removed": _snapshot("removed"), "kept": _snapshot("kept")})
    await _restored(broker, folder)
    await _send(broker, {"removed": None, "kept": _snapshot("kept", 2_000)})


@pytest.mark.asyncio
async def test_a_store_below_the_beginning_of_the_changelog_is_made_anew(
    fresh_broker: brokers.Broker, admin: KafkaAdminClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if fresh_broker.name != "apache":
        pytest.skip("the embedded broker does not delete records")
    await _left_behind(fresh_broker, tmp_path)
    admin.delete_records({TopicPartition(CHANGELOG, 0): 3})

    with caplog.at_level(logging.WARNING):
        known, _ = await _restored(fresh_broker, tmp_path)

    assert {"kept": _snapshot("kept", 2_000)} == known
    assert ["local store discarded and rebuilt from the changelog"] == _warnings(caplog)


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name.startswith("needstream")]


@pytest.mark.asyncio
async def test_a_store_of_a_changelog_that_was_made_anew_is_made_anew(
    fresh_broker: brokers.Broker, admin: KafkaAdminClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also if it has grown longer than the first one: the cluster gave it another id, if it gives ids."""
    await _left_behind(fresh_broker, tmp_path)
    admin.delete_topics([CHANGELOG])
    deadline = time.monotonic() + 20
    while CHANGELOG in admin.list_topics() and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
    await _restored(fresh_broker, None)
    await _send(fresh_broker, {"new": _snapshot("new")})
    if fresh_broker.name == "apache":
        await _send(fresh_broker, {f"c{number}": _snapshot("new") for number in range(9)} | {"last": None})

    with caplog.at_level(logging.WARNING):
        known, _ = await _restored(fresh_broker, tmp_path)

    assert {"removed", "kept"}.isdisjoint(known)
    assert _snapshot("new") == known["new"]
    assert ["local store discarded and rebuilt from the changelog"] == _warnings(caplog)


@pytest.mark.asyncio
async def test_a_store_that_missed_removals_which_have_vanished_is_made_anew(
    fresh_broker: brokers.Broker, admin: KafkaAdminClient, tmp_path: Path
) -> None:
    """The marks of removals stay for a second here, and the store was away for longer."""
    request = NewTopic(CHANGELOG, 2, 1, topic_configs=changelog.CONFIGURATION | {"delete.retention.ms": "1000"})
    admin.create_topics([request], wait_for_metadata=True)
    await _left_behind(fresh_broker, tmp_path)
    await asyncio.sleep(1)

    known, count = await _restored(fresh_broker, tmp_path)

    assert {"kept": _snapshot("kept", 2_000)} == known
    assert 4 == count


# -- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_damaged_store_is_moved_aside_and_rebuilt_at_the_start(
    fresh_broker: brokers.Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    everyone: dict[str, bytes | None] = {f"c{number}": _snapshot(f"c{number}") for number in range(2_000)}
    await _restored(fresh_broker, tmp_path)
    await _send_packed(fresh_broker, everyone)
    await _restored(fresh_broker, tmp_path)
    path = StateFolder(tmp_path, changelog.TABLE).path(0)
    for table in path.glob("*.sst"):
        os.truncate(table, table.stat().st_size // 2)

    with caplog.at_level(logging.WARNING):
        known, count = await _restored(fresh_broker, tmp_path)

    assert everyone == known
    assert 2_000 == count
    assert ["local store damaged; moved aside and rebuilt from the changelog"] == _warnings(caplog)
    assert ["customer-states-0.db.damaged-1"] == [aside.name for aside in path.parent.glob("*damaged*")]
    assert 0 == (await _restored(fresh_broker, tmp_path))[1]


# -- workers ---------------------------------------------------------------------------------------------------------

RUN = "from needstream.streams.cli.main import run; run()"


@contextlib.contextmanager
def _worker(
    broker: brokers.Broker, directory: Path, *, before: str = "", name: str = "state", **settings: str
) -> Iterator[running.RunningWorker]:
    """A worker on local stores; `before` is what its process does first."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    chosen = {
        "broker": broker.bootstrap,
        "app_id": APP_ID,
        "store": "rocksdict://",
        "data_dir": str(directory / name),
        "web_port": str(port),
        "ordering_wait": "200ms",
    } | settings
    environment = {variable: given for variable, given in os.environ.items() if not variable.startswith("NEEDSTREAM_")}
    environment |= {f"NEEDSTREAM_{variable.upper()}": given for variable, given in chosen.items()}
    log = directory / f"{name}.log"
    with log.open("wb") as lines:
        process = subprocess.Popen(
            [sys.executable, "-c", f"{before}\n{RUN}", "worker"], env=environment, stdout=lines, stderr=lines
        )
    try:
        yield running.RunningWorker(process, port, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


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


def _newest(broker: brokers.Broker) -> dict[str, bytes]:
    """What the changelog says of every customer."""
    newest = {record.key.decode(): record.value for record in running.published(broker.bootstrap, CHANGELOG)}
    return {customer_id: stored for customer_id, stored in newest.items() if stored is not None}


def _stored(directory: Path) -> dict[str, bytes]:
    """What the stores of a stopped worker say."""
    folder = StateFolder(directory / "state", changelog.TABLE)
    known: dict[str, bytes] = {}
    for number in folder.partitions():
        store = folder.open(number)
        known.update(store.items())
        store.close()
    return known


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


UNREADABLE_ONCE = """
from needstream.streams import stores
real, calls = stores.RocksPartition.get, []
def get(self, customer_id):
    calls.append(customer_id)
    if len(calls) == 100:
        raise self._fault(Exception("Corruption: block checksum mismatch"))
    return real(self, customer_id)
stores.RocksPartition.get = get
"""


def test_damage_found_while_a_worker_runs_is_repaired_by_its_second_start(
    fresh_broker: brokers.Broker, tmp_path: Path
) -> None:
    """One read fails as RocksDB's do: it keeps what it has read once, so that bytes damaged now would show much later."""
    _produce(fresh_broker, 400, day=1)
    with _worker(fresh_broker, tmp_path) as worker:
        worker.await_caught_up(400)
        assert 0 == worker.terminate()

    with _worker(fresh_broker, tmp_path, before=UNREADABLE_ONCE) as worker:
        worker.await_caught_up(0)
        _produce(fresh_broker, 400, day=2)
        _await(lambda: "worker starts again" in worker.log.read_text())
        worker.await_caught_up(1)
        assert 0 == worker.terminate()
        told = worker.log.read_text()

    assert "moved aside and rebuilt" in told
    assert {602} == {states.restore(stored).credit.score for stored in _newest(fresh_broker).values()}
    assert _newest(fresh_broker) == _stored(tmp_path)


def test_states_of_an_unknown_version_are_refused_with_one_line_and_nothing_is_changed(
    fresh_broker: brokers.Broker, tmp_path: Path
) -> None:
    foreign = msgspec.msgpack.encode([states.STATE_VERSION + 1, "c1", 0, 0])
    changelog.require(fresh_broker.bootstrap, APP_ID, partitions=2)
    asyncio.run(_send(fresh_broker, {"c1": foreign}))
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


# -- the topic -------------------------------------------------------------------------------------------------------


def test_the_changelog_is_made_compacted_with_the_partitions_of_the_inputs(
    fresh_broker: brokers.Broker, admin: KafkaAdminClient
) -> None:
    facts = changelog.require(fresh_broker.bootstrap, APP_ID, partitions=2)

    described, configuration = changelog._existing(admin, CHANGELOG)
    assert 2 == len(described["partitions"])
    assert changelog.CONFIGURATION == {name: configuration.get(name) for name in changelog.CONFIGURATION}
    assert facts == changelog.require(fresh_broker.bootstrap, APP_ID, partitions=2)
    assert [] == changelog.check(fresh_broker.bootstrap, APP_ID)


@pytest.mark.parametrize(
    ("partitions", "configuration", "finding"),
    [
        (3, changelog.CONFIGURATION, "has 3 partitions and the inputs have 2"),
        (2, changelog.CONFIGURATION | {"cleanup.policy": "delete"}, "has cleanup.policy=delete"),
    ],
)
def test_a_changelog_that_would_lose_states_is_refused(
    fresh_broker: brokers.Broker, admin: KafkaAdminClient, partitions: int, configuration: dict[str, str], finding: str
) -> None:
    admin.create_topics([NewTopic(CHANGELOG, partitions, 1, topic_configs=configuration)], wait_for_metadata=True)

    with pytest.raises(TopicsRefused, match=finding):
        changelog.require(fresh_broker.bootstrap, APP_ID, partitions=2)


def test_a_changelog_that_keeps_the_erased_for_longer_is_told_and_not_refused(
    fresh_broker: brokers.Broker, admin: KafkaAdminClient
) -> None:
    admin.create_topics(
        [NewTopic(CHANGELOG, 2, 1, topic_configs={"cleanup.policy": "compact"})], wait_for_metadata=True
    )

    (problem,) = changelog.check(fresh_broker.bootstrap, APP_ID)

    assert not problem.fatal
    assert "max.compaction.lag.ms=43200000" in problem.remedy
    changelog.require(fresh_broker.bootstrap, APP_ID, partitions=2)
