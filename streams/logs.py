"""Structured logs: one JSON object per line on standard error, without customer data.

What is logged beside the message travels in ``extra={"facts": {...}}``.
"""

import logging
import sys

import orjson

from needstream.schemas.times import rfc3339


class JsonLines(logging.Formatter):
    """Renders a log record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """One line: time, level, logger, message, facts, and the error's class and place."""
        line: dict[str, object] = {
            "at": rfc3339(round(record.created * 1000)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(getattr(record, "facts", {}))
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["trace"] = self.formatException(record.exc_info)
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
