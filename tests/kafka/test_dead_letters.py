"""Dead letters on a real broker: listed, shown, and sent back once, whatever happens to the run that does it."""

import asyncio
import functools
import io
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiokafka
import orjson
import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

import running
from needstream.schemas.dead_letters import REMEDIES, DeadLetter, RejectReason
from needstream.schemas.times import rfc3339
from needstream.streams import brokers, dead_letter_replays, dead_letter_topic, outputs, topic_admin, topics
from needstream.streams.cli import main
from needstream.streams.dead_letter_replays import Replays, Verdict
from needstream.streams.dead_letter_topic import Place, Selection

HOUR_MS = 3_600_000
AT_MS = time.time_ns() // 1_000_000 // HOUR_MS * HOUR_MS - HOUR_MS
"""Lately: a broker expires what is stamped with the distant past."""

CLICK = b'{"event_id": "e1", "event_type": "page_view"}'
ORIGINALS = (("trace", b"\xff\x00"), ("needstream.reason", b"theirs"), ("none", None), ("trace", b"again"))


class Killed(BaseException):
    """What a test stops a run with."""


@pytest.fixture(scope="module")
def bank(broker: brokers.Broker) -> Iterator[brokers.Broker]:
    """A broker with needstream's topics for this file's tests."""
    with brokers.choose(broker.name) as started:
        topic_admin.apply(started.bootstrap, 2)
        yield started


Write = Callable[..., list[Place]]


@pytest.fixture
def write(bank: brokers.Broker) -> Write:
    """Put letters onto the dead-letter topic and return their places."""

    return functools.partial(_written, bank.bootstrap)


def a_letter(**said: Any) -> DeadLetter:
    given = {
        "topic": topics.CLICKSTREAM,
        "partition": 1,
        "offset": 77,
        "reason": RejectReason.MISSING_FIELD,
        "field": "event_time",
        "detail": "secret detail",
        "remedy": REMEDIES[RejectReason.MISSING_FIELD],
        "key": b"secret key",
        "value": CLICK,
        "timestamp_ms": AT_MS,
        "headers": ORIGINALS,
    }
    return DeadLetter(**given | said)


def replayed(bank: brokers.Broker, place: Place, topic: str = topics.CLICKSTREAM) -> list[Any]:
    """The records that were sent for a letter."""
    mark = outputs.replay_mark(place.partition, place.offset).encode()
    return [
        record
        for record in running.published(bank.bootstrap, topic)
        if record.headers and record.headers[-1] == (outputs.REPLAY_OF, mark)
    ]


def run(
    bank: brokers.Broker, *places: Place, again: bool = False, on_sent: Callable[[Place], None] = lambda _: None
) -> dict[Place, Verdict]:
    """What a run by the API makes of the letters at some places."""
    chosen = Selection(places=frozenset(places))
    with dead_letter_topic.reading(bank.bootstrap) as letters, dead_letter_topic.reading(bank.bootstrap) as own:
        replays = Replays(bank.bootstrap, own, again=again)
        plan = replays.plan(dead_letter_topic.letters(letters, chosen))
        return plan.verdicts | replays.send(dead_letter_topic.letters(letters, chosen), plan, on_sent=on_sent)


def test_a_replayed_record_is_the_original_on_its_original_place_with_its_letter_as_last_header(
    bank: brokers.Broker, write: Write
) -> None:
    (place,) = write(a_letter())
    before_ms = time.time_ns() // 1_000_000

    assert {place: Verdict.SEND} == run(bank, place)

    (record,) = replayed(bank, place)
    mark = (outputs.REPLAY_OF, f"dead-letters.v1-1-{place.offset}".encode())
    assert (1, b"secret key", CLICK, [*ORIGINALS, mark]) == (record.partition, record.key, record.value, record.headers)
    assert before_ms - 1_000 <= record.timestamp


def test_a_letter_is_replayed_once_and_again_only_on_purpose(bank: brokers.Broker, write: Write) -> None:
    (place,) = write(a_letter(offset=1))

    assert [Verdict.SEND, Verdict.REPLAYED] == [run(bank, place)[place] for _ in range(2)]
    assert 1 == len(replayed(bank, place))
    assert Verdict.SEND == run(bank, place, again=True)[place]
    assert 2 == len(replayed(bank, place))
    assert Verdict.REPLAYED == run(bank, place)[place]


