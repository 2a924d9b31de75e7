"""The load of a latency run, and the process that sends it: ``python -m needstream.bench.live_load SPECIFICATION``.

In come the population and a rate; out go events that happen now. Every copy does what its original does next, whoever's
turn it is is drawn; every 20th event is a view of the page that triggers the frequent scenario. The invariant it
protects: an event's id says when it was handed to the client, in microseconds of this machine's clock, and its event
time is that moment.
"""

import asyncio
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import aiokafka
import msgspec

from needstream.bench import clones, live_pack
from needstream.bench.packing import Placed
from needstream.streams import outgoing, runtime, topics

TRIGGER_EVERY = 20
TICK_S = 0.004
TRIGGER_MARK = b"t"
OTHER_MARK = b"o"


class Specification(msgspec.Struct, kw_only=True):
    """What a producer process is told.

    Attributes:
        population: file of the copies.
        first: the number of the first event; each event of a run has its own.
        rate: events a second.
        report: file it writes at its end.
    """

    bootstrap: str
    partitions: int
    population: str
    customers: int
    seed: int
    level: str
    first: int
    events: int
    rate: float
    report: str


class Sent(msgspec.Struct, kw_only=True):
    """What a producer process tells: how many, how long it took, and how far it was behind its own schedule."""

    events: int
    triggers: int
    seconds: float
    behind_p99_ms: float
    acknowledged_p50_ms: float
    acknowledged_p99_ms: float


class Planned(msgspec.Struct, array_like=True):
    """An event without its time: topic, partition, copy, what follows the id, and whether it triggers."""

    topic: str
    partition: int
    number: int
    deed: clones.Deed
    triggers: bool


def plan(population: clones.Population, specification: Specification) -> Iterator[Planned]:
    """The events of a specification, in order."""
    rng = random.Random(specification.seed * 1_000_003 + specification.first)
    addresses = outgoing.Addresses(partitions=specification.partitions)
    originals, customers = population.originals, specification.customers
    probe = clones.Deed(0, topics.INPUTS.index(topics.CLICKSTREAM), live_pack.REST)
    places: dict[int, int] = {}
    turns: dict[int, int] = defaultdict(int)
    for count in range(specification.events):
        triggers = count % TRIGGER_EVERY == TRIGGER_EVERY - 1
        number = rng.randrange(customers)
        while triggers and not originals[number % len(originals)].speaks:
            number = rng.randrange(customers)
        if number not in places:
            places[number] = addresses.of_key(clones.name(number))
        deed = probe
        if not triggers:
            deeds = originals[number % len(originals)].deeds
            deed = deeds[turns[number] % len(deeds)]
            turns[number] += 1
        yield Planned(topics.INPUTS[deed.topic], places[number], number, deed, triggers)


def value(planned: Planned, count: int, *, at_us: int, level: str) -> bytes:
    """The event's bytes at that time."""
    mark = TRIGGER_MARK if planned.triggers else OTHER_MARK
    event_id = b"%s-%s-%d-%d" % (mark, level.encode(), count, at_us)
    return clones.event(planned.deed, event_id, at=clones.text_time(at_us // 1000), number=planned.number)


def handed_us(event_id: str) -> tuple[str, int] | None:
    """The level of a triggering event and when it was handed over; None for another event."""
    parts = event_id.split("-")
    if len(parts) != 4 or parts[0] != TRIGGER_MARK.decode():  # noqa: PLR2004 - mark, level, number, time
        return None
    return parts[1], int(parts[3])


def backlog(population: clones.Population, specification: Specification) -> Iterator[Placed]:
    """All events at once, a millisecond apart up to now."""
    now_us = time.time_ns() // 1000
    for count, planned in enumerate(plan(population, specification)):
        at_us = now_us - (specification.events - count) * 1000
        written = value(planned, specification.first + count, at_us=at_us, level=specification.level)
        yield planned.topic, planned.partition, clones.name(planned.number), written


class _Sender:
    """Sends what has gathered for one place whenever the batch before is acknowledged, as a client in order does."""

    def __init__(self, producer: aiokafka.AIOKafkaProducer, place: tuple[str, int]) -> None:
        self.acknowledged_ms: list[float] = []
        self._producer = producer
        self._place = place
        self._gathered: list[tuple[bytes, bytes]] = []
        self._some = asyncio.Event()

    def give(self, key: bytes, content: bytes) -> None:
        self._gathered.append((key, content))
        self._some.set()

    async def run(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            gathered, self._gathered = self._gathered, []
            started_s = time.monotonic()
            batch = self._producer.create_batch()
            for key, content in gathered:
                if batch.append(key=key, value=content, timestamp=None) is None:
                    msg = "more than a batch holds: the broker does not keep up with the rate"
                    raise RuntimeError(msg)
            batch.close()
            await (await self._producer.send_batch(batch, self._place[0], partition=self._place[1]))
            self.acknowledged_ms.append((time.monotonic() - started_s) * 1000)

    @property
    def is_empty(self) -> bool:
        return not self._gathered


async def produce(specification: Specification) -> Sent:
    """Send a specification's events at its rate."""
    population = msgspec.msgpack.decode(Path(specification.population).read_bytes(), type=clones.Population)
    planned = list(plan(population, specification))
    behind_ms: list[float] = []
    async with aiokafka.AIOKafkaProducer(
        bootstrap_servers=specification.bootstrap, acks="all", max_batch_size=500_000
    ) as producer:
        senders = {
            (topic, partition): _Sender(producer, (topic, partition))
            for topic in topics.INPUTS
            for partition in range(specification.partitions)
        }
        tasks = [asyncio.ensure_future(sender.run()) for sender in senders.values()]
        started_s = time.monotonic()
        sent = 0
        while sent < len(planned):
            due = min(len(planned), int((time.monotonic() - started_s) * specification.rate))
            if due > sent:
                behind_ms.append((time.monotonic() - started_s - sent / specification.rate) * 1000)
                at_us = time.time_ns() // 1000
                for count in range(sent, due):
                    each = planned[count]
                    written = value(each, specification.first + count, at_us=at_us, level=specification.level)
                    senders[each.topic, each.partition].give(clones.name(each.number), written)
                sent = due
            await asyncio.sleep(TICK_S)
            if any(task.done() for task in tasks):
                break
        seconds = time.monotonic() - started_s
        while not (all(sender.is_empty for sender in senders.values()) or any(task.done() for task in tasks)):
            await asyncio.sleep(TICK_S)
        await producer.flush()
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
    waited = sorted(each for sender in senders.values() for each in sender.acknowledged_ms)
    return Sent(
        events=sent,
        triggers=sum(each.triggers for each in planned[:sent]),
        seconds=seconds,
        behind_p99_ms=sorted(behind_ms)[int(len(behind_ms) * 0.99)],
        acknowledged_p50_ms=waited[len(waited) // 2],
        acknowledged_p99_ms=waited[int(len(waited) * 0.99)],
    )


def main() -> None:
    """Send and report."""
    specification = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Specification)
    with asyncio.Runner(loop_factory=runtime.fastest_loop) as runner:
        sent = runner.run(produce(specification))
    Path(specification.report).write_bytes(msgspec.json.encode(sent))


if __name__ == "__main__":
    main()
