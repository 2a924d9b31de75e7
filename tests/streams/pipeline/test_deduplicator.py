import stories
from needstream.schemas.state import RECENT_EVENT_IDS, RECENT_ID_BYTES
from needstream.streams.pipeline import deduplicator

ORIGIN = 0


def test_an_event_id_is_recognised_within_the_window_and_not_beyond():
    state = stories.new_customer()
    ids = [f"e{number}" for number in range(RECENT_EVENT_IDS + 1)]

    assert [False] * len(ids) == [deduplicator.seen(state, each) for each in ids]
    assert [True] * RECENT_EVENT_IDS == [deduplicator.seen(state, each) for each in ids[1:]]
    assert not deduplicator.seen(state, ids[0])
    assert RECENT_ID_BYTES * RECENT_EVENT_IDS == len(state.recent_ids)


def test_a_hash_across_two_others_is_no_match(monkeypatch):
    """The bytes of a mark may stand in the ring by accident, half in one mark and half in the next."""
    state = stories.new_customer()
    deduplicator.seen(state, "e1")
    mark = state.recent_ids
    state.recent_ids = b"abc" + mark + b"def"

    assert not deduplicator.seen(state, "e1")
    assert deduplicator.seen(state, "e1")


def test_exactly_the_applied_offsets_are_recognised():
    state = stories.new_customer()
    for offset in (5, 9, 7):
        deduplicator.mark_applied(state, ORIGIN, offset=offset)

    assert [5, 7, 9] == [each for each in range(12) if deduplicator.applied(state, ORIGIN, offset=each)]
    assert not deduplicator.applied(state, 1, offset=5)


def test_settling_folds_what_nothing_waits_before():
    state = stories.new_customer()
    for offset in (5, 7, 9, 12):
        deduplicator.mark_applied(state, ORIGIN, offset=offset)

    deduplicator.settle(state, ORIGIN, settled_to=8)

    assert [7, 9, 12] == state.applied[ORIGIN]
    assert not deduplicator.applied(state, ORIGIN, offset=8)

    deduplicator.settle(state, ORIGIN, settled_to=1_000)

    assert [12] == state.applied[ORIGIN]
    assert deduplicator.applied(state, ORIGIN, offset=8)


def test_settling_never_goes_back():
    """A partition that was assigned anew reads from an earlier offset than it had applied."""
    state = stories.new_customer()
    deduplicator.mark_applied(state, ORIGIN, offset=12)
    deduplicator.settle(state, ORIGIN, settled_to=1_000)

    deduplicator.settle(state, ORIGIN, settled_to=3)

    assert [12] == state.applied[ORIGIN]


def test_marking_a_record_tells_whether_it_was_new():
    state = stories.new_customer()

    assert [True, True, True, False, False] == [
        deduplicator.mark_applied(state, ORIGIN, offset=offset) for offset in (5, 9, 7, 7, 9)
    ]