def test_a_run_that_is_killed_between_sending_and_noting_is_found_out_and_not_repeated(
    bank: brokers.Broker, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = write(*(a_letter(offset=number) for number in range(5)))
    sent: list[Place] = []

    def kill_after_three(place: Place) -> None:
        sent.append(place)
        if len(sent) == 3:
            raise Killed

    with pytest.raises(Killed):
        run(bank, *places, on_sent=kill_after_three)
    assert places[:3] == sent

    # Right away nobody can know whether the run still lives.
    assert {Verdict.IN_WORK} == set(run(bank, *places).values())
    monkeypatch.setattr(dead_letter_replays, "RUN_LIVES_S", 0.0)
    assert dict(zip(places, [Verdict.FOUND] * 3 + [Verdict.SEND] * 2, strict=True)) == run(bank, *places)
    assert [1] * 5 == [len(replayed(bank, place)) for place in places]
    assert {Verdict.REPLAYED} == set(run(bank, *places).values())


def test_of_several_runs_at_once_one_sends(bank: brokers.Broker, write: Write) -> None:
    places = write(*(a_letter(offset=number) for number in range(20)))
    start = threading.Barrier(3)

    def one_run() -> dict[Place, Verdict]:
        chosen = Selection(places=frozenset(places))
        with dead_letter_topic.reading(bank.bootstrap) as letters, dead_letter_topic.reading(bank.bootstrap) as own:
            replays = Replays(bank.bootstrap, own)
            plan = replays.plan(dead_letter_topic.letters(letters, chosen))
            start.wait(30)
            return plan.verdicts | replays.send(dead_letter_topic.letters(letters, chosen), plan)

    with ThreadPoolExecutor(3) as threads:
        verdicts = [run.result(60) for run in [threads.submit(one_run) for _ in range(3)]]

    for place in places:
        of_place = [each[place] for each in verdicts]
        assert 1 == of_place.count(Verdict.SEND), of_place
        assert {Verdict.SEND, Verdict.REPLAYED, Verdict.IN_WORK} >= set(of_place)
    assert [1] * 20 == [len(replayed(bank, place)) for place in places]


@pytest.fixture
def killed_before_sending(bank: brokers.Broker, monkeypatch: pytest.MonkeyPatch) -> Callable[[Place], None]:
    """Let a run note its intent and stop there; other runs then think it dead at once."""

    async def killed(*_: Any, **__: Any) -> None:
        raise Killed

    def stop(place: Place) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(dead_letter_replays, "_deliver_all", killed)
            with pytest.raises(Killed):
                run(bank, place)
        monkeypatch.setattr(dead_letter_replays, "RUN_LIVES_S", 0.0)

    return stop


def test_a_run_that_is_killed_before_sending_is_made_up_for(
    bank: brokers.Broker, write: Write, killed_before_sending: Callable[[Place], None]
) -> None:
    (place,) = write(a_letter(offset=3))
    killed_before_sending(place)

    assert Verdict.SEND == run(bank, place)[place]
    assert 1 == len(replayed(bank, place))


def test_a_header_that_somebody_else_wrote_does_not_pass_for_a_replay(
    bank: brokers.Broker, write: Write, killed_before_sending: Callable[[Place], None]
) -> None:
    (place,) = write(a_letter(offset=2))
    mark = (outputs.REPLAY_OF, outputs.replay_mark(place.partition, place.offset).encode())
    killed_before_sending(place)
    producer = KafkaProducer(bootstrap_servers=bank.bootstrap)
    producer.send(topics.CLICKSTREAM, key=b"secret key", value=b"another", headers=[mark], partition=1).get(30)
    producer.close()

    assert Verdict.SEND == run(bank, place)[place]
    assert [b"another", CLICK] == [record.value for record in replayed(bank, place)]


def test_what_retention_has_removed_leaves_an_open_intent_uncertain(
    bank: brokers.Broker, write: Write, killed_before_sending: Callable[[Place], None]
) -> None:
    """The record that was, or was not, sent is gone: only the operator can decide."""
    (place,) = write(a_letter(offset=4, topic=topics.OUTCOMES, partition=0))
    killed_before_sending(place)
    producer = KafkaProducer(bootstrap_servers=bank.bootstrap)
    producer.send(topics.OUTCOMES, value=b"later", partition=0).get(30)
    producer.close()
    admin = KafkaAdminClient(bootstrap_servers=bank.bootstrap)
    admin.delete_records({TopicPartition(topics.OUTCOMES, 0): 1})
    admin.close()

    assert Verdict.UNCERTAIN == run(bank, place)[place]
    assert [] == replayed(bank, place, topics.OUTCOMES)
    assert Verdict.SEND == run(bank, place, again=True)[place]
    assert 1 == len(replayed(bank, place, topics.OUTCOMES))


def test_what_cannot_go_back_is_named_and_not_sent(bank: brokers.Broker, write: Write) -> None:
    places = write(
        a_letter(omitted="value"), a_letter(topic="somebody-elses.v1"), a_letter(topic=topics.DECISIONS), a_letter()
    )
    told = run(bank, *places)

    expected = [Verdict.INCOMPLETE, Verdict.NO_TARGET, Verdict.NO_TARGET, Verdict.SEND]
    assert expected == [told[place] for place in places]


def test_a_letter_that_vanishes_before_it_is_sent_is_not_called_sent(bank: brokers.Broker, write: Write) -> None:
    (place,) = write(a_letter(offset=7))
    with dead_letter_topic.reading(bank.bootstrap) as letters, dead_letter_topic.reading(bank.bootstrap) as own:
        replays = Replays(bank.bootstrap, own)
        plan = replays.plan(dead_letter_topic.letters(letters, Selection(places=frozenset([place]))))

        assert {place: Verdict.GONE} == replays.send(iter(()), plan)


def test_a_place_of_an_earlier_dead_letter_topic_does_not_count_as_replayed(bank: brokers.Broker, write: Write) -> None:
    (place,) = write(a_letter(offset=5))
    assert Verdict.SEND == run(bank, place)[place]

    with dead_letter_topic.reading(bank.bootstrap) as own:
        replays = Replays(bank.bootstrap, own)
        other = dead_letter_topic.Letter(place, a_letter(offset=6))
        assert {place: Verdict.SEND} == replays.plan([other]).verdicts


def test_list_names_letters_by_the_filters_and_never_prints_what_they_hold(
    bank: brokers.Broker, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    early, late = AT_MS - 48 * HOUR_MS, AT_MS - 24 * HOUR_MS
    not_json = RejectReason.NOT_JSON
    places = write(
        a_letter(topic=topics.FEEDBACK, partition=0, field="a", timestamp_ms=early),
        a_letter(topic=topics.FEEDBACK, partition=1, field="b", timestamp_ms=early),
        a_letter(topic=topics.FEEDBACK, partition=1, field="", reason=not_json, timestamp_ms=late),
    )

    def listed(*arguments: str) -> list[str]:
        assert 0 == main.call(["deadletters", "list", "--broker", bank.bootstrap, "--topic", "feedback.v1", *arguments])
        said = capsys.readouterr().out
        assert "secret" not in said
        assert CLICK.decode() not in said
        return said.splitlines()

    def chosen(*arguments: str) -> list[str]:
        return [orjson.loads(line)["place"] for line in listed("--json", *arguments)]

    texts = [str(place) for place in places]
    assert sorted(texts) == chosen()
    assert texts[:1] == chosen("--field", "a")
    assert texts[1:] == chosen("--partition", "1")
    assert texts[2:] == chosen("--reason", "deserialization_not_")
    assert texts[:2] == chosen("--until", rfc3339(late))
    assert texts[2:] == chosen("--since", rfc3339(late))
    assert sorted(texts)[:1] == chosen("--limit", "1")
    assert texts == [line.split()[0] for line in sorted(listed(), key=lambda line: line.split()[0] != texts[0])]
    assert [["1", "feedback.v1", "deserialization_not_json"], ["3", "in", "all"]] == [
        line.split() for line in listed("--summary")
    ][1:]
    (summary,) = listed("--summary", "--json")
    assert {"topic": "feedback.v1", "reason": "deserialization_missing_field", "count": 2} in orjson.loads(summary)


def test_show_prints_one_letter_with_everything_it_holds(
    bank: brokers.Broker, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    text, binary = write(a_letter(replay_of="dead-letters.v1-0-3"), a_letter(key=None, value=b"\x1b[2J\xff"))

    assert 0 == main.call(["deadletters", "show", str(text), "--broker", bank.bootstrap])
    said = capsys.readouterr().out
    expected = [
        "clickstream.v1 1:77",
        "deserialization_missing_field",
        "secret detail",
        REMEDIES[RejectReason.MISSING_FIELD],
        "secret key",
        "dead-letters.v1-0-3",
        "needstream.reason = theirs",
        "none = (null)",
        "trace = ff 00",
        CLICK.decode(),
    ]
    assert [] == [each for each in expected if each not in said]

    assert 0 == main.call(["deadletters", "show", str(binary), "--broker", bank.bootstrap])
    said = capsys.readouterr().out
    assert "(null)" in said
    assert "1b 5b 32 4a ff" in said
    assert "\x1b" not in said

    assert 0 == main.call(["deadletters", "show", str(binary), "--broker", bank.bootstrap, "--json"])
    told = orjson.loads(capsys.readouterr().out)
    assert (str(binary), "G1sySv8=", None) == (told["place"], told["value_base64"], told["key_base64"])

    assert 1 == main.call(["deadletters", "show", "1:999999", "--broker", bank.bootstrap])
    assert "no dead letter at 1:999999" in capsys.readouterr().err


def test_replay_says_what_it_would_do_asks_and_then_does_it(
    bank: brokers.Broker, write: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, incomplete = write(a_letter(offset=8), a_letter(offset=9, omitted="value"))
    command = ["deadletters", "replay", "--broker", bank.bootstrap]

    assert 0 == main.call([*command, str(place), "--dry-run"])
    said = capsys.readouterr().out
    assert f"{place}" in said
    assert "-> clickstream.v1[1]  45 bytes, 4 headers  send" in said
    assert "secret" not in said
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert 1 == main.call([*command, str(place)])
    assert "Send 1 to clickstream.v1?" in capsys.readouterr().err
    assert [] == replayed(bank, place)

    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert 0 == main.call([*command, str(place), "--json"])
    told = orjson.loads(capsys.readouterr().out)
    assert {"sent": 1} == told["counts"]
    assert 1 == main.call([*command, str(place), str(incomplete), "1:999999", "--yes"])
    said = capsys.readouterr().out
    assert ["replayed", "incomplete"] == [line.split()[1] for line in said.splitlines()[:2]]
    assert "no dead letter at 1:999999" in said
    assert 1 == len(replayed(bank, place))


def test_a_letter_larger_than_a_fetch_goes_back_whole(bank: brokers.Broker) -> None:
    """A record may have been compressed on its way in, and be larger than its topic takes uncompressed."""
    value = b'{"event_id": "' + b"x" * 1_500_000 + b'"}'
    headers = outputs.dead_letter_headers(a_letter(value=value, headers=()))

    async def send() -> Place:
        async with aiokafka.AIOKafkaProducer(
            bootstrap_servers=bank.bootstrap, compression_type="gzip", max_request_size=2_000_000
        ) as producer:
            sent = await producer.send_and_wait(topics.DEAD_LETTERS, value, headers=headers, partition=1)
            return Place(sent.partition, sent.offset)

    place = asyncio.run(send())

    assert Verdict.SEND == run(bank, place)[place]
    assert [value] == [record.value for record in replayed(bank, place)]


def test_a_replayed_record_that_is_rejected_again_tells_of_the_letter_it_was(
    broker: brokers.Broker, tmp_path: Path
) -> None:
    """Through the worker: original headers stay as they were, replays do not pile up in them."""
    with brokers.choose(broker.name) as bank:
        topic_admin.apply(bank.bootstrap, 1)
        asyncio.run(_send_exactly(bank.bootstrap, None, value=CLICK, headers=list(ORIGINALS)))
        asyncio.run(_send_exactly(bank.bootstrap, b"k", value=None, headers=[]))
        with running.worker(bank.bootstrap, tmp_path) as worker:
            worker.await_caught_up(2)
            assert [Verdict.SEND] * 2 == list(run(bank, Place(0, 0), Place(0, 1)).values())
            worker.await_caught_up(4)
            assert [Verdict.SEND] * 2 == list(run(bank, Place(0, 2), Place(0, 3)).values())
            worker.await_caught_up(6)
            assert worker.terminate() == 0

        with dead_letter_topic.reading(bank.bootstrap) as consumer:
            letters = list(dead_letter_topic.letters(consumer, Selection()))

    expected = [
        (CLICK, None, ORIGINALS, ""),
        (None, b"k", (), ""),
        (CLICK, None, ORIGINALS, "dead-letters.v1-0-0"),
        (None, b"k", (), "dead-letters.v1-0-1"),
        (CLICK, None, ORIGINALS, "dead-letters.v1-0-2"),
        (None, b"k", (), "dead-letters.v1-0-3"),
    ]
    actual = [(each.content.value, each.content.key, each.content.headers, each.content.replay_of) for each in letters]
    assert expected == actual


def test_the_book_forgets_letters_that_are_gone_and_a_damaged_one_stops_replays(
    broker: brokers.Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    with brokers.choose(broker.name) as bank:
        topic_admin.apply(bank.bootstrap, 1)
        places = _written(bank.bootstrap, *(a_letter(offset=number, partition=0) for number in range(3)))
        run(bank, *places)
        admin = KafkaAdminClient(bootstrap_servers=bank.bootstrap)
        admin.delete_records({TopicPartition(topics.DEAD_LETTERS, 0): 2})
        admin.close()
        assert {places[2]: Verdict.REPLAYED} == run(bank, *places)

        noted = running.published(bank.bootstrap, topics.DEAD_LETTER_REPLAYS)
        newest = {record.key: record.value and orjson.loads(record.value)["state"] for record in noted}
        assert {b"0:0": None, b"0:1": None, b"0:2": "done"} == newest

        producer = KafkaProducer(bootstrap_servers=bank.bootstrap)
        producer.send(topics.DEAD_LETTER_REPLAYS, key=b"0:2", value=b"{}").get(30)
        producer.close()
        assert 1 == main.call(["deadletters", "replay", "--all", "--yes", "--broker", bank.bootstrap])
        answer = capsys.readouterr().err
        assert "is no entry of this version" in answer
        assert "Traceback" not in answer


def test_a_cluster_without_the_topics_is_told_what_to_do(
    broker: brokers.Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    with brokers.choose(broker.name) as bare:
        assert 1 == main.call(["deadletters", "list", "--broker", bare.bootstrap])
        assert "topic dead-letters.v1 is missing; create it with: needstream topics apply" in capsys.readouterr().err


def _written(bootstrap: str, *letters: DeadLetter) -> list[Place]:
    return asyncio.run(_write(bootstrap, letters))


async def _write(bootstrap: str, letters: Iterable[DeadLetter]) -> list[Place]:
    """As the worker does it: only aiokafka's batches take a header without a value."""
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        sent = []
        for letter in letters:
            batch = producer.create_batch()
            headers = outputs.dead_letter_headers(letter)
            batch.append(key=letter.key, value=letter.value, headers=headers, timestamp=letter.timestamp_ms)
            batch.close()
            sent.append(await producer.send_batch(batch, topics.DEAD_LETTERS, partition=letter.partition))
        stored = await asyncio.gather(*sent)
    return [Place(each.partition, each.offset) for each in stored]


async def _send_exactly(bootstrap: str, key: bytes | None, *, value: bytes | None, headers: list[Any]) -> None:
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        batch = producer.create_batch()
        batch.append(key=key, value=value, headers=headers, timestamp=None)
        batch.close()
        await (await producer.send_batch(batch, topics.CLICKSTREAM, partition=0))
