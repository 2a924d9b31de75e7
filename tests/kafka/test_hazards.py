"""Topics that lost records, clocks that are wrong and groups in motion: nothing is dropped or lost in silence."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiokafka
import orjson
import pytest
from faust.types import TP
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic

import running
from needstream.schemas import state as states
from needstream.schemas import times
from needstream.streams import brokers, changelog, input_offsets, producing, topic_admin, topics
from needstream.streams.cli import main
from needstream.streams.offset_findings import FindingKind

APP_ID = "hazards"
CHANGELOG = changelog.name(APP_ID)
FULL_SPEED = producing.Pace()
PARTITIONS = 2


@pytest.fixture
def fresh_broker(broker: brokers.Broker) -> Iterator[brokers.Broker]:
    """A broker without any topic but ours: needstream's topics have fixed names."""
    with brokers.choose(broker.name) as started:
        topic_admin.apply(started.bootstrap, PARTITIONS)
        yield started


@pytest.fixture
def admin(fresh_broker: brokers.Broker) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=fresh_broker.bootstrap)
    yield client
    client.close()


def _scores(customers: int, *, day: int) -> list[producing.Outgoing]:
    return [
        _event(f"c{number}", f"2025-03-{day:02}T09:00:00Z", event_id=f"score-{day}-{number}", score=600 + day)
        for number in range(customers)
    ]


def _event(customer: str, at: str, *, event_id: str, score: int = 600) -> producing.Outgoing:
    event = {"event_id": event_id, "event_type": "credit_score", "event_time": at, "customer_id": customer}
    return producing.Outgoing(0, topics.CUSTOMERS, customer.encode(), orjson.dumps(event | {"score": score}))


def _produce(broker: brokers.Broker, lines: list[producing.Outgoing]) -> None:
    producing.produce(broker.bootstrap, iter(lines), pace=FULL_SPEED)


def _newest(broker: brokers.Broker) -> dict[str, states.CustomerState]:
    """What the changelog says of every customer."""
    newest = {record.key.decode(): record.value for record in running.published(broker.bootstrap, CHANGELOG)}
    return {key: states.restore(stored) for key, stored in newest.items() if stored and key != states.PARTITION_KEY}


def _run_once(broker: brokers.Broker, directory: Path, *, reads: int) -> str:
    """Run a worker until it has read so many records and applied them; what it logged."""
    with running.worker(broker.bootstrap, directory, app_id=APP_ID) as worker:
        worker.await_caught_up(reads)
        assert 0 == worker.terminate()
        return worker.log.read_text()


def _refused(broker: brokers.Broker, directory: Path) -> str:
    """Run a worker that must not start; its last words."""
    with running.worker(broker.bootstrap, directory, app_id=APP_ID) as worker:
        assert 1 == worker.process.wait(60)
        told = worker.log.read_text()
    assert "Traceback" not in told
    return told


def _ends(broker: brokers.Broker, topic: str) -> dict[TopicPartition, int]:
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=None)
    try:
        ends: dict[TopicPartition, int] = consumer.end_offsets(
            [TopicPartition(topic, number) for number in range(PARTITIONS)]
        )
        return ends
    finally:
        consumer.close()


