"""An erasure on a real broker: the state, the changelog's newest record and the profile are gone, and stay gone."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from kafka import KafkaAdminClient
from kafka.structs import OffsetAndMetadata, TopicPartition
from typer.testing import CliRunner

import running
from needstream.schemas.times import parse_rfc3339
from needstream.streams import brokers, erasing, producing, topic_admin, topics
from needstream.streams.cli.main import app
from needstream.streams.pipeline import erasure
from needstream.streams.settings import DEVELOPMENT_KEY

CHANGELOG = "needstream-customer-states-changelog"
PARTITIONS = 3
FULL_SPEED = producing.Pace()


@pytest.fixture
def fresh_broker(broker: brokers.Broker) -> Iterator[brokers.Broker]:
    with brokers.choose(broker.name) as started:
        yield started


def _line(topic: str, key: str, **said: object) -> producing.Outgoing:
    event = {"event_id": f"{topic}-{key}-{said['event_time']}", **said}
    return producing.Outgoing(0, topic, key.encode(), orjson.dumps(event))


def _events() -> list[producing.Outgoing]:
    lines = []
    for customer in ("zoe", "tom"):
        device = f"device-of-{customer}"
        lines += [
            _line(
                topics.CLICKSTREAM,
                device,
                event_type="page_view",
                event_time=f"2025-03-01T09:0{minute}:00Z",
                anonymous_id=device,
                url="/loans",
            )
            for minute in range(3)
        ]
        lines.append(
            _line(
                topics.CLICKSTREAM,
                customer,
                event_type="identify",
                event_time="2025-03-01T09:05:00Z",
                customer_id=customer,
                anonymous_id=device,
            )
        )
        lines.append(
            _line(
                topics.TRANSACTIONS,
                customer,
                event_type="deposit",
                event_time="2025-03-01T12:00:00Z",
                customer_id=customer,
                amount="10.00",
                currency="EUR",
            )
        )
    return lines


def _newest(bootstrap: str, topic: str) -> dict[bytes, bytes | None]:
    return {record.key: record.value for record in running.published(bootstrap, topic)}


def _rewind(bootstrap: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    start = OffsetAndMetadata(0, "", -1)
    places = [TopicPartition(topic, number) for topic in topics.MERGED for number in range(PARTITIONS)]
    admin.alter_group_offsets("needstream", dict.fromkeys(places, start))
    admin.close()


def test_an_erased_customer_is_gone_and_no_redelivery_brings_the_person_back(
    fresh_broker: brokers.Broker, tmp_path: Path
) -> None:
    topic_admin.apply(fresh_broker.bootstrap, PARTITIONS)
    lines = _events()
    producing.produce(fresh_broker.bootstrap, iter(lines), pace=FULL_SPEED)
    with running.worker(fresh_broker.bootstrap, tmp_path) as worker:
        worker.await_caught_up(len(lines))
        event = erasing.request("zoe", reason=None, at_ms=parse_rfc3339("2025-03-02T00:00:00Z"))
        receipt = erasing.erase(fresh_broker.bootstrap, event, key=DEVELOPMENT_KEY, timeout_s=60)
        # The devices' partitions hear of it through a topic: two links, two histories, and the news.
        worker.await_caught_up(len(lines) + 1 + 5)
        assert worker.terminate() == 0
    assert (erasure.subject("zoe"), True, 1) == (receipt.subject, receipt.was_known, receipt.removed.devices)

    states = _newest(fresh_broker.bootstrap, CHANGELOG)
    assert states[b"zoe"] is None
    assert states[b"visitor\x1fdevice-of-zoe"] is None
    assert states[b"tom"] is not None
    assert not any(b"zoe" in (stored or b"") for stored in states.values())
    assert _newest(fresh_broker.bootstrap, topics.PROFILES)[b"zoe"] is None

    _rewind(fresh_broker.bootstrap)
    with running.worker(fresh_broker.bootstrap, tmp_path) as worker:
        worker.await_caught_up(len(lines))
        assert worker.terminate() == 0
    again = _newest(fresh_broker.bootstrap, CHANGELOG)
    assert again[b"zoe"] is None
    assert again[b"visitor\x1fdevice-of-zoe"] is None
    assert _newest(fresh_broker.bootstrap, topics.PROFILES)[b"zoe"] is None


def test_the_command_prints_a_verified_receipt(fresh_broker: brokers.Broker, tmp_path: Path) -> None:
    topic_admin.apply(fresh_broker.bootstrap, 1)
    with running.worker(fresh_broker.bootstrap, tmp_path) as worker:
        worker.await_caught_up(0)
        answer = CliRunner().invoke(app, ["erase", "c9", "--yes", "--json", "--broker", fresh_broker.bootstrap])
        assert worker.terminate() == 0

    told = orjson.loads(answer.stdout)
    assert (erasure.subject("c9"), False) == (told["subject"], told["was_known"])


def test_without_a_worker_the_request_stays_and_the_command_says_so(fresh_broker: brokers.Broker) -> None:
    topic_admin.apply(fresh_broker.bootstrap, 1)
    event = erasing.request("c9", reason="ticket 1", at_ms=parse_rfc3339("2025-03-02T00:00:00Z"))

    with pytest.raises(erasing.ReceiptMissing, match="takes effect when a worker reads it"):
        erasing.erase(fresh_broker.bootstrap, event, key=DEVELOPMENT_KEY, timeout_s=1)

    (record,) = running.published(fresh_broker.bootstrap, topics.CUSTOMERS)
    assert (b"c9", event) == (record.key, orjson.loads(record.value))
