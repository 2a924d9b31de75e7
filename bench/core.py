"""The pure core in memory: what decoding and the full step cost beside a bare ``orjson.loads`` of the same events.

In come the size and kind of a simulated bank and a seed; out come microseconds of CPU time per event and multiples.
Models are learned in a first pass that is not timed and then served unchanged; parsed results are kept, as any reader
would; events are applied in batches of 500, states come from bytes and go to bytes.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from needstream.bench import census, load
from needstream.models.learner import Learner
from needstream.models.scorer import Scorer
from needstream.schemas import codecs, identities
from needstream.schemas.dead_letters import Rejected
from needstream.simulation import parameters, simulator
from needstream.streams import topics
from needstream.streams.packs import loader
from needstream.streams.pipeline import inputs
from needstream.streams.pipeline.partition import Partition
from needstream.streams.replay import MemoryStore, Replay, ReplayOptions

BATCH = 500
ROUNDS = 3


def measure(*, customers: int, days: int, seed: int, population: load.Population = load.BUSY) -> dict[str, Any]:
    """Simulate, learn, measure."""
    bank = simulator.simulate(
        parameters.SimulationParameters(
            seed=seed, customers=customers, days=days, screens_per_day=population.screens_per_day
        )
    )
    records = [(arrival.topic, arrival.event) for arrival in bank]
    latest_ms = time.time_ns() // 1_000_000
    definitions = loader.load("bank")
    with tempfile.TemporaryDirectory(prefix="needstream-bench-") as scratch:
        simulator.write(bank, Path(scratch))
        first = Replay(definitions, ReplayOptions(latest_ms=latest_ms))
        first.run(Path(scratch), Path(scratch) / "said")
    assert isinstance(first.learner, Learner)
    scorer = Scorer(definitions.readiness())
    for model in first.learner.standings():
        scorer.publish(model)

    stores: list[MemoryStore] = []

    def full(seen: census.Rare | None = None) -> None:
        stores.append(MemoryStore())
        partition = Partition(topics.MERGED, definitions, scorer=scorer, store=stores[-1])
        _apply(records, partition, store=stores[-1], latest_ms=latest_ms, seen=seen)

    seen = census.Rare()
    full(seen)
    bare_us = _timed(lambda: [orjson.loads(raw) for _, raw in records], len(records))
    decode_us = _timed(lambda: [_decode(topic, raw, latest_ms=latest_ms) for topic, raw in records], len(records))
    full_us = _timed(full, len(records))
    sizes = sorted(len(stored) for key, stored in stores[-1].items() if key.isprintable())
    people = len(sizes), float(days)
    return {
        "load": census.as_dict(census.of(seen, population=population.name, events=len(records), people=people)),
        "events": len(records),
        "mean_bytes": round(statistics.mean(len(raw) for _, raw in records), 1),
        "customers": len(sizes),
        "seed": seed,
        "loads_us": round(bare_us, 3),
        "decode_us": round(decode_us, 2),
        "full_us": round(full_us, 2),
        "full_times_loads": round(full_us / bare_us, 2),
        "state_median_bytes": sizes[len(sizes) // 2],
        "state_largest_bytes": sizes[-1],
    }


def text(measured: dict[str, Any]) -> str:
    """The figures for a reader."""
    bare_us = measured["loads_us"]
    lines = [
        f"{measured['events']:,} events of {measured['mean_bytes']:.0f} bytes on average, "
        f"{measured['customers']:,} customers, seed {measured['seed']}",
        census.sentence(measured["load"]),
    ]
    rows = (("orjson.loads", bare_us), ("typed decode", measured["decode_us"]), ("full step", measured["full_us"]))
    lines += [f"{name:<16}{spent_us:8.2f} us{spent_us / bare_us:7.1f} x" for name, spent_us in rows]
    lines.append(
        f"state per customer: median {measured['state_median_bytes']:,} bytes, "
        f"largest {measured['state_largest_bytes']:,} bytes"
    )
    return "\n".join(lines)


def _decode(topic: str, raw: bytes, *, latest_ms: int, offset: int = 0) -> inputs.Arrival | None:
    event = codecs.decode(raw, family=topic.partition(".")[0], latest_ms=latest_ms)
    return None if isinstance(event, Rejected) else inputs.arrival(event, topic, offset=offset)


def _apply(
    records: list[tuple[str, bytes]],
    partition: Partition,
    *,
    store: MemoryStore,
    latest_ms: int,
    seen: census.Rare | None,
) -> None:
    offsets = dict.fromkeys(topics.MERGED, 0)
    for start in range(0, len(records), BATCH):
        for topic, raw in records[start : start + BATCH]:
            offset = offsets[topic]
            offsets[topic] = offset + 1
            arrival = _decode(topic, raw, latest_ms=latest_ms, offset=offset)
            if arrival is not None:
                partition.push(arrival)
        _advance(partition, offsets, seen=seen)
        store.write(partition.flush())


def _advance(partition: Partition, offsets: dict[str, int], *, seen: census.Rare | None) -> None:
    """Apply what may be applied; what needstream tells itself comes back at once, as customers with a device wait."""
    while True:
        emitted = [*partition.advance(frozenset(topics.MERGED))]
        if seen is not None:
            seen.add(emitted)
        messages = [each for each in emitted if isinstance(each, identities.IdentityMessage)]
        if not messages:
            return
        for message in messages:
            offset = offsets[topics.IDENTITIES]
            offsets[topics.IDENTITIES] = offset + 1
            partition.push(inputs.arrival(message, topics.IDENTITIES, offset=offset))


def _timed(work: Callable[[], object], count: int) -> float:
    """The fastest of some rounds, in microseconds of CPU time per event."""
    spent_ns = []
    for _ in range(ROUNDS):
        started_ns = time.process_time_ns()
        work()
        spent_ns.append(time.process_time_ns() - started_ns)
    return min(spent_ns) / 1000 / count
