"""Benchmark of the pure core: ``python -m bench [--customers N] [--days N]``.

Times, in process CPU time on one core, a bare ``orjson.loads`` of each record, the typed decode, and the
full step (features, models, scenarios, arbitration, labels) over the same simulated records, and prints
each as microseconds per record and as a multiple of the bare parse. Models are learned in a first pass
that is not timed and then served unchanged.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from needstream.models.learner import Learner
from needstream.models.scorer import Scorer
from needstream.schemas import codecs
from needstream.simulation import parameters, simulator
from needstream.streams import topics
from needstream.streams.packs import loader
from needstream.streams.pipeline import inputs
from needstream.streams.pipeline.partition import Partition
from needstream.streams.replay import MemoryStore, Replay, ReplayOptions


def main() -> None:
    """Simulate, learn, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--customers", type=int, default=300)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    population = simulator.simulate(
        parameters.SimulationParameters(seed=chosen.seed, customers=chosen.customers, days=chosen.days)
    )
    records = [(arrival.topic, arrival.event) for arrival in population]
    latest_ms = time.time_ns() // 1_000_000
    definitions = loader.load("bank")
    scorer = Scorer(definitions.readiness())
    with tempfile.TemporaryDirectory(prefix="needstream-bench-") as scratch:
        simulator.write(population, Path(scratch))
        first = Replay(definitions, ReplayOptions(latest_ms=latest_ms))
        first.run(Path(scratch), Path(scratch) / "said")
        learner = first.learner
    assert isinstance(learner, Learner)
    for model in learner.standings():
        scorer.publish(model)

    bare_us = _timed(lambda: [orjson.loads(raw) for _, raw in records], len(records))
    decode_us = _timed(lambda: _decode(records, latest_ms), len(records))
    store = MemoryStore()
    partition = Partition(topics.MERGED, definitions, scorer=scorer, store=store)
    full_us = _timed(lambda: _apply(partition, _decode(records, latest_ms)), len(records), rounds=1)
    store.write(partition.flush())
    sizes = sorted(len(stored) for _, stored in store.items())

    mean_bytes = statistics.mean(len(raw) for _, raw in records)
    print(
        f"{len(records):,} records of {mean_bytes:.0f} bytes on average, {len(sizes):,} customers, seed {chosen.seed}"
    )
    print(f"{'orjson.loads':<28}{bare_us:8.2f} us   1.0 x")
    print(f"{'typed decode':<28}{decode_us:8.2f} us{decode_us / bare_us:6.1f} x")
    print(f"{'decode and full step':<28}{full_us:8.2f} us{full_us / bare_us:6.1f} x")
    print(f"state per customer: median {sizes[len(sizes) // 2]:,} bytes, largest {sizes[-1]:,} bytes")


def _decode(records: list[tuple[str, bytes]], latest_ms: int) -> list[inputs.Arrival]:
    arrivals = []
    for offset, (topic, raw) in enumerate(records):
        event = codecs.decode(raw, family=topic.partition(".")[0], latest_ms=latest_ms)
        if isinstance(event, codecs.Rejected):
            continue
        arrivals.append(inputs.arrival(event, topic, offset=offset))
    return arrivals


def _apply(partition: Partition, arrivals: list[inputs.Arrival]) -> None:
    for arrival in arrivals:
        partition.push(arrival)
    for _ in partition.advance(frozenset(topics.MERGED)):
        pass


def _timed(work: Callable[[], object], count: int, *, rounds: int = 3) -> float:
    """The fastest of some rounds, in microseconds of CPU time per record."""
    fastest_ns = None
    for _ in range(rounds):
        started_ns = time.process_time_ns()
        work()
        spent_ns = time.process_time_ns() - started_ns
        fastest_ns = spent_ns if fastest_ns is None else min(fastest_ns, spent_ns)
    assert fastest_ns is not None
    return fastest_ns / 1000 / count


if __name__ == "__main__":
    main()
