"""How much is rejected lately, told once for each excess."""

import pytest

from needstream.streams.dead_letter_rate import DeadLetterRate, RateExceeded

TOPIC = "clickstream.v1"


def test_an_excess_is_told_once_with_its_figures():
    rate = DeadLetterRate(0.1)

    told = [rate.observe(TOPIC, read=100, rejected=11) for _ in range(3)]

    assert [RateExceeded(TOPIC, 11, 100, 0.11), None, None] == told


def test_a_share_of_exactly_the_limit_is_no_excess():
    rate = DeadLetterRate(0.1)

    assert rate.observe(TOPIC, read=100, rejected=10) is None
    assert 0.1 == rate.share(TOPIC)
    assert rate.observe(TOPIC, read=0, rejected=0) is None
    assert rate.observe(TOPIC, read=10, rejected=2) is not None


def test_nothing_is_told_of_fewer_than_a_hundred_records():
    rate = DeadLetterRate(0.1)

    assert rate.observe(TOPIC, read=99, rejected=99) is None
    assert RateExceeded(TOPIC, 99, 100, 0.99) == rate.observe(TOPIC, read=1, rejected=0)


def test_only_the_newest_records_count():
    rate = DeadLetterRate(0.5, window=100)
    rate.observe(TOPIC, read=100, rejected=100)

    for _ in range(99):
        rate.observe(TOPIC, read=1, rejected=0)

    assert 0.01 == rate.share(TOPIC)
    rate.observe(TOPIC, read=1, rejected=0)
    assert 0.0 == rate.share(TOPIC)


def test_an_excess_is_told_again_only_after_the_share_was_below_half_the_limit():
    rate = DeadLetterRate(0.2, window=100)
    told = []
    for rejected in (21, 10, 21, 9, 20, 21, 21):
        told.append(rate.observe(TOPIC, read=100, rejected=rejected) is not None)

    assert [True, False, False, False, False, True, False] == told


def test_a_call_larger_than_the_window_counts_by_its_share():
    rate = DeadLetterRate(0.1, window=1_000)

    assert RateExceeded(TOPIC, 500, 1_000, 0.5) == rate.observe(TOPIC, read=10_000, rejected=5_000)
    assert 0.5 == rate.share(TOPIC)


def test_topics_are_watched_apart():
    rate = DeadLetterRate(0.1)

    assert rate.observe(TOPIC, read=100, rejected=0) is None
    assert rate.observe("feedback.v1", read=100, rejected=50) is not None
    assert (0.0, 0.5, 0.0) == (rate.share(TOPIC), rate.share("feedback.v1"), rate.share("outcomes.v1"))


def test_records_one_by_one_or_in_batches_give_the_same_share():
    single, batched = DeadLetterRate(0.5), DeadLetterRate(0.5)
    for number in range(5_000):
        single.observe(TOPIC, read=1, rejected=number % 10 == 0)
    for _ in range(50):
        batched.observe(TOPIC, read=100, rejected=10)

    assert 0.1 == pytest.approx(single.share(TOPIC)) == pytest.approx(batched.share(TOPIC))


def test_a_limit_of_one_is_never_exceeded():
    assert DeadLetterRate(1.0).observe(TOPIC, read=1_000, rejected=1_000) is None


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.1, float("nan")])
def test_a_limit_that_is_no_share_is_refused(limit):
    with pytest.raises(ValueError, match="the limit is a share"):
        DeadLetterRate(limit)


def test_a_window_too_small_to_say_anything_is_refused():
    with pytest.raises(ValueError, match="at least 100 records"):
        DeadLetterRate(0.1, window=99)


@pytest.mark.parametrize(("read", "rejected"), [(1, 2), (0, 1), (-1, -1), (1, -1)])
def test_impossible_counts_are_refused(read, rejected):
    with pytest.raises(ValueError, match="cannot be rejected"):
        DeadLetterRate(0.1).observe(TOPIC, read=read, rejected=rejected)
