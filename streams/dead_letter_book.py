"""The bookkeeping topic of replays: which letter is being sent by whom, and which one was.

Two entries a letter, under its place: `intent` before it is sent, with the end of the partition it goes to, and `done`
once it is acknowledged. The topic has one partition, so that all runs see the entries in one order.
"""

import time
from collections.abc import Iterable
from typing import Literal

import msgspec
from kafka import KafkaConsumer, KafkaProducer
from msgspec import Struct

from needstream.streams import dead_letter_topic, topics
from needstream.streams.dead_letter_topic import Letter, Place

ACKNOWLEDGED_WITHIN_S = 20.0


class Entry(Struct, frozen=True, kw_only=True):
    """What a run noted about a letter.

    Attributes:
        run: the run's own name.
        letter: the record's origin and timestamp; a place is used again when the dead-letter topic is made anew.
        end_offset: the end of the target partition before the letter could have been sent.
        at_ms: the run's clock.
    """

    state: Literal["intent", "done"]
    run: str
    letter: str
    topic: str
    partition: int
    end_offset: int
    at_ms: int


class BookDamaged(OSError):
    """Raised when an entry cannot be read: without it nobody knows what was sent."""


_DECODER = msgspec.json.Decoder(Entry)


def identity(letter: Letter) -> str:
    """What tells a letter from another one that once stood at the same place."""
    return f"{letter.origin}@{letter.content.timestamp_ms}"


class Book:
    """The entries as far as they were read.

    Args:
        consumer: read with between two calls of anything else that uses it.
        broker: ``host:port``, to write.
    """

    def __init__(self, consumer: KafkaConsumer, broker: str) -> None:
        self._consumer = consumer
        self._broker = broker
        self._partition = dead_letter_topic.partitions_of(consumer, topics.DEAD_LETTER_REPLAYS)[0]
        self._position = 0
        self._entries: dict[str, Entry] = {}

    def of(self, letter: Letter) -> Entry | None:
        """The newest entry about a letter, None without any."""
        entry = self._entries.get(str(letter.place))
        return entry if entry is not None and entry.letter == identity(letter) else None

    def refresh(self) -> list[tuple[str, Entry]]:
        """Read on to the end as it is now and return what came, in order, by place.

        Raises:
            BookDamaged: an entry cannot be read.
        """
        end = self._consumer.end_offsets([self._partition])[self._partition]
        begin = self._consumer.beginning_offsets([self._partition])[self._partition]
        came = []
        for record in dead_letter_topic.records(
            self._consumer, self._partition, span=(max(begin, self._position), end)
        ):
            place = (record.key or b"").decode("utf-8", "replace")
            if record.value is None:
                self._entries.pop(place, None)
                continue
            try:
                entry = _DECODER.decode(record.value)
            except msgspec.DecodeError as error:
                msg = f"offset {record.offset} of {topics.DEAD_LETTER_REPLAYS} is no entry of this version: {error}"
                raise BookDamaged(msg) from error
            self._entries[place] = entry
            came.append((place, entry))
        self._position = end
        return came

    def write(self, entries: Iterable[tuple[Place, Entry]]) -> None:
        """Note entries and return once all of them are acknowledged."""
        self._send((str(place), msgspec.json.encode(entry)) for place, entry in entries)

    def forget(self, begins: dict[int, int]) -> None:
        """Take out the entries of letters that are gone: before their partition's beginning."""
        gone = []
        for text in self._entries:
            place = dead_letter_topic.parse_place(text)
            if place.offset < begins.get(place.partition, 0):
                gone.append(text)
        self._send((text, None) for text in gone)

    def _send(self, entries: Iterable[tuple[str, bytes | None]]) -> None:
        producer = KafkaProducer(
            bootstrap_servers=self._broker,
            acks="all",
            linger_ms=5,
            request_timeout_ms=round(ACKNOWLEDGED_WITHIN_S * 500),
            delivery_timeout_ms=round(ACKNOWLEDGED_WITHIN_S * 1000),
        )
        try:
            sent = [
                producer.send(self._partition.topic, key=place.encode(), value=value, partition=0)
                for place, value in entries
            ]
            producer.flush()
            for acknowledgement in sent:
                acknowledgement.get(timeout=ACKNOWLEDGED_WITHIN_S)
        finally:
            producer.close()


def now_ms() -> int:
    """The clock that entries are dated with."""
    return time.time_ns() // 1_000_000
