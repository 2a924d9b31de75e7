"""Sends dead letters back to where they came from, none of them twice.

Letters in; records on their original topic and partition, with original key, value and headers, out. How a letter is
kept from being sent again, whatever happens in between:

1. the target partition's end is read, then the book; a letter with an entry is not sent;
2. an intent with that end is noted and the book read again: of several runs the one whose intent came first goes on;
3. the record is sent with the letter's place as its last header, and `done` is noted when it is acknowledged;
4. an intent that is older than its run may live is settled by looking for that header from the noted end on.

Because the end is read before the book, whatever another run sent after its own intent lies behind every end that is
noted without having seen that intent; so it is found.
"""

import asyncio
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

import aiokafka
from aiokafka.errors import KafkaError
from kafka import KafkaConsumer, TopicPartition
from msgspec import Struct, field
from msgspec.structs import replace

from needstream.streams import dead_letter_topic, outputs, topics
from needstream.streams.dead_letter_book import Book, Entry, identity, now_ms
from needstream.streams.dead_letter_topic import Letter, OnProgress, Place, no_progress

RUN_LIVES_S = 90.0
"""For so long after its intent a run may still be sending; clocks of two runs may differ by 20 seconds."""

STARTED_WITHIN_S = 25.0
"""No record is handed to the producer later than this after its intent was begun."""

ACKNOWLEDGED_WITHIN_S = 20.0
"""After this the producer gives a record up."""

LETTERS_AT_ONCE = 200
BYTES_AT_ONCE = 8_000_000
LARGEST_REQUEST_BYTES = 2_100_000


class Verdict(StrEnum):
    """What a replay makes of a letter."""

    SEND = "send"  #: it is sent
    REPLAYED = "replayed"  #: it was sent before, and that was noted
    FOUND = "found"  #: it was sent before by a run that could not note it
    IN_WORK = "in_work"  #: another run is at it, or was until a moment ago
    UNCERTAIN = "uncertain"  #: a run may have sent it, and the records that would tell are gone
    INCOMPLETE = "incomplete"  #: the letter does not hold the whole record
    NO_TARGET = "no_target"  #: nothing of ours reads its topic, or it has fewer partitions now
    FAILED = "failed"  #: the broker refused it
    GONE = "gone"  #: retention removed the letter before it could be sent


EXPLANATIONS: Mapping[Verdict, str] = {
    Verdict.SEND: "not replayed yet",
    Verdict.REPLAYED: "was replayed; --again sends it once more",
    Verdict.FOUND: "was replayed by a run that was stopped before it could note it",
    Verdict.IN_WORK: f"another run is at it; try again in {RUN_LIVES_S:.0f} s",
    Verdict.UNCERTAIN: "a run that was stopped may have sent it, and retention has removed the proof; --again sends it",
    Verdict.INCOMPLETE: "too large for a dead letter, so not all of it is here; its original place may still have it",
    Verdict.NO_TARGET: "needstream does not read its topic, or it has fewer partitions than then",
    Verdict.FAILED: "the broker refused it",
    Verdict.GONE: "retention removed the letter before it could be sent",
}


class Plan(Struct):
    """Verdicts by place; payloads are not kept."""

    verdicts: dict[Place, Verdict] = field(default_factory=dict)
    entries: dict[Place, Entry | None] = field(default_factory=dict)

    def places(self, *verdicts: Verdict) -> frozenset[Place]:
        """The places with one of the verdicts."""
        return frozenset(place for place, verdict in self.verdicts.items() if verdict in verdicts)


