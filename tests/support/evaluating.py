"""Histories for tests of the evaluation: few numbers given, the rest plain."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from needstream.streams.evaluation.histories import History

DAY = 86_400_000
BEGIN = 1_735_689_600_000


def history(
    labels: Sequence[bool],
    *,
    asked_days: Sequence[float] | None = None,
    served: Sequence[float | None] | None = None,
    customers: Sequence[int] | None = None,
    **others: Any,
) -> History:
    """A history of one model with a horizon of ten days; one prediction a day of another customer unless told."""
    size = len(labels)
    days = asked_days if asked_days is not None else range(size)
    asked = np.array([BEGIN + round(day * DAY) for day in days], dtype=np.int64)
    said = [0.5] * size if served is None else [np.nan if score is None else score for score in served]
    due = asked + 10 * DAY
    given: dict[str, Any] = {
        "model": "loan",
        "kind": "need",
        "features": ("count_7d.interest.loan", "idle_days"),
        "facts": ("apply.loan",),
        "horizon_ms": 10 * DAY,
        "shows": True,
        "enter_score": 0.5,
        "kinds": ("pair",),
        "customers": np.array(range(size) if customers is None else customers, dtype=np.int64),
        "asked_ms": asked,
        "due_ms": due,
        "known_ms": due + DAY,
        "values": np.column_stack([np.arange(size) % 7, np.zeros(size)]).astype(np.float64),
        "labels": np.array(labels, dtype=np.bool_),
        "served": np.array(said, dtype=np.float64),
        "contestants": {},
        "recognised": np.zeros(size, dtype=np.bool_),
        "has_scenarios": True,
        "slices": {},
        "quarantined": {},
        "waiting": None,
        "events": (),
    }
    return History(**(given | others))
