"""The way to the broker and the strangers on it: delays, duplicates, bots, visitors without a name, broken records.

Input: records with event times.  Output: arrivals.  Every event arrives no earlier than it happened.
"""

import random
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from needstream.simulation import catalogue, chance, journal, parameters, population, timeline, truth

_LONGEST_LATE_MS = 10 * timeline.MINUTE_MS
_HIJACKER = 2
_BROKEN = (
    b'{"event_id": "broken-1", "event_type": "page_view"',
    b'{"event_type": "page_view", "event_time": "2025-02-01T00:00:00Z", "customer_id": "c000001"}',
    b'{"event_id": "broken-3", "event_type": "page_view", "event_time": "yesterday", "customer_id": "c000001"}',
    b"\xff\xfe\x00not json",
    b"[]",
)


class Arrival(NamedTuple):
    """One record as the broker receives it."""

    arrival_ms: int
    topic: str
    key: str
    event: bytes


def deliver(records: Iterable[journal.Record], chosen: parameters.SimulationParameters) -> list[Arrival]:
    """Return the records in arrival order: most within two seconds, some late, some twice."""
    rng = random.Random(f"{chosen.seed}/delivery")
    arrivals = []
    for record in records:
        delay_ms = int(rng.expovariate(1 / 300)) + 20
        draw = rng.random()
        if draw < chosen.late_share:
            delay_ms += rng.randint(5_000, _LONGEST_LATE_MS - 10_000)
        elif record.is_plain_view and draw > 1 - chosen.very_late_share:
            delay_ms += rng.randint(2 * timeline.HOUR_MS, 48 * timeline.HOUR_MS)
        arrival = Arrival(record.event_time_ms + delay_ms, journal.TOPICS[record.topic], record.key, record.event)
        arrivals.append(arrival)
        if chance.happens(rng, chosen.duplicate_share):
            arrivals.append(arrival._replace(arrival_ms=arrival.arrival_ms + rng.randint(200, 90_000)))
    arrivals += _malformed(chosen)
    arrivals.sort(key=lambda arrival: arrival.arrival_ms)
    return arrivals


def _malformed(chosen: parameters.SimulationParameters) -> Iterator[Arrival]:
    rng = random.Random(f"{chosen.seed}/malformed")
    for number in range(chosen.malformed):
        arrival_ms = rng.randrange(chosen.start_ms, chosen.end_ms)
        topic = journal.TOPICS[journal.CLICKSTREAM if chance.happens(rng, 0.7) else journal.TRANSACTIONS]
        yield Arrival(arrival_ms, topic, "c000001", _BROKEN[number % len(_BROKEN)])


def strangers(
    chosen: parameters.SimulationParameters, *, hijackable: list[population.Customer], rows: list[truth.Planted]
) -> Iterator[journal.Record]:
    """Write bots and anonymous visitors; the bots' truth is appended to ``rows``.

    A third of the bots use the id of a real customer, the others come with ids nobody knows.
    """
    rng = random.Random(f"{chosen.seed}/strangers")
    for number in range(chosen.bots):
        is_hijacker = number % 3 == _HIJACKER and bool(hijackable)
        if is_hijacker:
            owner = {"customer_id": hijackable.pop().customer_id}
        elif number % 3 == 1:
            owner = {"anonymous_id": f"x{rng.randrange(1 << 32):08x}"}
        else:
            owner = {"customer_id": f"c9{rng.randrange(100_000):05d}"}
        begins_ms = chosen.at(rng.randrange(chosen.days), rng.randrange(22 * timeline.HOUR_MS))
        ends_ms = begins_ms
        for record in _bot(rng, number, owner=owner, begins_ms=begins_ms):
            ends_ms = record.event_time_ms
            yield record
        rows.append(
            truth.Planted(
                customer_id=next(iter(owner.values())),
                kind="bot",
                starts_at_ms=begins_ms,
                expected_from_ms=begins_ms,
                # Nothing can ever be right for an id that nobody knows.
                expected_until_ms=ends_ms + 10 * timeline.DAY_MS if is_hijacker else chosen.end_ms,
                expected=False,
                note="uses the id of a customer" if is_hijacker else "unknown id",
            )
        )
    for number in range(chosen.anonymous_visitors):
        yield from _visitor(chosen, number, rng=rng)


def _bot(rng: random.Random, number: int, *, owner: dict[str, str], begins_ms: int) -> Iterator[journal.Record]:
    urls = [*catalogue.RATE_PAGES, *(url for pages in catalogue.PRODUCT_PAGES.values() for url in pages)]
    at_ms = begins_ms
    (key,) = owner.values()
    for view in range(rng.randint(200, 450)):
        event = {
            "event_id": f"b{number:02x}{view:04x}", "event_type": "page_view", "event_time": timeline.rfc3339(at_ms),
            **owner, "url": rng.choice(urls), "dwell_ms": rng.randint(5, 120), "session_id": f"b{number:02x}",
            "channel": "web", "device": "other",
        }  # fmt: skip
        yield journal.Record(at_ms, journal.CLICKSTREAM, key, journal.encode(event), False)
        at_ms += rng.randint(150, 900)


def _visitor(chosen: parameters.SimulationParameters, number: int, *, rng: random.Random) -> Iterator[journal.Record]:
    anonymous_id = f"v{number:05x}"
    views = 0
    for _ in range(rng.randint(1, 3)):
        at_ms = chosen.at(rng.randrange(chosen.days), rng.randrange(7, 23) * timeline.HOUR_MS)
        for _ in range(rng.randint(1, 5)):
            pages = catalogue.PRODUCT_PAGES[rng.choice(("card", "insurance", "deposit"))]
            event = {
                "event_id": f"v{number:05x}{views:03x}", "event_type": "page_view",
                "event_time": timeline.rfc3339(at_ms), "anonymous_id": anonymous_id,
                "url": rng.choice((*catalogue.GENERAL_PAGES[:1], *pages)), "dwell_ms": rng.randint(2_000, 60_000),
                "channel": "web", "device": "chrome",
            }  # fmt: skip
            yield journal.Record(at_ms, journal.CLICKSTREAM, anonymous_id, journal.encode(event), False)
            at_ms += rng.randint(5_000, 90_000)
            views += 1
