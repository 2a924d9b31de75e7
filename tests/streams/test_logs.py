"""A log line is one JSON object."""

import logging
import sys

import orjson
import pytest

from needstream.streams import logs
from needstream.streams.logs import FewRepeats, JsonLines


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


class Lines:
    """A handler that keeps what the filter lets through, on a clock the test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.written: list[tuple[str, str]] = []
        self.left_out: list[dict[str, object]] = []
        self._filter = FewRepeats(lambda: self.now_s)
        self.handler = logging.Handler()
        self.handler.emit = self._emit  # type: ignore[method-assign]
        self.handler.addFilter(self._filter)

    def _emit(self, record: logging.LogRecord) -> None:
        if record.name == "needstream.logs":
            self.left_out.append(record.facts)  # type: ignore[attr-defined]
        self.written.append((record.name, record.getMessage()))

    def say(self, name: str, message: str, *parts: object, level: int = logging.WARNING, times: int = 1) -> None:
        for _ in range(times):
            logging.getLogger(name).log(level, message, *parts)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    kept = Lines()
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [kept.handler])
    monkeypatch.setattr(root, "level", logging.INFO)
    monkeypatch.setattr(logging.getLogger("aiokafka"), "level", logging.NOTSET)
    return kept


AWAY = ("aiokafka", "Unable connect to node with id %s: %s")


def test_of_equal_lines_the_first_few_are_written_and_the_rest_counted_a_minute_later(lines: Lines) -> None:
    for number in range(1_000):
        lines.say(*AWAY, number, "refused", level=logging.ERROR)
    lines.now_s = logs.REPEATS_WITHIN_S - 0.001
    lines.say(*AWAY, 0, "refused", level=logging.ERROR)
    assert [(AWAY[0], AWAY[1] % (number, "refused")) for number in range(logs.REPEATS)] == lines.written

    lines.now_s = logs.REPEATS_WITHIN_S
    lines.say("faust", "of another kind")

    assert [("needstream.logs", "lines left out"), ("faust", "of another kind")] == lines.written[logs.REPEATS :]
    assert [{"count": 1_001 - logs.REPEATS, "of": AWAY[0], "line": AWAY[1]}] == lines.left_out


def test_the_next_minute_begins_anew(lines: Lines) -> None:
    lines.say(*AWAY, 1, "refused", times=logs.REPEATS)
    lines.now_s = logs.REPEATS_WITHIN_S
    lines.say(*AWAY, 1, "refused", times=logs.REPEATS + 2)

    assert 2 * logs.REPEATS == len(lines.written)
    assert [] == lines.left_out


def test_another_logger_message_or_level_is_another_kind(lines: Lines) -> None:
    lines.say("faust", "a", times=100)
    for name, message, level in (("mode", "a", 30), ("faust", "b", 30), ("faust", "a", 40)):
        lines.say(name, message, level=level)

    assert [("mode", "a"), ("faust", "b"), ("faust", "a")] == lines.written[logs.REPEATS :]


def test_no_error_of_our_own_is_left_out(lines: Lines) -> None:
    lines.say("needstream.lanes", "round failed", level=logging.ERROR, times=100)
    lines.say("needstream.sending", "the broker does not take records; trying again", times=100)

    assert 100 + logs.REPEATS == len(lines.written)


def test_what_is_forgotten_takes_no_memory(lines: Lines) -> None:
    for number in range(1_000):
        lines.now_s = number
        lines.say("a.library", f"written out {number}")

    assert logs.REPEATS_WITHIN_S == len(lines._filter._kinds)


def test_a_configured_program_writes_a_thousand_equal_lines_as_few(
    lines: Lines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for chatty in ("kafka", "faust", "mode", "asyncio"):
        monkeypatch.setattr(logging.getLogger(chatty), "level", logging.NOTSET)
    logs.configure("INFO")

    lines.say(*AWAY, 1, "refused", level=logging.ERROR, times=1_000)

    written = [orjson.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [AWAY[1]] * logs.REPEATS == [line["message"] for line in written]
