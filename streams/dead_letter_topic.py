"""The dead-letter topic as it can be read: letters with their place, whole again, in order of place.

In: the records of the dead-letter topic. Out: `Letter` values, chosen by a `Selection`. The invariant it protects: what
the error headers of `outputs.dead_letter_headers` took up is separated from the record's own headers again, whatever
names those have.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from msgspec import Struct

from needstream.schemas.dead_letters import REMEDIES, DeadLetter, RejectReason
from needstream.streams import outputs, topics

SILENCE_S = 30.0
"""How long a broker may say nothing about records it says it has."""

_POLL_MS = 500
_TOLD_EVERY = 100
_PLACE = re.compile(r"([0-9]{1,10}):([0-9]{1,19})")
_REQUIRED = ("__streams.errors.topic", "__streams.errors.partition", "__streams.errors.offset", "needstream.reason")

OnProgress = Callable[[int, int], None]
"""Told how many offsets are read, of how many."""


def no_progress(_read: int, _of: int) -> None:
    """Tell nobody."""


class Place(Struct, frozen=True, order=True):
    """Where a letter stands on the dead-letter topic; its text is ``2:1234``."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"


class Letter(Struct, frozen=True):
    """A dead letter and where it stands."""

    place: Place
    content: DeadLetter

    @property
    def origin(self) -> str:
        """The rejected record's own place, such as ``clickstream.v1 2:77``."""
        return f"{self.content.topic} {self.content.partition}:{self.content.offset}"


class Selection(Struct, frozen=True, kw_only=True):
    """Which letters are meant; what is None or empty does not restrict.

    Attributes:
        topic: the topic the record was rejected from.
        reason: a reason, or the beginning of one.
        field: the offending field.
        partition: of the rejected record; its letter stands on the partition of the same number.
        since_ms: the oldest record timestamp, inclusive.
        until_ms: the newest record timestamp, exclusive.
        places: the letters themselves.
    """

    topic: str | None = None
    reason: str = ""
    field: str | None = None
    partition: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    places: frozenset[Place] = frozenset()

    @property
    def is_everything(self) -> bool:
        """Whether nothing is restricted."""
        return self == Selection()

    def has(self, letter: Letter) -> bool:
        """Whether a letter is meant."""
        content = letter.content
        at_ms = content.timestamp_ms
        return (
            self.topic in (None, content.topic)
            and content.reason.value.startswith(self.reason)
            and self.field in (None, content.field)
            and self.partition in (None, content.partition)
            and (self.since_ms is None or (at_ms is not None and at_ms >= self.since_ms))
            and (self.until_ms is None or (at_ms is not None and at_ms < self.until_ms))
            and (not self.places or letter.place in self.places)
        )


class NoSuchLetter(LookupError):
    """Raised when a place holds no dead letter, never or not any more."""


def parse_place(text: str) -> Place:
    """The place in text such as ``2:1234``; raises ValueError for other text."""
    found = _PLACE.fullmatch(text.strip())
    if found is None:
        msg = f"{text!r} is no place; write partition:offset as `deadletters list` does, such as 2:1234"
        raise ValueError(msg)
    return Place(int(found[1]), int(found[2]))


def letter_of(record: Any) -> Letter | None:
    """The letter in a record of the dead-letter topic, None if it is none of ours."""
    headers = tuple(record.headers)
    ends = [place for place, (name, _) in enumerate(headers) if name == outputs.ORIGINALS_END]
    # Letters of before the original headers were kept have no such mark: all they carry is ours.
    end = ends[-1] if ends else 0
    told = {name: (content or b"").decode("utf-8", "replace") for name, content in headers[end:]}
    if any(name not in told for name in _REQUIRED):
        return None
    try:
        reason = RejectReason(told["needstream.reason"])
        partition, offset = int(told["__streams.errors.partition"]), int(told["__streams.errors.offset"])
    except ValueError:
        return None
    content = DeadLetter(
        topic=told["__streams.errors.topic"],
        partition=partition,
        offset=offset,
        reason=reason,
        field=told.get("needstream.field", ""),
        detail=told.get("needstream.detail", ""),
        remedy=told.get("needstream.remedy", REMEDIES[reason]),
        key=record.key,
        value=record.value,
        timestamp_ms=record.timestamp if record.timestamp >= 0 else None,
        headers=headers[:end],
        replay_of=told.get(outputs.REPLAY_OF, ""),
        omitted=told.get(outputs.OMITTED, ""),
    )
    return Letter(Place(record.partition, record.offset), content)


