"""Every topic as one table: its name, role, key, partition rule, cleanup policy and retention."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_PARTITIONS = 4
DAY_MS = 24 * 60 * 60 * 1000


class Role(enum.StrEnum):
    """Who writes a topic and who reads it."""

    INPUT = "input"  #: written by the bank's systems, read by us
    OUTPUT = "output"  #: written by us, read by others
    INTERNAL = "internal"  #: written and read by us


class PartitionRule(enum.StrEnum):
    """How many partitions a topic must have."""

    SHARED = "shared"  #: exactly as many as the input topics
    SINGLE = "single"  #: exactly one


class CleanupPolicy(enum.StrEnum):
    """What Kafka removes: records older than the retention, or records a newer one of the same key replaces."""

    DELETE = "delete"
    COMPACT = "compact"


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table; `retention_ms` is None for a compacted topic, which keeps the newest record of each key."""

    name: str
    role: Role
    key: str
    partition_rule: PartitionRule = PartitionRule.SHARED
    cleanup_policy: CleanupPolicy = CleanupPolicy.DELETE
    retention_ms: int | None = None
    largest_bytes: int | None = None

    def partitions(self, shared: int) -> int:
        """Return how many partitions this topic needs when the inputs have `shared`."""
        return 1 if self.partition_rule is PartitionRule.SINGLE else shared

    @property
    def configuration(self) -> dict[str, str]:
        """The topic-level settings in Kafka's own names."""
        settings = {"cleanup.policy": str(self.cleanup_policy)}
        if self.retention_ms is not None:
            settings["retention.ms"] = str(self.retention_ms)
        if self.largest_bytes is not None:
            settings["max.message.bytes"] = str(self.largest_bytes)
        return settings


CLICKSTREAM = "clickstream.v1"
TRANSACTIONS = "transactions.v1"
FEEDBACK = "feedback.v1"
CUSTOMERS = "customers.v1"
OUTCOMES = "outcomes.v1"
NEED_SIGNALS = "need-signals.v1"
CHURN_ALERTS = "churn-alerts.v1"
ALERTS = "alerts.v1"
PROFILES = "profiles.v1"
DECISIONS = "decisions.v1"
DEAD_LETTERS = "dead-letters.v1"
DEAD_LETTER_REPLAYS = "dead-letter-replays.v1"
ERASURE_RECEIPTS = "erasure-receipts.v1"
IDENTITIES = "identities.v1"
LABELLED_EXAMPLES = "labelled-examples.v1"
MODEL_SNAPSHOTS = "model-snapshots.v1"

#: The inputs; the order is the merge rank: of two records with equal event time, the earlier topic's goes first.
INPUTS = (CLICKSTREAM, TRANSACTIONS, FEEDBACK, CUSTOMERS, OUTCOMES)

#: What one partition's lane merges: the inputs, and what other partitions tell it about visitors and customers.
MERGED = (*INPUTS, IDENTITIES)

CUSTOMER_KEY = "customer_id, else anonymous_id, UTF-8"

TABLE: tuple[Topic, ...] = (
    Topic(CLICKSTREAM, Role.INPUT, CUSTOMER_KEY, retention_ms=7 * DAY_MS),
    Topic(TRANSACTIONS, Role.INPUT, CUSTOMER_KEY, retention_ms=7 * DAY_MS),
    Topic(FEEDBACK, Role.INPUT, CUSTOMER_KEY, retention_ms=7 * DAY_MS),
    Topic(CUSTOMERS, Role.INPUT, CUSTOMER_KEY, retention_ms=7 * DAY_MS),
    Topic(OUTCOMES, Role.INPUT, CUSTOMER_KEY, retention_ms=7 * DAY_MS),
    Topic(NEED_SIGNALS, Role.OUTPUT, CUSTOMER_KEY, retention_ms=7 * DAY_MS),
    Topic(CHURN_ALERTS, Role.OUTPUT, CUSTOMER_KEY, retention_ms=7 * DAY_MS),
    Topic(ALERTS, Role.OUTPUT, CUSTOMER_KEY, retention_ms=14 * DAY_MS),
    Topic(PROFILES, Role.OUTPUT, CUSTOMER_KEY, cleanup_policy=CleanupPolicy.COMPACT),
    Topic(DECISIONS, Role.OUTPUT, CUSTOMER_KEY, retention_ms=90 * DAY_MS),
    Topic(DEAD_LETTERS, Role.OUTPUT, "the rejected record's key", retention_ms=30 * DAY_MS, largest_bytes=2_097_152),
    Topic(DEAD_LETTER_REPLAYS, Role.INTERNAL, "its place", PartitionRule.SINGLE, cleanup_policy=CleanupPolicy.COMPACT),
    Topic(ERASURE_RECEIPTS, Role.OUTPUT, "hash of the customer_id", retention_ms=365 * DAY_MS),
    Topic(IDENTITIES, Role.INTERNAL, "the customer_id or anonymous_id it is for", retention_ms=7 * DAY_MS),
    Topic(LABELLED_EXAMPLES, Role.INTERNAL, "model name", retention_ms=30 * DAY_MS),
    Topic(MODEL_SNAPSHOTS, Role.INTERNAL, "model name", PartitionRule.SINGLE, cleanup_policy=CleanupPolicy.COMPACT),
)

BY_NAME: Mapping[str, Topic] = {topic.name: topic for topic in TABLE}
