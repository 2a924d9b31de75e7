"""The topics of a cluster against the table: what is missing, what is wrong, and what to do about it.

`plan` says what would be created and what differs, `apply` creates what is missing, `check` says what is wrong and what
to do about it. Nothing here ever alters or deletes an existing topic.

The invariant it protects: the inputs are co-partitioned, so that one key's records of every input meet on the same
partition number; a mismatch is refused.
"""

import enum
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import TopicAlreadyExistsError

from needstream.streams.brokers import interface
from needstream.streams.topics import (
    BY_NAME,
    DEFAULT_PARTITIONS,
    INPUTS,
    TABLE,
    CleanupPolicy,
    PartitionRule,
    Role,
    Topic,
)

VISIBLE_TIMEOUT_MS = 15_000
CONNECT_TIMEOUT_S = 10.0


class ProblemKind(enum.StrEnum):
    """What can be wrong with the topics of a cluster."""

    MISSING = "missing"
    NOT_CO_PARTITIONED = "not_co_partitioned"
    WRONG_PARTITIONS = "wrong_partitions"
    WRONG_CLEANUP_POLICY = "wrong_cleanup_policy"
    DIFFERENT_RETENTION = "different_retention"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; a worker must not start on a fatal one."""

    kind: ProblemKind
    topics: tuple[str, ...]
    finding: str
    remedy: str

    @property
    def fatal(self) -> bool:
        """Tell whether it would break a promise; a retention somebody chose differently would not."""
        return self.kind is not ProblemKind.DIFFERENT_RETENTION

    def __str__(self) -> str:
        return f"{self.finding}: {self.remedy}"


@dataclass(frozen=True, slots=True)
class Creation:
    """A topic to create."""

    topic: Topic
    partitions: int
    replication: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What `apply` would create, and what it would leave alone although it differs from the table."""

    creations: tuple[Creation, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class ExistingTopic:
    """A topic as the cluster has it; `configuration` holds only what was set for it."""

    name: str
    partitions: int
    configuration: Mapping[str, str]


class TopicsRefused(RuntimeError):
    """Raised when the topics of a cluster would break a promise; the message lists every finding and its remedy."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"- {problem}" for problem in problems))


def plan(bootstrap: str, partitions: int = DEFAULT_PARTITIONS, *, replication: int = 1) -> Plan:
    """Compare the cluster with the table; raises as `apply` does, but refuses nothing.

    Args:
        bootstrap: the broker, `host:port`.
        partitions: how many partitions the inputs, and with them all shared topics, are to have; at least 1.
        replication: replicas of each topic to create; at least 1.
    """
    with _admin(bootstrap) as admin:
        return compare(_existing(admin), partitions, replication=replication)


def apply(bootstrap: str, partitions: int = DEFAULT_PARTITIONS, *, replication: int = 1) -> Plan:
    """Create the missing topics, wait until each is visible with a leader, and return the plan that was carried out.

    Topics that exist are never altered; what differs is in the returned plan's problems.

    Raises:
        ConnectionError: no broker answers there.
        TopicsRefused: creating would leave topics with the wrong number of partitions; nothing was created.
        ValueError: a count below 1.
    """
    with _admin(bootstrap) as admin:
        decided = compare(_existing(admin), partitions, replication=replication)
        _refuse_mismatch(decided)
        for creation in decided.creations:
            # Somebody else may have been quicker; the second comparison judges what they made.
            with suppress(TopicAlreadyExistsError):
                admin.create_topics([_request(creation)])
        if decided.creations:
            admin.wait_for_topics([creation.topic.name for creation in decided.creations], VISIBLE_TIMEOUT_MS)
            _refuse_mismatch(compare(_existing(admin), partitions))
        return decided


def check(bootstrap: str) -> list[Problem]:
    """Return everything that is wrong with the topics; raises ConnectionError when no broker answers."""
    with _admin(bootstrap) as admin:
        return find_problems(_existing(admin))


def require(bootstrap: str) -> None:
    """Return only if a worker may start; raises TopicsRefused with every fatal problem, ConnectionError as `check`."""
    if fatal := [problem for problem in check(bootstrap) if problem.fatal]:
        raise TopicsRefused(fatal)


def compare(existing: Mapping[str, ExistingTopic], partitions: int, *, replication: int = 1) -> Plan:
    """Return the plan for a cluster that has the `existing` topics, by name."""
    if partitions < 1 or replication < 1:
        msg = f"partitions and replication must be at least 1, not {partitions} and {replication}"
        raise ValueError(msg)
    creations = tuple(
        Creation(topic, topic.partitions(partitions), replication) for topic in TABLE if topic.name not in existing
    )
    return Plan(creations, tuple(_differences(existing, partitions)))


def find_problems(existing: Mapping[str, ExistingTopic]) -> list[Problem]:
    """Return what is wrong with the `existing` topics; the partition count to share is the inputs' own."""
    counts = [existing[name].partitions for name in INPUTS if name in existing]
    shared = max(counts, default=DEFAULT_PARTITIONS)
    missing = tuple(topic.name for topic in TABLE if topic.name not in existing)
    problems = []
    if missing:
        remedy = f"create them with `needstream topics apply --partitions {shared}`"
        problems.append(Problem(ProblemKind.MISSING, missing, f"missing topics: {', '.join(missing)}", remedy))
    return problems + list(_differences(existing, shared))


def _request(creation: Creation) -> NewTopic:
    topic = creation.topic
    return NewTopic(topic.name, creation.partitions, creation.replication, topic_configs=topic.configuration)


def _refuse_mismatch(decided: Plan) -> None:
    mismatches = {ProblemKind.NOT_CO_PARTITIONED, ProblemKind.WRONG_PARTITIONS}
    if refused := [problem for problem in decided.problems if problem.kind in mismatches]:
        raise TopicsRefused(refused)


def _differences(existing: Mapping[str, ExistingTopic], shared: int) -> Iterator[Problem]:
    inputs = [existing[name] for name in INPUTS if name in existing]
    co_partitioned = len({topic.partitions for topic in inputs}) <= 1
    if not co_partitioned:
        yield _not_co_partitioned(inputs)
    # Topics that are wrong in the same way are one problem; inputs that disagree among each other were named above.
    wrong: defaultdict[tuple[PartitionRule, int], list[str]] = defaultdict(list)
    for topic in TABLE:
        found = existing.get(topic.name)
        named_above = topic.role is Role.INPUT and not co_partitioned
        if found and found.partitions != topic.partitions(shared) and not named_above:
            wrong[topic.partition_rule, found.partitions].append(topic.name)
    for (rule, count), names in wrong.items():
        yield _wrong_partitions(names, count, wanted=1 if rule is PartitionRule.SINGLE else shared)
    for topic in TABLE:
        if topic.name in existing:
            yield from _wrong_configuration(topic, existing[topic.name])


def _not_co_partitioned(inputs: Iterable[ExistingTopic]) -> Problem:
    counts = {topic.name: topic.partitions for topic in inputs}
    listed = ", ".join(f"{name} has {count}" for name, count in counts.items())
    most = max(counts.values())
    fewer = ", ".join(name for name, count in counts.items() if count < most)
    return Problem(
        ProblemKind.NOT_CO_PARTITIONED,
        tuple(counts),
        f"the input topics are not co-partitioned: {listed}",
        "one customer's events of different topics would meet in different places. While the topics are empty, delete "
        f"and re-create {fewer} with {most} partitions; once they hold records, copy them into new topics with {most} "
        "partitions, because adding partitions moves keys",
    )


def _wrong_partitions(names: Sequence[str], count: int, *, wanted: int) -> Problem:
    listed = ", ".join(names)
    return Problem(
        ProblemKind.WRONG_PARTITIONS,
        tuple(names),
        f"partitions: {count} instead of {wanted} for {listed}",
        f"re-create what is empty with {wanted}; if the inputs already hold records, keep their count for all topics",
    )


def _wrong_configuration(topic: Topic, found: ExistingTopic) -> Iterator[Problem]:
    # A setting that was never set for the topic is absent: Kafka's own default for the policy is delete.
    policy = found.configuration.get("cleanup.policy", CleanupPolicy.DELETE)
    if policy != topic.cleanup_policy:
        yield Problem(
            ProblemKind.WRONG_CLEANUP_POLICY,
            (topic.name,),
            f"{topic.name} has cleanup.policy={policy} and needs {topic.cleanup_policy}",
            f"kafka-configs --alter --entity-type topics --entity-name {topic.name} "
            f"--add-config cleanup.policy={topic.cleanup_policy}",
        )
    retention = found.configuration.get("retention.ms")
    if topic.retention_ms is not None and retention is not None and retention != str(topic.retention_ms):
        yield Problem(
            ProblemKind.DIFFERENT_RETENTION,
            (topic.name,),
            f"{topic.name} has retention.ms={retention}, the table says {topic.retention_ms}",
            "nothing to do if that was meant",
        )


def _existing(admin: KafkaAdminClient) -> dict[str, ExistingTopic]:
    names = admin.list_topics()
    ours = [name for name in names if name in BY_NAME]
    if not ours:
        return {}
    described = {row["name"]: len(row["partitions"]) for row in admin.describe_topics(ours)}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in ours]
    configured = admin.describe_configs(resources).get("topic", {})
    return {
        name: ExistingTopic(
            name, described[name], {key: str(entry["value"]) for key, entry in configured.get(name, {}).items()}
        )
        for name in ours
    }


@contextmanager
def _admin(bootstrap: str) -> Iterator[KafkaAdminClient]:
    if not interface.await_answer(bootstrap, CONNECT_TIMEOUT_S, alive=lambda: True):
        msg = f"no broker answers at {bootstrap}: start one, or correct NEEDSTREAM_BROKER"
        raise ConnectionError(msg)
    admin = KafkaAdminClient(bootstrap_servers=bootstrap.split(","), client_id="needstream-topics")
    try:
        yield admin
    finally:
        admin.close()
