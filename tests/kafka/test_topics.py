"""The table of topics against a real cluster."""

import time

import pytest

from needstream.streams import topic_admin, topics
from needstream.streams.topic_admin import ProblemKind


@pytest.fixture
def empty(cluster):
    """A cluster that has none of our topics."""
    with cluster.admin() as admin:
        if present := [name for name in admin.list_topics() if name in topics.BY_NAME]:
            admin.delete_topics(present)
        while set(topics.BY_NAME) & set(admin.list_topics()):
            time.sleep(0.02)
    return cluster


def names_in(cluster):
    with cluster.admin() as admin:
        return set(admin.list_topics())


def partitions_in(cluster):
    with cluster.admin() as admin:
        return {row["name"]: len(row["partitions"]) for row in admin.describe_topics(list(topics.BY_NAME))}


def test_an_empty_cluster_lacks_every_topic(empty):
    (problem,) = topic_admin.check(empty.bootstrap)

    assert ProblemKind.MISSING is problem.kind
    assert tuple(topics.BY_NAME) == problem.topics
    assert "needstream topics apply" in problem.remedy


def test_a_plan_changes_nothing(empty):
    planned = topic_admin.plan(empty.bootstrap, 3)

    assert list(topics.TABLE) == [creation.topic for creation in planned.creations]
    assert not set(topics.BY_NAME) & names_in(empty)


def test_apply_creates_every_topic_with_its_partitions_and_nothing_is_wrong_then(empty):
    topic_admin.apply(empty.bootstrap, 3)

    assert {topic.name: topic.partitions(3) for topic in topics.TABLE} == partitions_in(empty)
    assert [] == topic_admin.check(empty.bootstrap)
    assert topic_admin.Plan((), ()) == topic_admin.plan(empty.bootstrap, 3)
    topic_admin.require(empty.bootstrap)


def test_applying_twice_creates_nothing_more(empty):
    topic_admin.apply(empty.bootstrap)

    assert topic_admin.Plan((), ()) == topic_admin.apply(empty.bootstrap)


def test_only_the_missing_topics_are_created(empty):
    empty.create(topics.CLICKSTREAM, 4, retention_ms="604800000")

    applied = topic_admin.apply(empty.bootstrap, 4)

    assert topics.CLICKSTREAM not in {creation.topic.name for creation in applied.creations}
    assert [] == topic_admin.check(empty.bootstrap)


def test_inputs_with_different_partitions_are_refused_and_named(empty):
    empty.create(topics.CLICKSTREAM, 6)
    empty.create(topics.FEEDBACK, 2)

    with pytest.raises(topic_admin.TopicsRefused) as refusal:
        topic_admin.apply(empty.bootstrap, 6)

    (problem,) = [found for found in refusal.value.problems if found.kind is ProblemKind.NOT_CO_PARTITIONED]
    assert (topics.CLICKSTREAM, topics.FEEDBACK) == problem.topics
    assert "clickstream.v1 has 6, feedback.v1 has 2" in str(problem)
    assert "re-create feedback.v1 with 6 partitions" in str(problem)
    assert topics.TRANSACTIONS not in names_in(empty)


def test_another_partition_count_than_the_existing_inputs_have_is_refused(empty):
    topic_admin.apply(empty.bootstrap, 3)

    with pytest.raises(topic_admin.TopicsRefused, match="partitions: 3 instead of 5 for clickstream"):
        topic_admin.apply(empty.bootstrap, 5)


def test_a_compacted_topic_that_deletes_is_found_with_the_command_that_mends_it(empty):
    empty.create(topics.PROFILES, 4)
    topic_admin.apply(empty.bootstrap, 4)

    (problem,) = topic_admin.check(empty.bootstrap)

    assert (ProblemKind.WRONG_CLEANUP_POLICY, (topics.PROFILES,)) == (problem.kind, problem.topics)
    assert "--entity-name profiles.v1 --add-config cleanup.policy=compact" in problem.remedy
    with pytest.raises(topic_admin.TopicsRefused, match=r"profiles\.v1"):
        topic_admin.require(empty.bootstrap)


def test_a_cluster_that_is_not_there_is_a_connection_error(monkeypatch):
    monkeypatch.setattr(topic_admin, "CONNECT_TIMEOUT_S", 0.1)

    with pytest.raises(ConnectionError, match=r"no broker answers at 127\.0\.0\.1:1"):
        topic_admin.check("127.0.0.1:1")
