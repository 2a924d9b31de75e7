"""Structured logs: one JSON object per line on standard error, without customer data.

What is logged beside the message travels in ``extra={"facts": {...}}``. The text of an exception may
quote a record, so a line names its class and its place only; an error of a library is told by its
template, without what would be filled in.
"""

import logging
import sys
import traceback

import orjson

from needstream.schemas.times import rfc3339


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


def configure(level: str) -> None:
    """Send every logger's lines to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for chatty in ("aiokafka", "kafka", "faust", "mode", "asyncio"):
        logging.getLogger(chatty).setLevel(max(logging.getLevelName(level), logging.WARNING))
