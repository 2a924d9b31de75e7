"""Laws of forgetting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from needstream.models import decay

DAY_MS = 86_400_000
HALF_LIVES_MS = (1.0 * DAY_MS, 7.0 * DAY_MS, 30.0 * DAY_MS)

times = st.integers(1_700_000_000_000, 1_700_000_000_000 + 90 * DAY_MS)
amounts = st.floats(0, 1e9)
histories = st.lists(st.tuples(times, amounts), min_size=1, max_size=12)


def counted(history: list[tuple[int, float]]) -> list[float]:
    counters: dict[str, list[float]] = {}
    for at_ms, amount in history:
        decay.add(counters, ("fact",), amount=amount, at_ms=at_ms, half_lives_ms=HALF_LIVES_MS)
    return counters["fact"]


def oracle(history: list[tuple[int, float]], at_ms: int) -> list[float]:
    """The definition: every amount halved once per half-life since it was seen."""
    return [
        sum(amount * 2 ** ((seen_ms - at_ms) / half_life_ms) for seen_ms, amount in history)
        for half_life_ms in HALF_LIVES_MS
    ]


def close(values: list[float]) -> list[float]:
    return pytest.approx(values, rel=1e-9, abs=1e-300)


@given(histories)
def test_a_counter_is_the_decayed_sum_of_its_history(history: list[tuple[int, float]]) -> None:
    newest_ms = max(at_ms for at_ms, _ in history)

    assert close([newest_ms, *oracle(history, newest_ms)]) == counted(history)


@given(histories, st.randoms())
def test_the_order_of_additions_does_not_matter(history: list[tuple[int, float]], chance: object) -> None:
    shuffled = history.copy()
    chance.shuffle(shuffled)

    assert close(counted(history)) == counted(shuffled)


@given(histories, histories)
def test_a_merge_is_the_union_of_both_histories(left: list[tuple[int, float]], right: list[tuple[int, float]]) -> None:
    merged = decay.merge(counted(left), counted(right), half_lives_ms=HALF_LIVES_MS)

    assert close(counted(left + right)) == merged
    assert merged == decay.merge(counted(right), counted(left), half_lives_ms=HALF_LIVES_MS)


@given(
    history=histories, place=st.integers(0, 2), ages_ms=st.lists(st.integers(0, 400 * DAY_MS), min_size=2, max_size=5)
)
def test_a_reading_never_grows_while_nothing_happens(
    history: list[tuple[int, float]], place: int, *, ages_ms: list[int]
) -> None:
    counter = counted(history)
    readings = [
        decay.read(counter, place, at_ms=int(counter[0]) + age_ms, half_life_ms=HALF_LIVES_MS[place])
        for age_ms in sorted(ages_ms)
    ]

    assert sorted(readings, reverse=True) == readings
    assert all(reading >= 0 for reading in readings)


def test_a_half_life_halves() -> None:
    counter = counted([(0, 8.0)])

    assert [8.0, 4.0, 2.0] == [
        decay.read(counter, 0, at_ms=days * DAY_MS, half_life_ms=HALF_LIVES_MS[0]) for days in range(3)
    ]


def test_facts_that_come_together_are_counted_each_for_itself() -> None:
    counters = {"known": counted([(0, 1.0)])}
    decay.add(counters, ("known", "new"), amount=1.0, at_ms=DAY_MS, half_lives_ms=HALF_LIVES_MS)

    assert {"known": counted([(0, 1.0), (DAY_MS, 1.0)]), "new": counted([(DAY_MS, 1.0)])} == counters


def test_what_was_never_counted_is_zero() -> None:
    assert 0.0 == decay.read(None, 1, at_ms=5, half_life_ms=HALF_LIVES_MS[1])


def test_reading_before_the_newest_addition_gives_its_value() -> None:
    counter = counted([(10 * DAY_MS, 1.0)])

    assert 1.0 == decay.read(counter, 0, at_ms=0, half_life_ms=HALF_LIVES_MS[0])


def test_after_a_lifetime_nothing_is_left_and_nothing_overflows() -> None:
    century_ms = 36_500 * DAY_MS
    counter = counted([(0, 1e9), (century_ms, 1.0)])

    assert close([century_ms, 1.0, 1.0, 1.0]) == counted([(century_ms, 1.0), (0, 1e9)]) == counter
    assert 0.0 == decay.weight(century_ms, HALF_LIVES_MS[0])
