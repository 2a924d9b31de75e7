"""Sends files of events to the input topics: as fast as it goes, at a rate, or at an event-time speed."""

import heapq
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
from kafka import KafkaProducer
from msgspec import Struct

from needstream.schemas.times import parse_rfc3339
from needstream.streams import event_files

_PROGRESS_EVERY = 50
_CONFIRM_EVERY = 5_000
_LOOK_S = 0.02


class Outgoing(Struct, frozen=True):
    """One line of a file on its way to a topic; ``due_ms`` is its place in event time."""

    due_ms: int
    topic: str
    key: bytes | None
    value: bytes


class Pace(Struct, frozen=True):
    """How fast: ``rate`` events a second, or ``speed`` seconds of event time a second; 0 is unlimited."""

    rate: float = 0.0
    speed: float = 0.0


def read_folder(folder: Path) -> Iterator[Outgoing]:
    """Every line of the input files, each file in its own order, files merged by event time.

    A line that is no event keeps its place behind the one before it and has no key.

    Raises:
        FileNotFoundError: the folder holds no input file.
    """
    return heapq.merge(
        *(_read(topic, path) for topic, path in event_files.find(folder).items()), key=lambda line: line.due_ms
    )


def produce(
    broker: str, lines: Iterator[Outgoing], *, pace: Pace, on_progress: Callable[[int, int], None] = lambda *_: None
) -> int:
    """Send the lines, keyed, and wait until every one is acknowledged.

    The record timestamp is left to the broker: event time is in the event.

    Args:
        broker: ``host:port`` of the cluster.
        lines: what to send, in order.
        pace: how fast.
        on_progress: called now and then with the events sent and their event time in milliseconds.

    Returns:
        How many were sent.
    """
    producer = KafkaProducer(bootstrap_servers=broker, linger_ms=5, batch_size=131_072, acks="all")
    sent, at_ms = 0, 0
    pending = []
    started_s, first_ms = time.monotonic(), None
    try:
        for line in lines:
            first_ms = line.due_ms if first_ms is None else first_ms
            at_ms = line.due_ms
            _wait(pace, sent, passed_s=(at_ms - first_ms) / 1000, started_s=started_s)
            pending.append(producer.send(line.topic, key=line.key, value=line.value))
            sent += 1
            if sent % _PROGRESS_EVERY == 0:
                on_progress(sent, at_ms)
            if len(pending) >= _CONFIRM_EVERY:
                pending = _confirmed(pending)
        producer.flush()
        _confirmed(pending)
        on_progress(sent, at_ms)
    finally:
        producer.close()
    return sent


def _confirmed(pending: list[Any]) -> list[Any]:
    for future in pending:
        future.get(timeout=60)
    return []


def _wait(pace: Pace, sent: int, *, passed_s: float, started_s: float) -> None:
    due_s = max(
        sent / pace.rate if pace.rate else 0.0,
        passed_s / pace.speed if pace.speed else 0.0,
    )
    ahead_s = due_s - (time.monotonic() - started_s)
    if ahead_s > _LOOK_S:
        time.sleep(ahead_s)


def _read(topic: str, path: Path) -> Iterator[Outgoing]:
    newest_ms = 0
    for value in event_files.read_lines(path):
        key = None
        try:
            event = orjson.loads(value)
            newest_ms = max(newest_ms, parse_rfc3339(event["event_time"]))
            identity = event.get("customer_id") or event.get("anonymous_id")
            key = str(identity).encode() if identity else None
        except (ValueError, KeyError, TypeError, AttributeError):
            key = None
        yield Outgoing(newest_ms, topic, key, value)
