"""Exponential forgetting: values that halve every half-life, decayed lazily and merged exactly.

A decayed sum of weights w_i seen at times t_i is, at time t, the sum of w_i * 2^((t_i - t) / h).
It needs one number and one time, takes late events in any order, and two sums of the same half-life
merge by addition once both are read at the same time (Cormode et al., "Forward Decay", ICDE 2009).
"""

from collections.abc import Sequence
from math import exp2

LN2 = 0.6931471805599453

HalfLives = tuple[float, float, float]
"""The half-lives of every counter in milliseconds."""


def weight(age_ms: float, half_life_ms: float) -> float:
    """What is left of 1 after ``age_ms`` (not negative): between 0 and 1."""
    return exp2(-age_ms / half_life_ms)


def add(
    counters: dict[str, list[float]], facts: Sequence[str], *, amount: float, at_ms: int, half_lives_ms: HalfLives
) -> None:
    """Add ``amount`` at ``at_ms`` to the counter of each fact; a counter is ``[at_ms, value per half-life ...]``.

    A late addition is decayed to the counter's own time, so the order of additions does not matter (up to rounding).
    Written out for the three half-lives: every event comes by here.
    """
    first_ms, second_ms, third_ms = half_lives_ms
    now_ms = float(at_ms)
    for fact in facts:
        counter = counters.get(fact)
        if counter is None:
            counters[fact] = [now_ms, amount, amount, amount]
            continue
        last_ms, first, second, third = counter
        ahead_ms = last_ms - now_ms
        if ahead_ms < 0.0:
            counters[fact] = [
                now_ms,
                first * exp2(ahead_ms / first_ms) + amount,
                second * exp2(ahead_ms / second_ms) + amount,
                third * exp2(ahead_ms / third_ms) + amount,
            ]
        else:
            counters[fact] = [
                last_ms,
                first + amount * exp2(-ahead_ms / first_ms),
                second + amount * exp2(-ahead_ms / second_ms),
                third + amount * exp2(-ahead_ms / third_ms),
            ]


def read(counter: list[float] | None, place: int, *, at_ms: int, half_life_ms: float) -> float:
    """The value of half-life number ``place`` (from 0) as it stands at ``at_ms``.

    Reading before the counter's own time gives its own value: the future is not undone.
    """
    if counter is None:
        return 0.0
    age_ms = at_ms - counter[0]
    value = counter[place + 1]
    return value * exp2(-age_ms / half_life_ms) if age_ms > 0 else value


def merge(left: list[float], right: list[float], *, half_lives_ms: Sequence[float]) -> list[float]:
    """The counter that would have seen both histories."""
    newer, older = (left, right) if left[0] >= right[0] else (right, left)
    age_ms = newer[0] - older[0]
    return [
        newer[0],
        *(
            newer[place] + older[place] * weight(age_ms, half_life_ms)
            for place, half_life_ms in enumerate(half_lives_ms, start=1)
        ),
    ]
