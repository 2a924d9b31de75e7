"""The table of topics and the judgement over what a cluster has."""

from dataclasses import replace

import pytest

from needstream.streams import topic_admin, topics
from needstream.streams.topic_admin import ExistingTopic, ProblemKind


def cluster(shared=4, **changes):
    """A cluster exactly as the table wants it, except for the `changes` by constant name."""
    existing = {
        topic.name: ExistingTopic(topic.name, topic.partitions(shared), topic.configuration) for topic in topics.TABLE
    }
    for constant, change in changes.items():
        name = getattr(topics, constant)
        if change is None:
            del existing[name]
        else:
            existing[name] = replace(existing[name], **change)
    return existing


def kinds(problems):
    return [(problem.kind, problem.topics) for problem in problems]


def test_the_table_names_each_topic_once_and_the_inputs_first_in_merge_order():
    names = [topic.name for topic in topics.TABLE]

    assert len(set(names)) == len(names) == 16
    assert list(topics.INPUTS) == names[:5]
    assert [topic.name for topic in topics.TABLE if topic.role is topics.Role.INPUT] == list(topics.INPUTS)


def test_names_have_a_version_and_never_an_underscore():
    """Kafka's metric names confuse dots and underscores."""
    for topic in topics.TABLE:
        entity, version = topic.name.rsplit(".", 1)
        assert version == "v1"
        assert not set(entity) - set("abcdefghijklmnopqrstuvwxyz-")


def test_a_compacted_topic_has_no_retention_and_every_other_has_one():
    for topic in topics.TABLE:
        assert (topic.retention_ms is None) is (topic.cleanup_policy is topics.CleanupPolicy.COMPACT)
    compacted = {topic.name for topic in topics.TABLE if topic.retention_ms is None}
    assert {topics.PROFILES, topics.MODEL_SNAPSHOTS, topics.DEAD_LETTER_REPLAYS} == compacted


SINGLE = {topics.MODEL_SNAPSHOTS, topics.DEAD_LETTER_REPLAYS}


def test_only_what_few_records_make_has_a_single_partition():
    assert dict.fromkeys(SINGLE, 1) == {t.name: 1 for t in topics.TABLE if t.partitions(7) != 7}


def test_a_cluster_as_the_table_wants_it_has_no_problem():
    assert [] == topic_admin.find_problems(cluster(shared=12))
    assert topic_admin.Plan((), ()) == topic_admin.compare(cluster(shared=12), 12)


def test_missing_topics_are_one_problem_that_names_the_inputs_own_partition_count():
    (problem,) = topic_admin.find_problems(cluster(shared=12, PROFILES=None, ALERTS=None))

    assert (ProblemKind.MISSING, (topics.ALERTS, topics.PROFILES)) == (problem.kind, problem.topics)
    assert "--partitions 12" in problem.remedy
    assert problem.fatal


def test_inputs_that_disagree_are_one_problem_with_counts_and_remedy():
    problems = topic_admin.find_problems(cluster(shared=6, FEEDBACK={"partitions": 3}))

    assert [(ProblemKind.NOT_CO_PARTITIONED, topics.INPUTS)] == kinds(problems)
    assert "feedback.v1 has 3" in problems[0].finding
    assert "re-create feedback.v1 with 6 partitions" in problems[0].remedy


def test_an_output_with_another_count_than_the_inputs_is_a_problem():
    problems = topic_admin.find_problems(cluster(shared=6, DECISIONS={"partitions": 3}, ALERTS={"partitions": 3}))

    assert [(ProblemKind.WRONG_PARTITIONS, (topics.ALERTS, topics.DECISIONS))] == kinds(problems)


def test_a_single_partition_topic_with_several_is_a_problem():
    problems = topic_admin.find_problems(cluster(MODEL_SNAPSHOTS={"partitions": 4}))

    assert [(ProblemKind.WRONG_PARTITIONS, (topics.MODEL_SNAPSHOTS,))] == kinds(problems)
    assert "4 instead of 1" in problems[0].finding


@pytest.mark.parametrize("configuration", [{}, {"cleanup.policy": "delete"}, {"cleanup.policy": "compact,delete"}])
def test_a_compacted_topic_that_deletes_is_a_problem(configuration):
    problems = topic_admin.find_problems(cluster(PROFILES={"configuration": configuration}))

    assert [(ProblemKind.WRONG_CLEANUP_POLICY, (topics.PROFILES,))] == kinds(problems)
    assert problems[0].fatal


def test_an_input_that_compacts_is_a_problem():
    problems = topic_admin.find_problems(cluster(CLICKSTREAM={"configuration": {"cleanup.policy": "compact"}}))

    assert [(ProblemKind.WRONG_CLEANUP_POLICY, (topics.CLICKSTREAM,))] == kinds(problems)


def test_another_retention_is_said_and_not_fatal():
    problems = topic_admin.find_problems(cluster(ALERTS={"configuration": {"retention.ms": "1000"}}))

    assert [(ProblemKind.DIFFERENT_RETENTION, (topics.ALERTS,))] == kinds(problems)
    assert not problems[0].fatal


def test_a_plan_creates_what_is_missing_with_the_asked_counts():
    planned = topic_admin.compare({}, 8, replication=3)

    assert [(topic.name, 1 if topic.name in SINGLE else 8, 3) for topic in topics.TABLE] == [
        (creation.topic.name, creation.partitions, creation.replication) for creation in planned.creations
    ]


@pytest.mark.parametrize(("partitions", "replication"), [(0, 1), (-1, 1), (4, 0)])
def test_counts_below_one_are_refused(partitions, replication):
    with pytest.raises(ValueError, match="at least 1"):
        topic_admin.compare({}, partitions, replication=replication)


def test_a_refusal_lists_every_finding_with_its_remedy():
    problems = topic_admin.find_problems(cluster(PROFILES={"configuration": {}}, ALERTS=None))

    assert "\n".join(f"- {problem.finding}: {problem.remedy}" for problem in problems) == str(
        topic_admin.TopicsRefused(problems)
    )
