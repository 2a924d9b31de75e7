"""Structured logs: one JSON object per line on standard error, without customer data.

What is logged beside the message travels in ``extra={"facts": {...}}``. The text of an exception may
quote a record, so a line names its class and its place only; an error of a library is told by its
template, without what would be filled in. A library that repeats itself is cut short, see `FewRepeats`.
"""

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable

import orjson

from needstream.schemas.times import rfc3339

REPEATS = 5
"""How many lines of one kind are let through in `REPEATS_WITHIN_S`."""
REPEATS_WITHIN_S = 60.0

_LOG = logging.getLogger("needstream.logs")


class JsonLines(logging.Formatter):
    """Renders a log record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """One line: time, level, logger, message, facts, and the error's class and place."""
        ours = record.levelno < logging.ERROR or record.name.startswith("needstream.")
        line: dict[str, object] = {
            "at": rfc3339(round(record.created * 1000)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage() if ours else str(record.msg),
        }
        line.update(getattr(record, "facts", {}))
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["trace"] = "".join(traceback.format_tb(record.exc_info[2]))
        return orjson.dumps(line, default=str).decode()


class FewRepeats(logging.Filter):
    """Lets the first `REPEATS` lines of a kind through, and says a minute later how many more there were.

    A kind is a logger, a message before anything is filled in, and a level. What was left out is told just before
    whatever line comes next, of any kind. Errors of needstream's own are never left out.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        #: When each kind's minute began and how many lines it has had since; the oldest first.
        self._kinds: dict[tuple[str, str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is to be written."""
        is_ours = record.name.startswith("needstream.")
        if record.name == _LOG.name or (is_ours and record.levelno >= logging.ERROR):
            return True
        kind = (record.name, str(record.msg), record.levelno)
        now_s = self._clock()
        with self._lock:
            over = []
            while self._kinds and now_s - next(iter(self._kinds.values()))[0] >= REPEATS_WITHIN_S:
                oldest = next(iter(self._kinds))
                over.append((oldest, self._kinds.pop(oldest)[1] - REPEATS))
            began_s, count = self._kinds.get(kind, (now_s, 0))
            self._kinds[kind] = began_s, count + 1
        for (name, message, level), left_out in over:
            if left_out > 0:
                facts = {"count": left_out, "of": name, "line": message}
                _LOG.log(level, "lines left out", extra={"facts": facts})
        return count < REPEATS


def configure(level: str) -> None:
    """Send every logger's lines to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(FewRepeats())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for chatty in ("aiokafka", "kafka", "faust", "mode", "asyncio"):
        logging.getLogger(chatty).setLevel(max(logging.getLevelName(level), logging.WARNING))