class Replays:
    """One run; `run` tells it from all others.

    Args:
        broker: ``host:port``.
        again: send also what was sent before, or may have been.
    """

    def __init__(self, broker: str, consumer: KafkaConsumer, *, again: bool = False) -> None:
        self.run = uuid.uuid4().hex
        self._broker = broker
        self._consumer = consumer
        self._again = again
        self._book = Book(consumer, broker)
        self._partitions = {topic: len(consumer.partitions_for_topic(topic) or ()) for topic in topics.MERGED}

    def plan(self, letters: Iterable[Letter], *, on_settling: OnProgress = no_progress) -> Plan:
        """What `send` would do with the letters; changes nothing on the broker.

        Args:
            letters: read with another consumer than this run's.
            on_settling: told about the reading that settles what a stopped run left open.
        """
        self._book.refresh()
        plan, open_intents = Plan(), []
        for letter in letters:
            entry = self._book.of(letter)
            verdict = self._judge(letter, entry)
            plan.verdicts[letter.place], plan.entries[letter.place] = verdict, entry
            if verdict is Verdict.UNCERTAIN and entry is not None:
                open_intents.append((letter, entry))
        for place, verdict in self._settle(open_intents, on_progress=on_settling):
            plan.verdicts[place] = Verdict.SEND if self._again else verdict
        return plan

    def send(
        self, letters: Iterable[Letter], plan: Plan, *, on_sent: Callable[[Place], None] = lambda _: None
    ) -> dict[Place, Verdict]:
        """Send the letters whose verdict is `SEND`, note the ones that were `FOUND`, and forget letters that are gone.

        Args:
            letters: those of the plan, or more, read with another consumer than this run's.
            plan: of this run.
            on_sent: told of each acknowledged letter, before that is noted.

        Returns:
            The verdicts that differ from the plan's: what another run took, the broker refused or retention removed.

        Raises:
            KafkaError: the broker did not answer; letters that may have been sent are settled by the next run.
            TimeoutError: sending was too slow; as above.
        """
        changed: dict[Place, Verdict] = {}
        found = [(place, plan.entries[place]) for place in plan.places(Verdict.FOUND)]
        self._book.write((place, replace(entry, state="done")) for place, entry in found if entry is not None)
        unseen = set(plan.places(Verdict.SEND))
        wanted = (letter for letter in letters if plan.verdicts.get(letter.place) is Verdict.SEND)
        for chunk in _chunks(wanted):
            until_s = time.monotonic() + STARTED_WITHIN_S
            sent = _Sent(on_sent)
            try:
                mine = self._claim(chunk, plan, changed=changed)
                asyncio.run(_deliver_all(self._broker, mine, until_s=until_s, sent=sent))
            except (KafkaError, TimeoutError):
                self._note(sent)
                raise
            self._note(sent)
            changed |= dict.fromkeys(sent.refused, Verdict.FAILED)
            unseen -= {letter.place for letter in chunk}
        changed |= dict.fromkeys(unseen, Verdict.GONE)
        letter_partitions = dead_letter_topic.partitions_of(self._consumer, topics.DEAD_LETTERS)
        begins = self._consumer.beginning_offsets(letter_partitions)
        self._book.forget({tp.partition: begin for tp, begin in begins.items()})
        return changed

    def _judge(self, letter: Letter, entry: Entry | None) -> Verdict:
        content = letter.content
        if content.omitted:
            return Verdict.INCOMPLETE
        if content.partition >= self._partitions.get(content.topic, 0):
            return Verdict.NO_TARGET
        if entry is None:
            return Verdict.SEND
        if entry.state == "done":
            return Verdict.SEND if self._again else Verdict.REPLAYED
        if now_ms() - entry.at_ms < RUN_LIVES_S * 1000:
            return Verdict.IN_WORK
        return Verdict.UNCERTAIN

    def _settle(
        self, open_intents: list[tuple[Letter, Entry]], *, on_progress: OnProgress
    ) -> Iterator[tuple[Place, Verdict]]:
        """Look in the target partitions for what a stopped run may have sent."""
        by_target: defaultdict[TopicPartition, list[tuple[Letter, Entry]]] = defaultdict(list)
        for letter, entry in open_intents:
            by_target[TopicPartition(entry.topic, entry.partition)].append((letter, entry))
        for target, intents in by_target.items():
            wanted = {_mark(letter): letter for letter, _ in intents}
            end = self._consumer.end_offsets([target])[target]
            start = min(entry.end_offset for _, entry in intents)
            arrived: dict[str, int] = {}
            for record in dead_letter_topic.records(self._consumer, target, span=(start, end)):
                on_progress(record.offset - start + 1, end - start)
                mark = _mark_in(record.headers)
                meant = wanted.get(mark)
                # Whoever writes to the topic can write such a header; it counts only on what was in the letter.
                if meant is not None and (record.key, record.value) == (meant.content.key, meant.content.value):
                    arrived[mark] = record.offset
            # Asked last: what retention removes while reading must not look like what never came.
            begin = self._consumer.beginning_offsets([target])[target]
            for letter, entry in intents:
                if arrived.get(_mark(letter), -1) >= entry.end_offset:
                    yield letter.place, Verdict.FOUND
                elif begin > entry.end_offset or end < entry.end_offset:
                    yield letter.place, Verdict.UNCERTAIN
                else:
                    yield letter.place, Verdict.SEND

    def _claim(self, chunk: list[Letter], plan: Plan, *, changed: dict[Place, Verdict]) -> list[tuple[Letter, Entry]]:
        """Note intents; return the letters that are this run's to send."""
        targets = {TopicPartition(letter.content.topic, letter.content.partition) for letter in chunk}
        ends = self._consumer.end_offsets(list(targets))
        self._book.refresh()
        intents = []
        for letter in chunk:
            entry = self._book.of(letter)
            if entry != plan.entries[letter.place]:
                is_done = entry is not None and entry.state == "done"
                changed[letter.place] = Verdict.REPLAYED if is_done else Verdict.IN_WORK
                continue
            content = letter.content
            intents.append(
                (
                    letter,
                    Entry(
                        state="intent",
                        run=self.run,
                        letter=identity(letter),
                        topic=content.topic,
                        partition=content.partition,
                        end_offset=ends[TopicPartition(content.topic, content.partition)],
                        at_ms=now_ms(),
                    ),
                )
            )
        self._book.write((letter.place, entry) for letter, entry in intents)
        first: dict[str, Entry] = {}
        for place, entry in self._book.refresh():
            first.setdefault(place, entry)
        mine = []
        for letter, entry in intents:
            if first.get(str(letter.place)) == entry:
                mine.append((letter, entry))
            else:
                changed[letter.place] = Verdict.IN_WORK
        return mine

    def _note(self, sent: "_Sent") -> None:
        self._book.write((place, replace(entry, state="done", at_ms=now_ms())) for place, entry in sent.acknowledged)


