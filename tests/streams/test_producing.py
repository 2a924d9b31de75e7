"""Files go out merged by event time, keyed by customer, whatever is in them."""

import gzip
from pathlib import Path

import pytest

from needstream.streams import event_files, producing, topics


def _event(at: str, **identity: str) -> bytes:
    fields = "".join(f', "{name}": "{value}"' for name, value in identity.items())
    return f'{{"event_id": "e", "event_time": "{at}"{fields}}}\n'.encode()


def test_files_are_merged_by_event_time_and_keyed(tmp_path: Path) -> None:
    (tmp_path / "clickstream.v1.jsonl").write_bytes(
        _event("2025-01-01T00:00:01Z", customer_id="a") + _event("2025-01-01T00:00:03Z", anonymous_id="b")
    )
    with gzip.open(tmp_path / "transactions.v1.jsonl.gz", "wb") as file:
        file.write(_event("2025-01-01T00:00:02Z", customer_id="c", anonymous_id="d"))

    lines = list(producing.read_folder(tmp_path))

    assert [
        (topics.CLICKSTREAM, b"a"),
        (topics.TRANSACTIONS, b"c"),
        (topics.CLICKSTREAM, b"b"),
    ] == [(line.topic, line.key) for line in lines]


def test_a_line_that_is_no_event_keeps_its_place_without_a_key(tmp_path: Path) -> None:
    (tmp_path / "clickstream.v1.jsonl").write_bytes(
        _event("2025-01-01T00:00:01Z", customer_id="a") + b"{\n" + b"[1]\n" + b"\n"
    )

    lines = list(producing.read_folder(tmp_path))

    assert [b"a", None, None, None] == [line.key for line in lines]
    assert 1 == len({line.due_ms for line in lines})
    assert [b"{", b"[1]", b""] == [line.value for line in lines[1:]]


def test_a_folder_without_input_is_refused_with_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"clickstream\.v1\.jsonl"):
        producing.read_folder(tmp_path)


def test_the_end_of_a_file_is_no_record_but_an_empty_line_is_one(tmp_path: Path) -> None:
    path = tmp_path / "clickstream.v1.jsonl"
    path.write_bytes(b"a\r\n\nb")

    assert [b"a", b"", b"b"] == list(event_files.read_lines(path))
    assert 3 == event_files.count_lines(tmp_path)
