"""A crash anywhere, a re-delivery, another number of partitions: the same states, and nothing new is said."""

import random

import pytest

import stories
from needstream.streams import topics
from needstream.streams.pipeline import deduplicator
from needstream.streams.pipeline.emissions import DuplicateEvent


@pytest.fixture(scope="module")
def uninterrupted(crowd):
    return crowd.run().feed(crowd.log).finish()


@pytest.fixture(params=["ring of ids", "offsets alone"])
def _without_ids(request, monkeypatch):
    """Offsets must do without the ring of event ids, which would hide their mistakes."""
    if request.param == "offsets alone":
        monkeypatch.setattr(deduplicator, "_RING_BYTES", 8)


@pytest.mark.usefixtures("_without_ids")
@pytest.mark.parametrize("seed", range(6))
def test_crashes_anywhere_end_like_an_uninterrupted_run(crowd, seed):
    """Flushed at random batch borders, dropped at random places, read again from the lowest unapplied offsets."""
    expected = crowd.run().feed(crowd.log).finish()
    run = crowd.run()

    assert stories.crashing(run, crowd.log, chance=random.Random(seed)) > 3
    assert expected.remembered() == run.remembered()
    assert stories.said(expected.emissions) == stories.said(run.emissions)


@pytest.mark.parametrize("seed", range(4))
def test_a_crash_between_the_snapshots_of_one_round_ends_like_an_uninterrupted_run(crowd, uninterrupted, seed):
    """Some customers are then stored as of the round's end and others as of before, and all of it comes again."""
    chance = random.Random(seed)
    run = crowd.run()
    committed = dict.fromkeys(topics.MERGED, 0)
    read = torn = 0
    while read < len(crowd.log):
        size = chance.randrange(1, 60)
        run.feed(crowd.log[read : read + size])
        read += size
        if chance.random() < 0.7:
            committed = run.flush()
            continue
        snapshots = list(run.partition.flush().items())
        run.store.write(dict(snapshots[: chance.randrange(len(snapshots) + 1)]))
        torn += 1
        run.restart()
        run.feed(each for each in crowd.log[:read] if each.offset >= committed[each.topic])
    run.finish()

    assert torn > 5
    assert uninterrupted.remembered() == run.remembered()
    assert stories.said(uninterrupted.emissions) == stories.said(run.emissions)


@pytest.mark.parametrize("seed", range(3))
def test_crashes_lose_and_repeat_no_message_between_partitions(population, lived, seed):
    """Each partition flushes and crashes when it likes, while histories are on their way and customers wait."""
    cluster = stories.Cluster(population.definitions, 3, scorer=population.scorer, seed=seed)
    hit = cluster.feed_and_crash(population.log)
    cluster.finish(until=max(each.at_ms for each in population.log))
    said = set()
    for run in cluster.runs:
        said |= stories.said(run.emissions)

    assert hit > 3
    assert _told(stories.said(lived.emissions)) == _told(said)


def test_a_crash_after_any_single_record_ends_in_the_same_states(crowd):
    """Each record is flushed, and half of the time the partition is lost before the next one."""
    start = crowd.log[:500]
    expected = crowd.run().feed(start).finish()
    chance = random.Random(1)
    run = crowd.run()
    for place, arrival in enumerate(start):
        committed = run.feed([arrival]).flush()
        if chance.random() < 0.5:
            run.restart()
            run.feed(each for each in start[: place + 1] if each.offset >= committed[each.topic])
    run.finish()

    assert expected.remembered() == run.remembered()
    assert stories.said(expected.emissions) == stories.said(run.emissions)


def test_keeping_and_restoring_states_changes_nothing(crowd, uninterrupted):
    run = crowd.run()
    for start in range(0, len(crowd.log), 25):
        run.feed(crowd.log[start : start + 25]).flush()
    run.finish()

    assert uninterrupted.remembered() == run.remembered()
    assert uninterrupted.emissions == run.emissions


def test_redelivered_records_change_nothing_and_say_nothing(crowd, uninterrupted):
    chance = random.Random(3)
    run = crowd.run()
    for place in range(0, len(crowd.log), 50):
        run.feed(crowd.log[place : place + 50])
        start = chance.randrange(place + 1)
        run.feed(crowd.log[start : min(start + 20, place + 50)])
        if chance.random() < 0.5:
            run.flush()
    run.finish()

    assert uninterrupted.remembered() == run.remembered()
    assert _news(uninterrupted) == _news(run)


def test_what_is_rolled_back_is_applied_again_as_if_for_the_first_time(crowd, uninterrupted):
    run = crowd.run()
    for place in range(0, len(crowd.log), 40):
        some = crowd.log[place : place + 40]
        kept = len(run.emissions)
        run.feed(some)
        if place % 3 == 0:
            del run.emissions[kept:]
            run.partition.rollback()
            run.advance()
        run.flush()
    run.finish()

    assert uninterrupted.remembered() == run.remembered()
    assert stories.said(uninterrupted.emissions) == stories.said(run.emissions)


@pytest.mark.parametrize("partitions", [2, 3, 5])
def test_the_number_of_partitions_does_not_matter(population, lived, *, partitions):
    """Though a visitor's history takes a while from one partition to the other."""
    cluster = stories.Cluster(population.definitions, partitions, scorer=population.scorer, seed=partitions)
    until_ms = max(each.at_ms for each in population.log)
    cluster.feed(population.log).finish(until=until_ms)
    said, states = set(), {}
    for run in cluster.runs:
        said |= stories.said(run.emissions)
        states |= run.remembered()

    assert _told(stories.said(lived.emissions)) == _told(said)
    assert lived.remembered().keys() == states.keys()


def _told(said):
    """What anybody hears: not what partitions tell each other, nor the sessions of visitors."""
    internal = ("Link", "History", "Forwarded")
    return {(kind, told) for kind, told in said if kind not in internal and b'"visitor' not in told}


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_arrival_within_the_allowed_lateness_gives_the_same_emissions(crowd, seed):
    in_order = stories.delayed(crowd.log, 1, seed=seed)
    out_of_order = stories.delayed(crowd.log, crowd.definitions.allowed_lateness_ms, seed=seed)

    assert crowd.run().feed(in_order).finish().emissions == crowd.run().feed(out_of_order).finish().emissions


def _news(run):
    return [each for each in run.emissions if not isinstance(each, DuplicateEvent)]
