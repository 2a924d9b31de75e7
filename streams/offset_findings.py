"""What is not as a consumer group left it: its committed offsets against what inputs and changelog still hold.

In come partitions as they are and what the group, or the states, know of them; out go findings, each with what to do.
Invariant: records that were removed unread, that states would take for known ones, or states that are gone, are a
finding.
"""

import enum
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from needstream.streams import changelog, topics
from needstream.streams.changelog import Extent


class FindingKind(enum.StrEnum):
    """What can be found when a group meets its topics again."""

    INPUT_CUT_OFF = "input_cut_off"  #: it ends before what has been read
    STATES_LOST = "states_lost"  #: the changelog had records and holds none
    EXPIRED = "expired"  #: records were removed before they were read
    WITHOUT_COMMITS = "without_commits"  #: there are states, and no committed offsets
    STATES_MISSING = "states_missing"  #: inputs were read, and the changelog never had a record
    STATES_CUT_OFF = "states_cut_off"  #: the changelog's beginning was removed


_FATAL = {FindingKind.INPUT_CUT_OFF, FindingKind.STATES_LOST}


class Standing(Struct, frozen=True, kw_only=True):
    """One partition of a topic the worker reads.

    Attributes:
        extent: its first offset and the one after its last.
        committed: the offset the group reads next, None if it has committed none.
        applied: the highest of its offsets that a customer state knows, None for none or if that was not asked.
    """

    topic: str
    partition: int
    extent: Extent
    committed: int | None
    applied: int | None = None

    @property
    def next(self) -> int | None:
        """The offset that should be read next, None if nothing is known to have been read."""
        if self.committed is not None or self.applied is None:
            return self.committed
        return self.applied + 1


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is not as it was left; a worker must not start on a fatal one."""

    kind: FindingKind
    topic: str
    text: str
    remedy: str
    records: int = 0

    @property
    def fatal(self) -> bool:
        """Whether going on would lose or invent something for each customer concerned."""
        return self.kind in _FATAL

    def __str__(self) -> str:
        return f"{self.text}: {self.remedy}"


class OffsetsRefused(RuntimeError):
    """Raised when a worker would drop new records, or go on without the states it had; says what to do."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        remedies = dict.fromkeys(finding.remedy for finding in findings)
        super().__init__("\n".join([*(f"- {finding.text}" for finding in findings), *remedies]))


def judge(standings: Sequence[Standing], changelogs: Mapping[int, Extent], *, app_id: str) -> list[Finding]:
    """Everything that is not as the group left it, topic by topic.

    Args:
        standings: every partition the worker reads.
        changelogs: the changelog's partitions by number, empty where there is no changelog yet.
        app_id: names the group and the changelog.
    """
    findings = [finding for standing in standings for finding in _of_input(standing, app_id)]
    has_states = any(extent.begin < extent.end for extent in changelogs.values())
    if has_states and all(standing.committed is None for standing in standings):
        findings.append(_without_commits(app_id))
    furthest: defaultdict[int, list[Standing]] = defaultdict(list)
    for standing in standings:
        if standing.topic in topics.INPUTS and standing.committed is not None:
            furthest[standing.partition].append(standing)
    for number, read in sorted(furthest.items()):
        findings += _of_changelog(changelog.name(app_id), number, extent=changelogs.get(number, Extent(0, 0)), of=read)
    return findings


def _of_input(standing: Standing, app_id: str) -> Iterator[Finding]:
    extent, through = standing.extent, standing.next
    if through is None:
        return
    place = f"{standing.topic}[{standing.partition}]"
    who = f"the group {app_id}" if standing.committed is not None else "customer states"
    if through > extent.end:
        yield Finding(
            kind=FindingKind.INPUT_CUT_OFF,
            topic=standing.topic,
            text=f"{place} ends at offset {extent.end}, and {who} had read it up to offset {through}: it was deleted "
            "and made again, or has lost records; its new records would be taken for known ones and dropped",
            remedy=_RELEARN if standing.topic == topics.LABELLED_EXAMPLES else _REBUILD,
        )
    elif through < extent.begin:
        count = extent.begin - through
        yield Finding(
            kind=FindingKind.EXPIRED,
            topic=standing.topic,
            text=f"{place} begins at offset {extent.begin}, and {who} had read it up to offset {through}, so that "
            f"{count} records were removed before they were read and are lost to the states",
            remedy="nothing brings them back; lengthen retention.ms, or see that workers run",
            records=count,
        )


_ANEW = "start with another NEEDSTREAM_APP_ID, which builds the states anew from what the inputs still hold"
_REBUILD = f"restore the topic, or {_ANEW}"
_RELEARN = (
    f"restore the topic, or delete and make anew {topics.MODEL_SNAPSHOTS} too and set the group's offset on it to the "
    "earliest: the models then learn anew"
)


def _without_commits(app_id: str) -> Finding:
    return Finding(
        kind=FindingKind.WITHOUT_COMMITS,
        topic=changelog.name(app_id),
        text=f"there are customer states, and the group {app_id} has no committed offsets (Kafka removes those of a "
        "group that was empty for offsets.retention.minutes, 7 days by default)",
        remedy="all inputs are read again from their earliest record; what the states have applied is recognised and "
        "changes nothing",
    )


def _of_changelog(topic: str, number: int, *, extent: Extent, of: Sequence[Standing]) -> Iterator[Finding]:
    place = f"{topic}[{number}]"
    if extent.begin == extent.end > 0:
        yield Finding(
            kind=FindingKind.STATES_LOST,
            topic=topic,
            text=f"{place} begins and ends at offset {extent.end}: all its records were removed, and inputs have been "
            "read; without the states, refusals of consent and erasures would be forgotten",
            remedy=_REBUILD,
        )
    elif extent.begin:
        yield Finding(
            kind=FindingKind.STATES_CUT_OFF,
            topic=topic,
            text=f"{place} begins at offset {extent.begin}, and a compacted topic begins at 0: somebody deleted "
            "records, and customers whose newest snapshot was among them are unknown",
            remedy=f"if that was not meant, {_REBUILD}",
        )
    elif not extent.end and any((standing.committed or 0) > standing.extent.begin for standing in of):
        yield Finding(
            kind=FindingKind.STATES_MISSING,
            topic=topic,
            text=f"{place} has never held a record, and inputs of this partition have been read: unless all of them "
            "became dead letters, the changelog was deleted and made again, and its customers are unknown",
            remedy=f"if that was not meant, stop and {_ANEW}",
        )
