"""Two hundred hostile records in files: each a dead letter with its reason, the good events between them unharmed."""

import base64
from pathlib import Path

import orjson

import hostile
from needstream.streams import topics
from needstream.streams.packs import loader
from needstream.streams.replay import Replay, ReplayOptions

# A key is part of a record, not of a line in a file; a line ends at its first line feed.
RECORDS = [record for record in hostile.RECORDS if record.key is None]


def _line(raw: bytes) -> bytes:
    return raw.replace(b"\n", b"\t").removesuffix(b"\r")


def _good(family: str, number: int) -> bytes:
    return hostile.GOOD[family].replace(b'"e1"', f'"good-{family}-{number}"'.encode())


def test_hostile_records_become_dead_letters_and_good_events_between_them_are_applied(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for topic in topics.INPUTS:
        family = topic.partition(".")[0]
        with (source / f"{topic}.jsonl").open("wb") as file:
            for number, record in enumerate(each for each in RECORDS if each.family == family):
                file.write(_line(record.raw) + b"\n" + _good(family, number) + b"\n")

    report = Replay(loader.load("bank"), ReplayOptions(latest_ms=hostile.LATEST_MS)).run(source, target)

    told = [orjson.loads(line) for line in (target / f"{topics.DEAD_LETTERS}.jsonl").read_bytes().splitlines()]
    for topic in topics.INPUTS:
        of_topic = [record for record in RECORDS if f"{record.family}.v1" == topic]
        expected = [(2 * place, record.reason.value, _line(record.raw)) for place, record in enumerate(of_topic)]
        actual = [
            (letter["offset"], letter["reason"], base64.b64decode(letter["value_base64"]))
            for letter in told
            if letter["topic"] == topic
        ]
        assert expected == actual
    assert 190 < len(RECORDS) == len(told)
    assert 2 * len(RECORDS) == report["counts"]["records"]
    assert {"", "c1"} >= {row["customer_id"] for row in map(orjson.loads, _lines(target, topics.PROFILES))}
    assert 1 == report["customers"]


def _lines(folder: Path, topic: str) -> list[bytes]:
    return (folder / f"{topic}.jsonl").read_bytes().splitlines()
