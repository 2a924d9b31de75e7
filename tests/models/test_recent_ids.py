"""Which examples were learned lately is remembered, within bounds."""

from needstream.models.recent_ids import RecentIds


def test_an_id_is_new_once() -> None:
    recent = RecentIds()

    assert [True, False, True, False] == [recent.is_new(each) for each in ("a", "a", "b", "a")]


def test_the_oldest_goes_first() -> None:
    recent = RecentIds(most=2)
    recent.remember(["a", "b", "c"])

    assert [False, False, True] == [recent.is_new(each) for each in ("c", "b", "a")]
