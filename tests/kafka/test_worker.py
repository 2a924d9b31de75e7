"""The worker against a real broker: equal to replay, unharmed by bad records, orderly in stopping."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

import hostile
import running
from needstream.schemas.dead_letters import RejectReason
from needstream.schemas.times import rfc3339
from needstream.simulation import parameters, simulator
from needstream.streams import brokers, producing, topic_admin, topics
from needstream.streams.packs import loader
from needstream.streams.replay import Replay, ReplayOptions
from needstream.streams.settings import DEVELOPMENT_KEY

FULL_SPEED = producing.Pace()


@pytest.fixture
def fresh_broker(broker: brokers.Broker) -> Iterator[brokers.Broker]:
    """A broker without any topic: needstream's topics have fixed names."""
    with brokers.choose(broker.name) as started:
        yield started


@pytest.fixture(scope="session")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months of a small bank, with duplicate events and events late within the allowed lateness."""
    folder = tmp_path_factory.mktemp("events")
    chosen = parameters.SimulationParameters(seed=11, customers=60, days=75, very_late_share=0.0)
    simulator.write(simulator.simulate(chosen), folder)
    return folder


@pytest.fixture(scope="session")
def replayed(events: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What replay makes of them with the models that a first replay learned."""
    folder = tmp_path_factory.mktemp("replayed")
    definitions = loader.load("bank")
    latest_ms = time.time_ns() // 1_000_000
    Replay(definitions, ReplayOptions(latest_ms=latest_ms, model_key=DEVELOPMENT_KEY)).run(events, folder / "learned")
    models = folder / "learned" / f"{topics.MODEL_SNAPSHOTS}.jsonl"
    pinned = ReplayOptions(latest_ms=latest_ms, models=models, model_key=DEVELOPMENT_KEY)
    Replay(definitions, pinned).run(events, folder / "pinned")
    return folder


@pytest.mark.parametrize("partitions", [1, 3])
def test_worker_says_what_replay_says_whatever_the_number_of_partitions(
    fresh_broker: brokers.Broker, events: Path, replayed: Path, tmp_path: Path, *, partitions: int
) -> None:
    """Same log, same pinned models: the same ids and payloads on every output topic."""
    topic_admin.apply(fresh_broker.bootstrap, partitions)
    count = producing.produce(fresh_broker.bootstrap, producing.read_folder(events), pace=FULL_SPEED)
    models = str(replayed / "learned" / f"{topics.MODEL_SNAPSHOTS}.jsonl")

    with running.worker(fresh_broker.bootstrap, tmp_path, models=models, ordering_wait="500ms") as worker:
        worker.await_caught_up(count)
        time.sleep(3)  # idle partitions follow the event time of the others
        worker.await_caught_up(count)
        assert worker.terminate() == 0

    for topic, identity in running.IDENTITIES.items():
        lines = (replayed / "pinned" / f"{topic}.jsonl").read_bytes().splitlines()
        expected = running.by_id(lines, identity)
        records = running.published(fresh_broker.bootstrap, topic)
        actual = running.by_id([record.value for record in records], identity)
        assert expected, topic
        assert expected == actual
        assert len(records) == len(actual)


def test_bad_records_become_dead_letters_and_their_neighbours_are_processed(
    fresh_broker: brokers.Broker, tmp_path: Path
) -> None:
    topic_admin.apply(fresh_broker.bootstrap, 2)
    bad = [b"", b"{", b"[]", b'{"event_id": 1}', b"\xff\xfe", b'{"event_id":"e","event_time":"2025-03-01T00:00:00Z"}']
    good = [
        orjson.dumps(
            {
                "event_id": f"good-{number}",
                "event_type": "page_view",
                "event_time": f"2025-03-01T09:0{number}:00Z",
                "customer_id": "c1",
                "url": "/loans",
            }
        )
        for number in range(6)
    ]
    lines = [
        producing.Outgoing(0, topics.CLICKSTREAM, b"c1", value)
        for value in itertools.chain.from_iterable(zip(bad, good, strict=True))
    ]
    producing.produce(fresh_broker.bootstrap, iter(lines), pace=FULL_SPEED)

    with running.worker(fresh_broker.bootstrap, tmp_path) as worker:
        worker.await_caught_up(len(lines))
        exposition = worker.get("/metrics")[1].decode()
        assert worker.terminate() == 0

    letters = running.published(fresh_broker.bootstrap, topics.DEAD_LETTERS)
    assert bad == [letter.value or b"" for letter in letters]
    assert {b"c1"} == {letter.key for letter in letters}
    reasons = [dict(letter.headers)["needstream.reason"].decode() for letter in letters]
    assert [
        "deserialization_empty",
        "deserialization_not_json",
        "deserialization_not_an_object",
    ] == reasons[:3]
    fired = [orjson.loads(record.value) for record in running.published(fresh_broker.bootstrap, topics.DECISIONS)]
    assert [("repeated_loan_queries", "consent")] == [(each["scenario"], each["gate"]) for each in fired]
    assert 'needstream_suppressed_total{gate="consent"} 1.0' in exposition


