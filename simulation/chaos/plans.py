"""What a drill does and when: plans drawn from a seed, so that a failing one can be drawn again.

In: a seed and counts. Out: frozen steps in the order they are carried out. Nothing here acts; places in the log are
shares from 0 to 1 of its events, delays are seconds.
"""

import enum
import random
from dataclasses import dataclass

FIRST_SHARE = 0.03
LAST_SHARE = 0.93
"""Between them the log is spread over the steps: before is the start, behind it a worker would be caught up already."""


class Moment(enum.StrEnum):
    """Where a kill is meant to hit."""

    BATCH = "batch"  #: in the middle of the load
    STARTING = "starting"  #: shortly after the process started
    RECOVERY = "recovery"  #: partitions are assigned and not all open yet
    LEARNING = "learning"  #: within a second after models were published; in the load when none are
    SHUTDOWN = "shutdown"  #: SIGTERM first, SIGKILL while it stops


MOMENTS = tuple(Moment)
LONGEST_DELAY_S = {
    Moment.BATCH: 0.3,
    Moment.STARTING: 4.0,
    Moment.RECOVERY: 0.4,
    Moment.LEARNING: 1.0,
    Moment.SHUTDOWN: 0.4,
}
AT_ONCE = frozenset({Moment.STARTING, Moment.RECOVERY})
"""These follow the restart before them, wherever in the log that was."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill: not before `share` of the log is read, at its moment, `delay_s` later."""

    moment: Moment
    share: float
    delay_s: float


class Change(enum.StrEnum):
    """How the number of workers changes."""

    JOIN = "join"
    LEAVE = "leave"  #: by SIGTERM
    VANISH = "vanish"  #: by SIGKILL


@dataclass(frozen=True, slots=True)
class Move:
    """One change of the group at `share` of the time the drill produces; `draw` (0 to 1) chooses who goes."""

    change: Change
    share: float
    draw: float


class Outage(enum.StrEnum):
    """What happens to the broker."""

    RESTART = "restart"  #: stopped, and started again
    PAUSE = "pause"  #: stands still (SIGSTOP) and goes on


@dataclass(frozen=True, slots=True)
class BrokerOutage:
    """One outage, once `share` of the log is committed."""

    outage: Outage
    share: float
    lasts_s: float


def kills(seed: int, count: int) -> list[Kill]:
    """Return `count` kills in order of place; of five or more, every moment is hit.

    Raises:
        ValueError: a negative count.
    """
    if count < 0:
        msg = f"the number of kills must not be negative, not {count}"
        raise ValueError(msg)
    rng = random.Random(f"{seed}/kills")
    moments = [MOMENTS[number % len(MOMENTS)] for number in range(count)]
    rng.shuffle(moments)
    width = (LAST_SHARE - FIRST_SHARE) / max(1, count)
    planned = []
    for number, moment in enumerate(moments):
        share = FIRST_SHARE + (number + rng.random()) * width
        planned.append(Kill(moment, round(share, 4), round(rng.random() * LONGEST_DELAY_S[moment], 3)))
    return planned


def storm(seed: int, rounds: int) -> list[Move]:
    """Return the moves of `rounds` times 1 -> 3 -> 2 -> 1 workers; of every two that go, one is killed."""
    rng = random.Random(f"{seed}/storm")
    changes = []
    for _ in range(rounds):
        going = [Change.LEAVE, Change.VANISH]
        rng.shuffle(going)
        changes += [Change.JOIN, Change.JOIN, *going]
    width = (LAST_SHARE - FIRST_SHARE) / max(1, len(changes))
    return [
        Move(change, round(FIRST_SHARE + (number + rng.random()) * width, 4), rng.random())
        for number, change in enumerate(changes)
    ]


def outages(seed: int, *, restart_s: float, pause_s: float) -> list[BrokerOutage]:
    """Return a restart in the first half of the log and a pause in the second."""
    rng = random.Random(f"{seed}/outages")
    return [
        BrokerOutage(Outage.RESTART, round(rng.uniform(0.08, 0.3), 4), restart_s),
        BrokerOutage(Outage.PAUSE, round(rng.uniform(0.4, 0.6), 4), pause_s),
    ]


def rewinds(seed: int) -> list[float]:
    """Return to which shares of each partition a group is rewound, one after the other; the last is the beginning."""
    rng = random.Random(f"{seed}/rewinds")
    return [round(rng.uniform(0.5, 0.9), 4), round(rng.uniform(0.1, 0.5), 4), 0.0]
