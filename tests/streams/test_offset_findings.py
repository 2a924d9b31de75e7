"""What a group has read, against what its topics still hold: nothing is dropped or lost in silence."""

import pytest

from needstream.streams import changelog, offset_findings, topics
from needstream.streams.changelog import Extent
from needstream.streams.offset_findings import Finding, FindingKind, OffsetsRefused, Standing

APP_ID = "app"
KEPT = {0: Extent(0, 50)}


def _standing(
    begin: int, end: int, *, committed: int | None, applied: int | None = None, topic: str = topics.CLICKSTREAM
) -> Standing:
    return Standing(topic=topic, partition=0, extent=Extent(begin, end), committed=committed, applied=applied)


def _judge(*standings: Standing, kept: dict[int, Extent] = KEPT) -> list[Finding]:
    return offset_findings.judge(standings, kept, app_id=APP_ID)


@pytest.mark.parametrize("committed", [3, 7, 10])
def test_a_group_between_the_ends_of_its_topic_finds_nothing(committed: int) -> None:
    assert [] == _judge(_standing(3, 10, committed=committed))


def test_a_topic_that_ends_before_what_was_read_is_fatal_with_both_offsets_and_a_remedy() -> None:
    (found,) = _judge(_standing(0, 9, committed=10))

    assert (FindingKind.INPUT_CUT_OFF, True) == (found.kind, found.fatal)
    assert "clickstream.v1[0] ends at offset 9, and the group app had read it up to offset 10" in str(found)
    assert "another NEEDSTREAM_APP_ID" in str(found)


def test_a_topic_made_again_is_told_by_what_states_know_when_its_commits_went_with_it() -> None:
    """Kafka removes the offsets committed for a topic together with the topic."""
    (found,) = _judge(
        _standing(0, 4, committed=None, applied=4), _standing(0, 1, committed=1, topic=topics.TRANSACTIONS)
    )

    assert FindingKind.INPUT_CUT_OFF is found.kind
    assert "customer states had read it up to offset 5" in str(found)


def test_a_topic_that_ends_right_behind_what_states_know_was_not_made_again() -> None:
    standings = [_standing(0, 5, committed=None, applied=4), _standing(0, 1, committed=1, topic=topics.TRANSACTIONS)]

    assert [] == _judge(*standings)


def test_examples_that_were_cut_off_concern_the_models() -> None:
    (found,) = _judge(_standing(0, 1, committed=2, topic=topics.LABELLED_EXAMPLES))

    assert found.fatal
    assert topics.MODEL_SNAPSHOTS in found.remedy


@pytest.mark.parametrize("known", [{"committed": 4}, {"committed": None, "applied": 3}])
def test_records_that_expired_unread_are_counted(known: dict[str, int | None]) -> None:
    found = _judge(_standing(10, 12, **known), _standing(0, 1, committed=1, topic=topics.TRANSACTIONS))

    assert [(FindingKind.EXPIRED, 6, False)] == [(each.kind, each.records, each.fatal) for each in found]
    assert "begins at offset 10" in str(found[0])
    assert "up to offset 4, so that 6 records were removed" in str(found[0])


def test_records_from_before_the_app_first_ran_are_nobodys_loss() -> None:
    assert [] == _judge(_standing(10, 12, committed=None), kept={0: Extent(0, 0)})


def test_states_without_commits_are_told_what_will_happen() -> None:
    (found,) = _judge(_standing(0, 10, committed=None, applied=9))

    assert (FindingKind.WITHOUT_COMMITS, False) == (found.kind, found.fatal)
    assert "read again from their earliest record" in str(found)


def test_a_first_start_finds_nothing() -> None:
    assert [] == _judge(_standing(0, 10, committed=None), kept={})


def test_a_changelog_that_lost_every_record_is_fatal_once_inputs_were_read() -> None:
    (found,) = _judge(_standing(0, 10, committed=10), kept={0: Extent(7, 7)})

    assert (FindingKind.STATES_LOST, True) == (found.kind, found.fatal)
    assert f"{changelog.name(APP_ID)}[0] begins and ends at offset 7" in str(found)


@pytest.mark.parametrize(
    ("kept", "kind"),
    [
        (Extent(3, 7), FindingKind.STATES_CUT_OFF),
        (Extent(0, 0), FindingKind.STATES_MISSING),
    ],
)
def test_a_changelog_that_may_lack_states_is_told_and_not_refused(kept: Extent, kind: FindingKind) -> None:
    found = _judge(_standing(0, 10, committed=10), kept={0: kept})

    assert [(kind, False)] == [(each.kind, each.fatal) for each in found]


def test_nothing_read_yet_lacks_no_states() -> None:
    assert [] == _judge(_standing(5, 10, committed=5), kept={0: Extent(0, 0)})


def test_a_refusal_names_every_place_and_each_remedy_once() -> None:
    findings = _judge(_standing(0, 9, committed=10), _standing(0, 1, committed=2, topic=topics.FEEDBACK))

    told = str(OffsetsRefused(findings))

    assert [1, 1, 1] == [told.count(part) for part in ("clickstream.v1[0]", "feedback.v1[0]", "NEEDSTREAM_APP_ID")]