def test_hostile_records_become_dead_letters_as_they_were_sent(fresh_broker: brokers.Broker, tmp_path: Path) -> None:
    """Also with keys that belong to somebody else; what is only too late for 2025 is left out."""
    topic_admin.apply(fresh_broker.bootstrap, 1)
    sent = [record for record in hostile.RECORDS if record.reason is not RejectReason.TIME_TOO_LATE]
    lines = [
        line
        for number, record in enumerate(sent)
        for line in (
            producing.Outgoing(0, f"{record.family}.v1", b"c1" if record.key is None else record.key, record.raw),
            producing.Outgoing(0, f"{record.family}.v1", b"c1", _good(record.family, number)),
        )
    ]
    producing.produce(fresh_broker.bootstrap, iter(lines), pace=FULL_SPEED)

    with running.worker(fresh_broker.bootstrap, tmp_path) as worker:
        worker.await_caught_up(len(lines))
        assert worker.terminate() == 0

    letters = running.published(fresh_broker.bootstrap, topics.DEAD_LETTERS)
    expected = sorted((record.reason.value, record.raw) for record in sent)
    actual = sorted((dict(letter.headers)["needstream.reason"].decode(), letter.value or b"") for letter in letters)
    assert 190 < len(expected)
    assert expected == actual


def _good(family: str, number: int) -> bytes:
    return hostile.GOOD[family].replace(b'"e1"', f'"good-{family}-{number}"'.encode())


def test_outputs_carry_cloudevents_headers(fresh_broker: brokers.Broker, tmp_path: Path) -> None:
    topic_admin.apply(fresh_broker.bootstrap, 1)
    scores = [
        orjson.dumps(
            {
                "event_id": f"score-{score}",
                "event_type": "credit_score",
                "event_time": f"2025-03-0{day}T09:00:00Z",
                "customer_id": "c1",
                "score": score,
            }
        )
        for day, score in ((1, 700), (2, 600))
    ]
    lines = [producing.Outgoing(0, topics.CUSTOMERS, b"c1", value) for value in scores]
    producing.produce(fresh_broker.bootstrap, iter(lines), pace=FULL_SPEED)

    with running.worker(fresh_broker.bootstrap, tmp_path) as worker:
        worker.await_caught_up(len(lines))
        assert worker.terminate() == 0

    (record,) = running.published(fresh_broker.bootstrap, topics.ALERTS)
    alert = orjson.loads(record.value)
    headers = {name: text.decode() for name, text in record.headers}
    assert {
        "ce_specversion": "1.0",
        "ce_id": alert["signal_id"],
        "ce_type": "needstream.alerts",
        "ce_source": "/needstream",
        "ce_time": "2025-03-02T09:00:00.000Z",
        "content-type": "application/json",
        "ce_causationid": "score-600",
        "ce_partitionkey": "c1",
        "ce_expirytime": alert["expires_at"],
    } == headers


def test_worker_refuses_topics_that_are_not_co_partitioned(fresh_broker: brokers.Broker, tmp_path: Path) -> None:
    topic_admin.apply(fresh_broker.bootstrap, 2)
    admin = KafkaAdminClient(bootstrap_servers=fresh_broker.bootstrap)
    admin.delete_topics([topics.TRANSACTIONS])
    deadline = time.monotonic() + 20
    while topics.TRANSACTIONS in admin.list_topics() and time.monotonic() < deadline:
        time.sleep(0.2)
    admin.create_topics([NewTopic(topics.TRANSACTIONS, 3, 1)])
    admin.close()

    with running.worker(fresh_broker.bootstrap, tmp_path) as worker:
        assert worker.process.wait(60) == 1
        told = worker.log.read_text()
    assert topics.TRANSACTIONS in told
    assert "Traceback" not in told


def test_the_largest_record_a_broker_takes_becomes_a_dead_letter(fresh_broker: brokers.Broker, tmp_path: Path) -> None:
    """It comes with headers, so the dead letter is larger than the record was."""
    topic_admin.apply(fresh_broker.bootstrap, 1)
    huge = b'{"event_id": "' + b"x" * 1_040_000 + b'"}'
    lines = [producing.Outgoing(0, topics.CLICKSTREAM, b"c1", huge)]
    producing.produce(fresh_broker.bootstrap, iter(lines), pace=FULL_SPEED)

    with running.worker(fresh_broker.bootstrap, tmp_path) as worker:
        worker.await_caught_up(1)
        assert worker.terminate() == 0

    (letter,) = running.published(fresh_broker.bootstrap, topics.DEAD_LETTERS)
    assert huge == letter.value
    assert b"deserialization_too_large" == dict(letter.headers)["needstream.reason"]


