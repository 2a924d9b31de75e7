"""Growth: what a worker takes after a tenth of a long run and after all of it, with the same customers all the time.

In come a population and a number of events; out go points of memory and stored bytes. A run that was broken off goes on
where it was if its folder is kept. The invariant it protects: two memory readings are compared only if the same process
lived through everything between them, and every event is sent once.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import kafka
import msgspec
import rocksdict
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from needstream.bench import clones, draining, packing, stock, worker_process
from needstream.bench.packing import Placed
from needstream.streams import brokers, topic_admin, topics
from needstream.streams.brokers.local import LocalBroker

PARTITIONS = 4
POINTS = 20
POINT_FILE = "points.jsonl"
STORE = "rocksdict://"


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """How long a growth run is; equal courses give equal events."""

    customers: int
    events: int
    seed: int
    broker: str
    at_ms: int


def run(
    course: Course, population: clones.Population, *, models: Path, folder: Path, say: Callable[[str], object]
) -> list[dict[str, Any]]:
    """Send the events part by part, wait after each until it is applied, and return all points.

    Raises:
        ContenderFailed: the worker ended, or did not come to its end.
    """
    points_file = folder / POINT_FILE
    points = [json.loads(line) for line in points_file.read_text().splitlines()] if points_file.exists() else []
    done = points[-1]["events"] if points else 0
    part = max(1, course.events // POINTS)
    with ExitStack() as stack:
        broker = brokers.choose(course.broker, folder / "broker")
        stack.callback(broker.close)
        broker.start()
        topic_admin.apply(broker.bootstrap, PARTITIONS)
        if not points and not any(_ends(broker.bootstrap).values()):
            stock.write_states(
                broker.bootstrap,
                draining.APP_ID,
                population=population,
                customers=course.customers,
                partitions=PARTITIONS,
            )
        given = draining.settings(broker.bootstrap, models, store=STORE)
        worker = stack.enter_context(worker_process.started(folder / "worker", given))
        worker.await_ready(within_s=draining.WITHIN_S)
        events = islice(_events(course, population), done, None)
        began, expected = done, 0
        ends = Counter({(topic, number): end for (topic, number), end in points[-1]["ends"]} if points else {})
        while done < course.events:
            batch = list(islice(events, min(part, course.events - done)))
            missing = list(_not_sent(batch, ends, there=_ends(broker.bootstrap)))
            packing.send(broker.bootstrap, missing)
            done += len(batch)
            expected += len(missing)
            ends.update((topic, number) for topic, number, _, _ in batch)
            worker.await_applied(expected, within_s=draining.WITHIN_S)
            memory = worker.memory()
            stored, customers = stored_bytes(folder / "worker" / "state")
            point = {
                "events": done,
                "rss_mb": memory.rss_mb,
                "anonymous_mb": memory.anonymous_mb,
                "stored_bytes": stored,
                "customers": customers,
                "disk_mb": round(draining.disk_mb(folder / "worker" / "state"), 1),
                "process_since": began,
                "cpu_s": round(worker.cpu.at(1e12), 1),
                "ends": [[place, end] for place, end in sorted(ends.items())],
            }
            points.append(point)
            with points_file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(point) + "\n")
            say(
                f"{done:,} events: RSS {memory.rss_mb:,.0f} MB, {stored / max(1, customers):,.0f} bytes a customer, "
                f"{point['disk_mb']:,.0f} MB on disk"
            )
            if isinstance(broker, LocalBroker):
                _trim(broker.bootstrap)
    return points


def ratios(points: list[dict[str, Any]]) -> dict[str, Any]:
    """The last point over the first one at a tenth of it or later: memory (of one process) and stored bytes."""
    if not points:
        return {}
    last = points[-1]
    first = next(point for point in points if point["events"] * 10 >= last["events"])
    told: dict[str, Any] = {"from_events": first["events"], "to_events": last["events"]}
    told["stored_ratio"] = round(last["stored_bytes"] / first["stored_bytes"], 3)
    told["disk_ratio"] = round(last["disk_mb"] / first["disk_mb"], 3) if first["disk_mb"] else None
    if first["process_since"] == last["process_since"]:
        told["rss_ratio"] = round(last["rss_mb"] / first["rss_mb"], 3)
    return told


def stored_bytes(folder: Path) -> tuple[int, int]:
    """The bytes of all stored states of a worker that may be running, and how many there are."""
    total = count = 0
    for path in sorted(folder.rglob("customer-states-*.db")):
        store = rocksdict.Rdict(
            str(path), rocksdict.Options(raw_mode=True), access_type=rocksdict.AccessType.read_only()
        )
        try:
            for key, stored in store.items():
                if isinstance(key, bytes) and key.startswith(b"clone-"):
                    total += len(stored)
                    count += 1
        finally:
            store.close()
    return total, count


def _events(course: Course, population: clones.Population) -> Iterator[Placed]:
    case = draining.Case(customers=course.customers, events=course.events, partitions=PARTITIONS)
    return draining.records(population, case)


def _not_sent(
    batch: list[Placed], before: Mapping[tuple[str, int], int], *, there: Mapping[tuple[str, int], int]
) -> Iterator[Placed]:
    """What of a part does not stand on its topics yet: a run that was broken off may have sent some of it.

    Args:
        batch: the part's records in order.
        before: how many records of each place come before the part.
        there: how many records each place has.
    """
    sent = {place: end - before.get(place, 0) for place, end in there.items()}
    for record in batch:
        place = record[0], record[1]
        if sent.get(place, 0) > 0:
            sent[place] -= 1
        else:
            yield record


def _ends(bootstrap: str) -> dict[tuple[str, int], int]:
    consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
    try:
        places = [kafka.TopicPartition(topic, number) for topic in topics.INPUTS for number in range(PARTITIONS)]
        return {(place.topic, place.partition): end for place, end in consumer.end_offsets(places).items()}
    finally:
        consumer.close()


def _trim(bootstrap: str) -> None:
    """Remove what was published: nobody reads it here, and the disk is finite. A broker that cannot do it need not."""
    names = [topic.name for topic in topics.BY_NAME.values() if topic.role is topics.Role.OUTPUT]
    consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        places = [
            kafka.TopicPartition(name, number) for name in names for number in consumer.partitions_for_topic(name) or ()
        ]
        with suppress(KafkaError):
            admin.delete_records(consumer.end_offsets(places))
    finally:
        admin.close()
        consumer.close()
