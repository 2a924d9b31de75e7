"""Nothing is written for a partition that may be somebody else's, and a partition that is still ours is kept."""

import asyncio
import time

import pytest

from needstream.streams.ownership import LaneAbandoned, Ownership
from needstream.streams.pulse import Pulse


class Group:
    """The consumer group as the worker knows it."""

    def __init__(self) -> None:
        self.generation = 1
        self.is_fresh = True


def test_a_heartbeat_counts_from_when_it_was_sent_and_for_less_than_the_session() -> None:
    pulse = Pulse(10.0, lambda: 1)
    assert not pulse.is_fresh

    pulse.accepted(time.monotonic() - 7.0)
    assert pulse.is_fresh

    pulse.accepted(time.monotonic() - 8.0)
    assert not pulse.is_fresh


@pytest.mark.asyncio
async def test_a_partition_is_kept_when_the_group_answers_again_in_the_same_generation() -> None:
    group = Group()
    ownership = Ownership(0, group)
    group.is_fresh = False

    confirming = asyncio.ensure_future(ownership.confirm())
    await asyncio.sleep(0)
    assert not confirming.done()

    group.is_fresh = True
    await confirming


@pytest.mark.asyncio
@pytest.mark.parametrize("change", ["generation", "ending", "over"])
async def test_a_partition_is_lost_when_the_group_has_gone_on_or_wants_it_back(change: str) -> None:
    group = Group()
    ownership = Ownership(3, group)
    group.is_fresh = False
    confirming = asyncio.ensure_future(ownership.confirm())
    await asyncio.sleep(0)

    if change == "generation":
        group.generation = -1
    else:
        setattr(ownership, f"is_{change}", True)

    with pytest.raises(LaneAbandoned, match="partition 3"):
        await confirming


@pytest.mark.asyncio
async def test_a_partition_that_is_being_given_up_may_still_finish_what_is_in_work() -> None:
    ownership = Ownership(0, Group())

    ownership.is_ending = True

    await ownership.confirm()
