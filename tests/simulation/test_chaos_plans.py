"""Plans of the drills: drawn from a seed, in the order of the log, with every moment in them."""

import itertools
from collections import Counter

import pytest

from needstream.simulation.chaos import plans
from needstream.simulation.chaos.plans import Change, Moment, Outage


def test_equal_seeds_draw_equal_plans() -> None:
    assert plans.kills(3, 30) == plans.kills(3, 30)
    assert plans.storm(3, 4) == plans.storm(3, 4)
    assert plans.rewinds(3) == plans.rewinds(3)


def test_other_seeds_draw_other_plans() -> None:
    assert plans.kills(3, 30) != plans.kills(4, 30)
    assert plans.storm(3, 4) != plans.storm(4, 4)


def test_five_kills_hit_every_moment() -> None:
    moments = {kill.moment for kill in plans.kills(1, 5)}

    assert set(Moment) == moments


def test_kills_are_spread_over_the_log_in_its_order() -> None:
    shares = [kill.share for kill in plans.kills(1, 30)]

    assert sorted(shares) == shares
    assert plans.FIRST_SHARE <= shares[0]
    assert shares[-1] <= plans.LAST_SHARE
    assert max(after - before for before, after in itertools.pairwise(shares)) < 2 / 30


def test_no_kill_waits_longer_than_its_moment_lasts() -> None:
    late = [kill for kill in plans.kills(1, 200) if not 0 <= kill.delay_s <= plans.LONGEST_DELAY_S[kill.moment]]

    assert [] == late


def test_no_kills_are_a_plan_too() -> None:
    assert [] == plans.kills(1, 0)


def test_a_negative_number_of_kills_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        plans.kills(1, -1)


def test_each_round_of_a_storm_goes_from_one_to_three_to_two_to_one() -> None:
    step = {Change.JOIN: 1, Change.LEAVE: -1, Change.VANISH: -1}
    workers, counts = 1, []
    for move in plans.storm(5, 3):
        workers += step[move.change]
        counts.append(workers)

    assert [2, 3, 2, 1] * 3 == counts


def test_of_two_workers_that_go_one_is_killed() -> None:
    changes = Counter(move.change for move in plans.storm(5, 6))

    assert {Change.JOIN: 12, Change.LEAVE: 6, Change.VANISH: 6} == changes


def test_the_broker_is_restarted_before_it_is_paused() -> None:
    first, second = plans.outages(2, restart_s=20.0, pause_s=40.0)

    assert (Outage.RESTART, 20.0) == (first.outage, first.lasts_s)
    assert (Outage.PAUSE, 40.0) == (second.outage, second.lasts_s)
    assert first.share < second.share


def test_the_last_rewind_goes_to_the_beginning() -> None:
    assert 0.0 == plans.rewinds(9)[-1]