def _await(happened: Callable[[], object], *, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


# -- topics that lost records ----------------------------------------------------------------------------------------


def test_an_input_that_was_made_again_is_refused_before_its_records_are_taken_for_known_ones(
    fresh_broker: brokers.Broker, admin: KafkaAdminClient, tmp_path: Path
) -> None:
    """Apache Kafka forgets what was committed for a deleted topic: then it is the states that tell."""
    _produce(fresh_broker, _scores(20, day=1))
    _run_once(fresh_broker, tmp_path, reads=20)
    admin.delete_topics([topics.CUSTOMERS])
    _await(lambda: topics.CUSTOMERS not in admin.list_topics())
    topic_admin.apply(fresh_broker.bootstrap, PARTITIONS)
    _produce(fresh_broker, _scores(4, day=2))

    told = _refused(fresh_broker, tmp_path)
    assert f"{topics.CUSTOMERS}[0] ends at offset" in told
    assert "start with another NEEDSTREAM_APP_ID" in told
    findings = input_offsets.examine(fresh_broker.bootstrap, APP_ID, learns=True)
    assert {FindingKind.INPUT_CUT_OFF} == {finding.kind for finding in findings if finding.fatal}

    with running.worker(fresh_broker.bootstrap, tmp_path / "anew", app_id="anew") as worker:
        worker.await_caught_up(4)
        assert 0 == worker.terminate()


def test_records_that_expired_unread_are_counted_and_the_worker_goes_on(
    fresh_broker: brokers.Broker,
    admin: KafkaAdminClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _produce(fresh_broker, _scores(20, day=1))
    _run_once(fresh_broker, tmp_path, reads=20)
    read = _ends(fresh_broker, topics.CUSTOMERS)
    _produce(fresh_broker, _scores(20, day=2))
    removed = {place: end + 3 for place, end in read.items()}
    admin.delete_records(removed)
    monkeypatch.setenv("NEEDSTREAM_APP_ID", APP_ID)

    assert 1 == main.call(["doctor", "--broker", fresh_broker.bootstrap])
    assert 2 == capsys.readouterr().out.count("3 records were removed before they were read")
    with running.worker(fresh_broker.bootstrap, tmp_path, app_id=APP_ID) as worker:
        worker.await_caught_up(14)
        page = worker.get("/metrics")[1].decode()
        assert 0 == worker.terminate()
        told = worker.log.read_text()

    assert 'needstream_expired_records_total{topic="customers.v1"} 6.0' in page
    assert 2 == told.count("3 records were removed before they were read")
    assert 14 == sum(state.credit.score == 602 for state in _newest(fresh_broker).values() if state.credit)


def test_a_group_whose_offsets_kafka_removed_reads_again_and_changes_nothing(
    fresh_broker: brokers.Broker, admin: KafkaAdminClient, tmp_path: Path
) -> None:
    _produce(fresh_broker, _scores(20, day=1))
    _run_once(fresh_broker, tmp_path, reads=20)
    before = _newest(fresh_broker)
    admin.delete_groups([APP_ID])

    told = _run_once(fresh_broker, tmp_path, reads=20)

    assert 20 == len(before)
    assert before == _newest(fresh_broker)
    assert "read again from their earliest record" in told


def test_a_changelog_that_lost_all_its_records_is_refused(
    fresh_broker: brokers.Broker, admin: KafkaAdminClient, tmp_path: Path
) -> None:
    if fresh_broker.name != "apache":
        pytest.skip("the embedded broker deletes no records of a compacted topic")
    _produce(fresh_broker, _scores(20, day=1))
    _run_once(fresh_broker, tmp_path, reads=20)
    # Kafka deletes no records of a topic that is only compacted.
    for policy in ("compact,delete", "compact"):
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, CHANGELOG, {"cleanup.policy": policy})])
        if "delete" in policy:
            admin.delete_records(_ends(fresh_broker, CHANGELOG))

    told = _refused(fresh_broker, tmp_path)

    assert f"{CHANGELOG}[0] begins and ends at offset" in told
    assert "refusals of consent and erasures would be forgotten" in told


def test_a_changelog_that_was_made_again_is_told(
    fresh_broker: brokers.Broker, admin: KafkaAdminClient, tmp_path: Path
) -> None:
    _produce(fresh_broker, _scores(20, day=1))
    _run_once(fresh_broker, tmp_path, reads=20)
    admin.delete_topics([CHANGELOG])
    _await(lambda: CHANGELOG not in admin.list_topics())

    told = _run_once(fresh_broker, tmp_path, reads=0)

    assert f"{CHANGELOG}[0] has never held a record" in told


@pytest.mark.asyncio
async def test_offsets_without_records_are_passed_and_hold_up_no_commit(cluster: Any) -> None:
    """A transaction's marker takes an offset, as compaction leaves holes where records were."""
    if cluster.broker.name != "apache":
        pytest.skip("the embedded broker writes no markers")
    topic, values = cluster.new_topic(), [b"%d" % number for number in range(5)]
    options = {"bootstrap_servers": cluster.bootstrap, "transactional_id": cluster.group}
    async with aiokafka.AIOKafkaProducer(**options) as producer:
        for value in values:
            async with producer.transaction():
                await producer.send(topic, value)

    async with cluster.taker(topic, on_event=lambda event: event.ack() and None) as running_app:
        await running_app.until(lambda: running_app.consumer.position_is_at_end(TP(topic, 0)))
        seen = running_app.by_partition()[TP(topic, 0)]
        taken = running_app.values()

    assert values == taken
    assert [0, 2, 4, 6, 8] == seen
    assert 9 == await cluster.committed(topic)


# -- clocks ----------------------------------------------------------------------------------------------------------


