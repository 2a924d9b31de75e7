"""Customer states between changelog and local stores: nothing is lost or read twice, nothing removed comes back."""

import asyncio
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import aiokafka
import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic

from needstream.schemas import state as states
from needstream.streams import brokers, changelog, producing, topic_admin
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


@pytest.mark.asyncio
async def test_a_restore_outlasts_a_broker_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    with brokers.choose("embedded") as broker:
        topic_admin.apply(broker.bootstrap, 2)
        started = _states(broker, None)
        await started.prepare()
        await _send(broker, {"a": _snapshot("a")})
        broker.stop()
        restoring = asyncio.create_task(started.restore([0]))
        while not _warnings(caplog) and not restoring.done():
            await asyncio.sleep(0.05)
        waited = not restoring.done()
        await asyncio.to_thread(broker.start)
        await asyncio.wait_for(restoring, 30)

        assert waited
        assert {"a": _snapshot("a")} == dict(started.partition(0).items())
        assert ["the changelog cannot be read; trying until it can"] == _warnings(caplog)
        started.close()


@pytest.mark.asyncio
async def test_a_restore_that_nobody_waits_for_any_more_ends_while_the_broker_is_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with brokers.choose("embedded") as broker:
        topic_admin.apply(broker.bootstrap, 2)
        started = _states(broker, None)
        await started.prepare()
        broker.stop()
        restoring = asyncio.create_task(started.restore([0]))
        while not _warnings(caplog) and not restoring.done():
            await asyncio.sleep(0.05)
        restoring.cancel()

        with pytest.raises(asyncio.CancelledError):
            await restoring
        started.close()


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
    # Kafka deletes no records of a topic that is only compacted.
    for policy in ("compact,delete", "compact"):
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, CHANGELOG, {"cleanup.policy": policy})])
        if "delete" in policy:
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
