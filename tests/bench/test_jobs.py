"""The same work, whoever does it: partition by partition as needstream, or one event after another as a contender."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from needstream.bench import agreement, job, load
from needstream.bench.counting import CountingPartition
from needstream.models.scorer import Scorer
from needstream.schemas import state as states
from needstream.streams import outputs, topics
from needstream.streams.packs import loader
from needstream.streams.pipeline.partition import Partition
from needstream.streams.replay import MemoryStore

EVENTS = 1_500
BATCH = 100


@pytest.fixture(scope="module")
def records() -> list[load.Record]:
    return load.generate(EVENTS, customers=40, seed=11)


@pytest.fixture(scope="module")
def models(records: list[load.Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "models.jsonl"
    load.learn(records, path)
    return path


def partition_of(work: job.Job, store: MemoryStore) -> Partition:
    if isinstance(work, job.StepJob):
        return Partition(topics.MERGED, work.definitions, scorer=work.knowledge.scorer, store=store)
    definitions = loader.load("bank")
    return CountingPartition(topics.MERGED, definitions, scorer=Scorer(definitions.readiness()), store=store)


def said_by_a_partition(work: job.Job, records: Sequence[load.Record], store: MemoryStore) -> agreement.Said:
    partition = partition_of(work, store)
    said: agreement.Said = {}
    for start in range(0, len(records), BATCH):
        for offset, record in enumerate(records[start : start + BATCH], start):
            arrival = work.decode(record.topic, record.value, record.key)
            assert arrival is not None
            partition.push(msgspec.structs.replace(arrival, offset=offset))
        for emission in partition.advance(frozenset(topics.MERGED)):
            said |= agreement.of_outputs(
                (each.topic, each.key, each.value, list(each.headers))
                for each in outputs.records(emission, decided_at=work.decided_at)
            )
        store.write(partition.flush())
    return said


@pytest.mark.parametrize("name", job.NAMES)
def test_needstream_says_what_the_job_says_of_one_event_after_another(
    name: str, records: list[load.Record], models: Path
) -> None:
    work = job.Job.open(name, models)

    found = said_by_a_partition(work, records, MemoryStore())
    expected = agreement.reference(work, records).rung

    assert agreement.compare(expected, found) == agreement.Agreement(len(found), 0, 0, 0)
    assert found


@pytest.mark.parametrize("name", job.NAMES)
def test_a_state_goes_through_bytes_unchanged(name: str, records: list[load.Record], models: Path) -> None:
    work = job.Job.open(name, models)
    arrival = work.decode(records[0].topic, records[0].value, records[0].key)
    assert arrival is not None

    stored = work.snapshot(work.apply(None, arrival)[0])

    assert work.snapshot(work.restore(stored)) == stored


def test_a_state_may_be_given_as_bytes_or_as_it_was_returned(records: list[load.Record], models: Path) -> None:
    work = job.Job.open("features", models)
    first = next(record for record in records if sum(each.key == record.key for each in records) > 1)
    own = [work.decode(each.topic, each.value, each.key) for each in records if each.key == first.key]
    live = stored = None

    for arrival in own:
        assert arrival is not None
        live = work.apply(live, arrival)[0]
        stored = work.snapshot(work.apply(stored, arrival)[0])

    assert work.snapshot(live) == stored


def test_the_counting_partition_goes_on_from_its_store(records: list[load.Record], models: Path) -> None:
    work = job.Job.open("count", models)
    store = MemoryStore()

    said_by_a_partition(work, records, store)
    total = sum(int(value) for key, value in store.items() if key != states.PARTITION_KEY)

    assert total == EVENTS


def test_an_unreadable_record_is_none(models: Path) -> None:
    assert job.Job.open("count", models).decode(topics.CLICKSTREAM, b"{", b"c") is None


def test_full_needs_models() -> None:
    with pytest.raises(ValueError, match="lacks its models"):
        job.Job.open("full")