def _await_learned(bootstrap: str) -> None:
    """Return once the published models have learned every example that stands on its topic."""
    deadline = time.monotonic() + 60
    while (examples := _examples(bootstrap)) != (learned := _learned(bootstrap)):
        assert time.monotonic() < deadline, (examples, learned)
        time.sleep(0.5)


def _examples(bootstrap: str) -> Counter[str]:
    records = running.published(bootstrap, topics.LABELLED_EXAMPLES)
    return Counter(orjson.loads(record.value)["model"] for record in records)


def _learned(bootstrap: str) -> Counter[str]:
    """How many examples the newest snapshot of each model has learned: that is its version."""
    snapshots = [orjson.loads(record.value) for record in running.published(bootstrap, topics.MODEL_SNAPSHOTS)]
    return Counter({snapshot["model"]: snapshot["version"] for snapshot in snapshots})


@pytest.mark.parametrize("store", ["memory://", "rocksdict://"])
def test_restarted_worker_goes_on_with_states_and_models(
    fresh_broker: brokers.Broker, events: Path, tmp_path: Path, *, store: str
) -> None:
    """Stop in the middle, start again: together they say what one uninterrupted worker says, once."""
    topic_admin.apply(fresh_broker.bootstrap, 2)
    lines = list(producing.read_folder(events))
    middle = len(lines) // 2
    producing.produce(fresh_broker.bootstrap, iter(lines[:middle]), pace=FULL_SPEED)
    with running.worker(fresh_broker.bootstrap, tmp_path, store=store, ordering_wait="500ms") as worker:
        worker.await_caught_up(middle)
        assert worker.terminate() == 0
    before = running.published(fresh_broker.bootstrap, topics.LABELLED_EXAMPLES)

    producing.produce(fresh_broker.bootstrap, iter(lines[middle:]), pace=FULL_SPEED)
    with running.worker(fresh_broker.bootstrap, tmp_path, store=store, ordering_wait="500ms") as worker:
        worker.await_caught_up(len(lines) - middle)
        _await_learned(fresh_broker.bootstrap)
        assert worker.terminate() == 0

    examples = running.published(fresh_broker.bootstrap, topics.LABELLED_EXAMPLES)
    assert len(before) < len(examples)
    assert len(examples) == len({orjson.loads(record.value)["example_id"] for record in examples})
    newest: dict[str, int] = {}
    for record in running.published(fresh_broker.bootstrap, topics.MODEL_SNAPSHOTS):
        snapshot = orjson.loads(record.value)
        assert snapshot["version"] >= newest.get(snapshot["model"], 0)
        newest[snapshot["model"]] = snapshot["version"]
    assert _examples(fresh_broker.bootstrap) == newest


def test_a_busy_live_input_is_applied_while_it_goes_on(fresh_broker: brokers.Broker, tmp_path: Path) -> None:
    """It is never silent, and the allowed lateness is a quarter of an hour: nobody waits for either."""
    topic_admin.apply(fresh_broker.bootstrap, 1)
    fired: list[dict[str, object]] = []
    stop = threading.Event()

    with running.worker(fresh_broker.bootstrap, tmp_path) as worker:
        worker.await_caught_up(0)
        busy = threading.Thread(target=_browse_until, args=(stop, fresh_broker.bootstrap))
        busy.start()
        try:
            deadline = time.monotonic() + 30
            while not fired and time.monotonic() < deadline and busy.is_alive():
                records = running.published(fresh_broker.bootstrap, topics.DECISIONS)
                fired = [orjson.loads(record.value) for record in records]
        finally:
            stop.set()
            busy.join()
        assert worker.terminate() == 0

    assert ("repeated_loan_queries", "c1") in {(each["scenario"], each["customer_id"]) for each in fired}


def _browse_until(stop: threading.Event, bootstrap: str) -> None:
    """About 400 page views a second as they happen, by customers of whom only the first looks at loans."""
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    number = 0
    while not stop.wait(0.01):
        for _ in range(4):
            number += 1
            customer_id = f"c{number % 100}"
            event = {
                "event_id": f"live-{number}",
                "event_type": "page_view",
                "event_time": rfc3339(time.time_ns() // 1_000_000),
                "customer_id": customer_id,
                "url": "/loans" if customer_id == "c1" else "/accounts",
            }
            producer.send(topics.CLICKSTREAM, orjson.dumps(event), key=customer_id.encode())
        producer.flush()
    producer.close()
