"""A log line is one JSON object."""

import logging
import sys

import orjson

from needstream.streams.logs import JsonLines


def test_a_line_carries_its_facts_and_the_class_of_its_error() -> None:
    try:
        raise KeyError("place")  # noqa: EM101 - the error under test
    except KeyError:
        record = logging.LogRecord(
            "needstream.lane", logging.WARNING, "f", 1, "records %s", ("rejected",), sys.exc_info()
        )
    record.facts = {"count": 3, "partition": 1}

    line = JsonLines().format(record)

    assert "\n" not in line
    told = orjson.loads(line)
    assert ("WARNING", "needstream.lane", "records rejected", 3, 1, "KeyError") == tuple(
        told[name] for name in ("level", "logger", "message", "count", "partition", "error")
    )