def test_a_producer_an_hour_ahead_is_refused_and_makes_nobody_late(
    fresh_broker: brokers.Broker, tmp_path: Path
) -> None:
    now_ms = time.time_ns() // 1_000_000
    at = {name: times.rfc3339(now_ms + minutes * 60_000) for name, minutes in (("hour", 60), ("bit", 8), ("on", 0))}
    _produce(fresh_broker, [_event("ahead", at["hour"], event_id="e1"), _event("ahead", at["bit"], event_id="e2")])
    _produce(fresh_broker, [_event(f"c{number}", at["on"], event_id=f"e-{number}") for number in range(10)])

    with running.worker(fresh_broker.bootstrap, tmp_path, app_id=APP_ID) as worker:
        worker.await_caught_up(12)
        page = worker.get("/metrics")[1].decode()
        assert 0 == worker.terminate()

    (letter,) = running.published(fresh_broker.bootstrap, topics.DEAD_LETTERS)
    assert ("needstream.reason", b"deserialization_time_too_late") in letter.headers
    assert "needstream_late_events_total 0.0" in page
    assert {"ahead"} | {f"c{number}" for number in range(10)} == set(_newest(fresh_broker))


AN_HOUR_BEHIND = """
import time
now_ns = time.time_ns
time.time_ns = lambda: now_ns() - 3_600 * 10**9
"""


def test_what_a_worker_with_a_slow_clock_refused_can_be_replayed(fresh_broker: brokers.Broker, tmp_path: Path) -> None:
    bootstrap, at = fresh_broker.bootstrap, times.rfc3339(time.time_ns() // 1_000_000)
    _produce(fresh_broker, [_event(f"c{number}", at, event_id=f"e-{number}") for number in range(10)])
    with running.worker(fresh_broker.bootstrap, tmp_path / "slow", app_id=APP_ID, before=AN_HOUR_BEHIND) as worker:
        worker.await_caught_up(10)
        page = worker.get("/metrics")[1].decode()
        assert 0 == worker.terminate()
    assert 'needstream_dead_letter_ratio{topic="customers.v1"} 1.0' in page
    assert 10 == len(running.published(bootstrap, topics.DEAD_LETTERS))

    chosen = ["--reason", "deserialization_time_too_late", "--yes", "--broker", bootstrap]
    assert 0 == main.call(["deadletters", "replay", *chosen])
    _run_once(fresh_broker, tmp_path, reads=10)

    assert {f"c{number}" for number in range(10)} == set(_newest(fresh_broker))


# -- groups in motion ------------------------------------------------------------------------------------------------

#: More than ten seconds for two thousand customers.
RESTORES_SLOWLY = """
import asyncio
from needstream.streams import changelog
changelog.RECORDS_AT_ONCE = 100
read = changelog.Reader.read
async def slowly(self, spans):
    async for found in read(self, spans):
        await asyncio.sleep(0.8)
        yield found
changelog.Reader.read = slowly
"""


def _ready(worker: running.RunningWorker) -> tuple[int, bool]:
    body = worker.get("/ready")[1]
    told = orjson.loads(body) if body.startswith(b"{") else {"assigned": 0, "caught_up": False}
    return told["assigned"], told["caught_up"]


@pytest.mark.drill
def test_a_worker_that_joins_while_another_one_restores_costs_no_state(
    fresh_broker: brokers.Broker, admin: KafkaAdminClient, tmp_path: Path
) -> None:
    customers = 2_000
    admin.create_topics(
        [NewTopic(CHANGELOG, PARTITIONS, 1, topic_configs=changelog.CONFIGURATION)], wait_for_metadata=True
    )
    producer = KafkaProducer(bootstrap_servers=fresh_broker.bootstrap, linger_ms=20)
    for number in range(customers):
        stored = states.snapshot(states.new_customer(f"c{number}", 1_000))
        producer.send(CHANGELOG, stored, key=f"c{number}".encode())
    producer.close()

    with contextlib.ExitStack() as workers:
        first = workers.enter_context(
            running.worker(fresh_broker.bootstrap, tmp_path / "1", app_id=APP_ID, before=RESTORES_SLOWLY)
        )
        _await(lambda: _ready(first)[0] == PARTITIONS)
        second = workers.enter_context(
            running.worker(fresh_broker.bootstrap, tmp_path / "2", app_id=APP_ID, before=RESTORES_SLOWLY)
        )
        both = (first, second)
        _await(lambda: [1, 1] == [_ready(each)[0] for each in both])
        assert [0, 0] == [each.log.read_text().count("states restored") for each in both]
        _await(lambda: [(1, True)] * 2 == [_ready(each) for each in both])
        _produce(fresh_broker, _scores(customers, day=2))
        _await(lambda: first.records() + second.records() >= customers)
        _await(lambda: [(1, True)] * 2 == [_ready(each) for each in both])
        assert [0, 0] == [first.terminate(), second.terminate()]
        assert [] == [each.log for each in both if "Traceback" in each.log.read_text()]

    known = _newest(fresh_broker)
    assert customers == len(known)
    assert {(1_000, 602)} == {(state.first_ms, state.credit.score) for state in known.values() if state.credit}