@contextmanager
def reading(broker: str) -> Iterator[KafkaConsumer]:
    """A consumer without a group: it leaves no trace on the broker."""
    consumer = KafkaConsumer(
        bootstrap_servers=broker, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    try:
        yield consumer
    finally:
        consumer.close()


def partitions_of(consumer: KafkaConsumer, topic: str) -> list[TopicPartition]:
    """The partitions of a topic in order; raises FileNotFoundError if the cluster does not have it."""
    numbers = sorted(consumer.partitions_for_topic(topic) or ())
    if not numbers:
        msg = f"topic {topic} is missing; create it with: needstream topics apply"
        raise FileNotFoundError(msg)
    return [TopicPartition(topic, number) for number in numbers]


def letters(
    consumer: KafkaConsumer, selection: Selection, *, on_progress: OnProgress = no_progress
) -> Iterator[Letter]:
    """The letters a selection means, in order of partition and offset, up to the ends as they are now.

    Records that are no dead letters are passed over.
    """
    found = partitions_of(consumer, topics.DEAD_LETTERS)
    if selection.partition is not None:
        found = [place for place in found if place.partition == selection.partition]
    if selection.places:
        on = {place.partition for place in selection.places}
        found = [place for place in found if place.partition in on]
    begins, ends = consumer.beginning_offsets(found), consumer.end_offsets(found)
    if selection.places:
        for tp in found:
            offsets = [place.offset for place in selection.places if place.partition == tp.partition]
            begins[tp], ends[tp] = max(begins[tp], min(offsets)), min(ends[tp], max(offsets) + 1)
    spans = {tp: max(0, ends[tp] - begins[tp]) for tp in found}
    total, done = sum(spans.values()), 0
    for tp in found:
        for record in records(consumer, tp, span=(begins[tp], ends[tp])):
            if record.offset % _TOLD_EVERY == 0:
                on_progress(done + record.offset - begins[tp], total)
            letter = letter_of(record)
            if letter is not None and selection.has(letter):
                yield letter
        done += spans[tp]
        on_progress(done, total)


def letter_at(consumer: KafkaConsumer, place: Place) -> Letter:
    """The letter at a place; raises NoSuchLetter."""
    for letter in letters(consumer, Selection(places=frozenset([place]))):
        return letter
    msg = f"no dead letter at {place}: never there, or past the topic's retention"
    raise NoSuchLetter(msg)


def records(consumer: KafkaConsumer, tp: TopicPartition, *, span: tuple[int, int]) -> Iterator[Any]:
    """The records of a partition from an offset, inclusive, to another, exclusive; gaps are passed over.

    Raises:
        TimeoutError: the broker stopped answering.
    """
    start, end = span
    if start >= end:
        return
    consumer.assign([tp])
    consumer.seek(tp, start)
    silent_s = 0.0
    while (position := consumer.position(tp)) < end:
        asked_s = time.monotonic()
        fetched = list(_only(consumer.poll(timeout_ms=_POLL_MS).values()))
        silent_s = 0.0 if consumer.position(tp) > position else silent_s + time.monotonic() - asked_s
        for record in fetched:
            if record.offset >= end:
                return
            yield record
        if silent_s > SILENCE_S:
            msg = f"{tp.topic}[{tp.partition}] gave no record for {SILENCE_S:.0f} s at offset {position} of {end}"
            raise TimeoutError(msg)


def _only(batches: Iterable[Sequence[Any]]) -> Iterator[Any]:
    for batch in batches:
        yield from batch