class _Sent:
    """What became of letters so far."""

    def __init__(self, on_sent: Callable[[Place], None]) -> None:
        self.on_sent = on_sent
        self.acknowledged: list[tuple[Place, Entry]] = []
        self.refused: list[Place] = []


async def _deliver_all(broker: str, mine: list[tuple[Letter, Entry]], *, until_s: float, sent: _Sent) -> None:
    """Send letters one after another; only aiokafka's batches take a header without a value."""
    if not mine:
        return
    async with aiokafka.AIOKafkaProducer(
        bootstrap_servers=broker,
        acks="all",
        enable_idempotence=True,
        request_timeout_ms=round(ACKNOWLEDGED_WITHIN_S * 1000),
        # A record that came compressed may be larger than its topic takes uncompressed.
        compression_type="gzip",
        max_batch_size=LARGEST_REQUEST_BYTES,
        max_request_size=LARGEST_REQUEST_BYTES,
    ) as producer:
        for letter, entry in mine:
            if time.monotonic() > until_s:
                msg = (
                    f"sending took more than {STARTED_WITHIN_S:.0f} s; the rest can be replayed in {RUN_LIVES_S:.0f} s"
                )
                raise TimeoutError(msg)
            content = letter.content
            batch = producer.create_batch()
            headers = [*content.headers, (outputs.REPLAY_OF, _mark(letter).encode())]
            batch.append(key=content.key, value=content.value, headers=headers, timestamp=None)
            batch.close()
            try:
                await (await producer.send_batch(batch, content.topic, partition=content.partition))
            except KafkaError as error:
                if error.retriable:
                    raise
                sent.refused.append(letter.place)
                continue
            sent.on_sent(letter.place)
            sent.acknowledged.append((letter.place, entry))


def _mark(letter: Letter) -> str:
    return outputs.replay_mark(letter.place.partition, letter.place.offset)


def _mark_in(headers: Sequence[tuple[str, bytes | None]]) -> str:
    if not headers or headers[-1][0] != outputs.REPLAY_OF:
        return ""
    return (headers[-1][1] or b"").decode("utf-8", "replace")


def _chunks(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    """Few enough letters to hold in memory and to send while the intent is fresh."""
    chunk: list[Letter] = []
    size = 0
    for letter in letters:
        chunk.append(letter)
        size += len(letter.content.value or b"")
        if len(chunk) >= LETTERS_AT_ONCE or size >= BYTES_AT_ONCE:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
