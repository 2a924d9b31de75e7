"""What has waited long enough for the other inputs is ripe, and a pause of the process is no silence."""

from needstream.streams.hearing import Hearing

_ONE_BY_ONE = (("a", 3, 0.0), ("b", 4, 1.0), ("a", 6, 2.0))
"""Inputs read to their ends, after so many arrivals, at such times."""


def _hearing() -> Hearing:
    return Hearing(["a", "b"], wait_s=2.0, now_s=0.0)


def test_an_input_is_silent_once_nothing_came_for_the_whole_wait() -> None:
    hearing = _hearing()

    hearing.heard("a", now_s=1.0)

    assert [frozenset(), frozenset({"b"}), frozenset({"a", "b"})] == [hearing.silent(at_s) for at_s in (1.9, 2.0, 3.0)]
    assert hearing.silent_s(3.5) == 2.5


def test_arrivals_ripen_a_wait_after_everything_was_read() -> None:
    hearing = _hearing()

    hearing.read_to_end("ab", 3, now_s=0.0)
    hearing.read_to_end("ab", 5, now_s=1.0)

    assert [None, 3, None, 5, None] == [hearing.ripe_through(at_s) for at_s in (1.9, 2.0, 2.9, 3.0, 9.0)]


def test_a_busy_input_does_not_put_off_what_came_before() -> None:
    hearing = _hearing()

    for tenth in range(100):
        hearing.heard("a", now_s=tenth / 10)
        hearing.read_to_end("ab", tenth, now_s=tenth / 10)

    assert hearing.ripe_through(9.9) == 79
    assert hearing.silent(9.9) == {"b"}


def test_inputs_need_not_be_read_to_their_ends_at_one_moment() -> None:
    hearing = _hearing()

    told = [hearing.read_to_end(topics, arrivals, now_s=at_s) for topics, arrivals, at_s in _ONE_BY_ONE]

    assert [False, True, True] == told
    assert [None, 3, 4, None] == [hearing.ripe_through(at_s) for at_s in (2.9, 3.0, 4.0, 9.0)]


def test_what_is_noted_is_awaited_until_it_is_ripe() -> None:
    hearing = _hearing()

    before = hearing.awaits
    hearing.read_to_end("ab", 3, now_s=0.0)

    assert (False, True) == (before, hearing.awaits)
    hearing.ripe_through(2.0)
    assert not hearing.awaits


def test_the_same_arrivals_ripen_once() -> None:
    hearing = _hearing()

    for at_s in (0.0, 1.0, 2.0):
        hearing.read_to_end("ab", 3, now_s=at_s)

    assert [3, None] == [hearing.ripe_through(at_s) for at_s in (2.0, 9.0)]


def test_after_a_pause_of_the_process_everything_is_waited_for_anew() -> None:
    hearing = _hearing()
    hearing.read_to_end("ab", 3, now_s=0.0)

    hearing.begin_anew(60.0)

    assert (frozenset(), None) == (hearing.silent(61.0), hearing.ripe_through(61.0))
