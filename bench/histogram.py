"""A histogram of latencies in logarithmic buckets, as HDR histograms have them, and its percentiles.

In come microseconds; out go counts by bucket and exact percentiles. The invariant it protects: a percentile is a value
that was measured: the smallest one that at least this share of all values does not exceed.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

SUB_BUCKETS = 8
"""Buckets between a value and its double: each is at most 9 % wide."""

SHOWN = (50.0, 90.0, 99.0, 99.9)
_BAR = 50


def bucket(value_us: int) -> int:
    """The number of a value's bucket."""
    return math.floor(math.log2(max(1, value_us)) * SUB_BUCKETS)


def begin_us(number: int) -> float:
    """Where a bucket begins."""
    return float(2 ** (number / SUB_BUCKETS))


def percentile(ordered_us: Sequence[int], share: float) -> int:
    """The value at so many per cent of at least one value, which are in order."""
    return ordered_us[max(0, math.ceil(len(ordered_us) * share / 100) - 1)]


def summary(values_us: Sequence[int]) -> dict[str, Any]:
    """Percentiles, extremes and mean in milliseconds, and the buckets that hold something as [from ms, count]."""
    if not values_us:
        return {"count": 0}
    ordered = sorted(values_us)
    told: dict[str, Any] = {
        "count": len(ordered),
        "mean_ms": _ms(sum(ordered) / len(ordered)),
        "min_ms": _ms(ordered[0]),
    }
    told |= {f"p{share:g}_ms": _ms(percentile(ordered, share)) for share in SHOWN}
    told["max_ms"] = _ms(ordered[-1])
    counts = Counter(bucket(value) for value in ordered)
    told["buckets"] = [[_ms(begin_us(number)), counts[number]] for number in sorted(counts)]
    return told


def text(told: dict[str, Any]) -> list[str]:
    """The buckets of a summary as bars, one line each."""
    buckets = told.get("buckets", [])
    most = max((count for _, count in buckets), default=1)
    return [f"{begin:>10,.2f} ms {count:>7,} {'#' * math.ceil(count / most * _BAR)}" for begin, count in buckets]


def curve(told: dict[str, Any]) -> list[tuple[float, float]]:
    """The share of values below the end of each bucket, and that end in milliseconds."""
    seen, points = 0, []
    for begin, count in told.get("buckets", []):
        seen += count
        points.append((seen / told["count"], min(told["max_ms"], begin * 2 ** (1 / SUB_BUCKETS))))
    return points


def _ms(value_us: float) -> float:
    return round(value_us / 1000, 3)
