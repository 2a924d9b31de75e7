"""What a drill came to: what was done to the workers, what went wrong, how the result differs, and a verdict.

In: what the drills wrote down. Out: plain values for JSON. No customer is named.
"""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from needstream.simulation.chaos.comparison import Comparison


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that was done: what was planned, and what the worker was found doing when it hit.

    Attributes:
        planned: the step's name.
        share: how much of the log had been read, 0 to 1.
        phase: starting, joining, recovering, working, caught up, stopping, or gone.
        at_s: seconds since the drill began.
    """

    planned: str
    share: float
    phase: str
    at_s: float


@dataclass(slots=True)
class Outcome:
    """One drill with one kind of models.

    Attributes:
        drill: kill, rebalance, broker or redelivery.
        models: pinned or learning.
        events: how many records the log held.
        hits: what was done, in order.
        starts: how many worker processes were started.
        failures: what a worker must not do: end by itself, not stop, not catch up.
        comparison: against the uninterrupted run; None when it did not come to that.
        notes: figures worth knowing.
    """

    drill: str
    models: str
    events: int = 0
    hits: list[Hit] = field(default_factory=list)
    starts: int = 0
    failures: list[str] = field(default_factory=list)
    comparison: Comparison | None = None
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def findings(self) -> list[str]:
        """Everything that speaks against a pass."""
        differences = self.comparison.findings if self.comparison else ["nothing could be compared"]
        return [*self.failures, *differences]

    @property
    def passed(self) -> bool:
        """The verdict."""
        return not self.findings

    @property
    def phases(self) -> Counter[tuple[str, str]]:
        """How often each planned step hit each phase."""
        return Counter((hit.planned, hit.phase) for hit in self.hits)

    def as_dict(self) -> dict[str, Any]:
        """Everything for JSON."""
        told: dict[str, Any] = {
            "drill": self.drill,
            "models": self.models,
            "passed": self.passed,
            "events": self.events,
            "seconds": round(self.seconds, 1),
            "starts": self.starts,
            "hits": [asdict(hit) for hit in self.hits],
            "findings": self.findings,
            "notes": self.notes,
            "topics": {},
        }
        if self.comparison is not None:
            told["topics"] = {
                name: {
                    "sent": each.sent,
                    "distinct": each.distinct,
                    "duplicate_share": round(each.duplicate_share, 6),
                    "missing": each.missing,
                    "extra": each.extra,
                    "contradicting": each.contradicting,
                    "fields": dict(each.fields),
                    "judged": each.judged,
                }
                for name, each in self.comparison.topics.items()
            }
            states = self.comparison.states
            told["states"] = {
                "customers": states.customers,
                "missing": states.missing,
                "extra": states.extra,
                "unreadable": states.unreadable,
                "differing": states.differing,
                "fields": dict(states.fields),
            }
        return told
