"""Features that read counters, written out as one function: each counter is looked up and decayed once for all of them.

In go features, those of a counter as expressions, out comes a function of a customer's state and an event time that
gives their values in the same order. It is Python source made from a pack that has been checked, and gives bit for bit
what each feature gives alone.
"""

import re
from collections.abc import Callable, Sequence
from math import exp2
from typing import Any

from msgspec import Struct

from needstream.models.decay import LN2
from needstream.schemas.state import CustomerState
from needstream.schemas.times import DAY_MS

Reading = Callable[[CustomerState, int], float]
"""A compiled feature: state and event time in milliseconds to a finite number."""

Vector = Callable[[CustomerState, int], tuple[float, ...]]
"""Several features compiled together."""

MONTH_MS = 30 * DAY_MS


class CounterReading(Struct, frozen=True):
    """A feature of one counter, as an expression.

    Attributes:
        counter: the key of the counter.
        known: its value where the counter exists. It may use ``at_ms``, the counter's own time ``last_ms``, the values
            per half-life as they stand at ``at_ms`` (``left0``, ``left1``, ``left2``), and what is in ``_OF_CUSTOMER``.
        unknown: its value where it does not.
    """

    counter: str
    known: str
    unknown: float


_OF_CUSTOMER = {
    "lived_ms": "at_ms - state.first_ms",
    "day_lived_ms": "lived_ms if lived_ms > DAY_MS else DAY_MS",
    "steady1": "half_life1 * (1 - exp2(-day_lived_ms / half_life1))",
    "steady2": "half_life2 * (1 - exp2(-day_lived_ms / half_life2))",
    "observed": "1.0 - exp2(-(lived_ms if lived_ms > MONTH_MS else MONTH_MS) / half_life2)",
}
"""What counters are compared with: what a count is in proportion to at a steady rate, and the share of an endless
history that has been observed."""

_LEFT = re.compile(r"\bleft([0-9])\b")


def single(feature: CounterReading, half_lives_ms: Sequence[float]) -> Reading:
    """The feature alone."""
    compiled: Reading = _compiled([feature], half_lives_ms, returned="values[0]")
    return compiled


def together(features: Sequence[Reading | CounterReading], half_lives_ms: Sequence[float]) -> Vector:
    """All features at once, in the order given."""
    compiled: Vector = _compiled(features, half_lives_ms, returned="tuple(values)")
    return compiled


def _compiled(features: Sequence[Reading | CounterReading], half_lives_ms: Sequence[float], *, returned: str) -> Any:
    known: dict[str, Any] = {"exp2": exp2, "DAY_MS": DAY_MS, "MONTH_MS": MONTH_MS, "LN2": LN2, "unknown": []}
    known |= {f"half_life{place}": half_life_ms for place, half_life_ms in enumerate(half_lives_ms)}
    counters: dict[str, dict[int, CounterReading]] = {}
    lines: list[str] = []
    for place, feature in enumerate(features):
        if isinstance(feature, CounterReading):
            counters.setdefault(feature.counter, {})[place] = feature
            known["unknown"].append(feature.unknown)
        else:
            known[f"reading{place}"] = feature
            known["unknown"].append(0.0)
            lines.append(f"    values[{place}] = reading{place}(state, at_ms)")
    used = " ".join(feature.known for readings in counters.values() for feature in readings.values())
    for name, said in reversed(_OF_CUSTOMER.items()):
        if re.search(rf"\b{name}\b", used):
            lines.insert(0, f"    {name} = {said}")
            used += said
    for counter, readings in counters.items():
        lines += _block(counter, readings)
    source = "\n".join(
        [
            "def compiled(state, at_ms):",
            "    counters = state.counters",
            "    values = unknown.copy()",
            *lines,
            f"    return {returned}",
        ]
    )
    exec(source, known)  # made of the expressions above and in ``features``; names are quoted
    return known["compiled"]


def _block(counter: str, readings: dict[int, CounterReading]) -> list[str]:
    """The lines that set the values of one counter's features."""
    used = _LEFT.findall(" ".join(reading.known for reading in readings.values()))
    # Reading before the counter's own time gives its own value: the future is not undone.
    age = ["        age_ms = last_ms - at_ms if last_ms < at_ms else 0.0"] if used else []
    left = {each: f"counter[{int(each) + 1}] * exp2(age_ms / half_life{each})" for each in used}
    named = [f"        left{each} = {left[each]}" for each in sorted(left) if used.count(each) > 1]
    return [
        f"    if {counter!r} in counters:",
        f"        counter = counters[{counter!r}]",
        "        last_ms = counter[0]",
        *age,
        *named,
        *(
            f"        values[{place}] = {_LEFT.sub(lambda found: _once(found, used, left=left), reading.known)}"
            for place, reading in readings.items()
        ),
    ]


def _once(found: re.Match[str], used: list[str], *, left: dict[str, str]) -> str:
    """What is used once stands where it is used."""
    return f"({left[found[1]]})" if used.count(found[1]) == 1 else found[0]
