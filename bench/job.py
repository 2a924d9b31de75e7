"""The work every contender does, free of any framework: a record decoded and applied to a state, and what is said.

In come the bytes of an input record and the customer's stored state; out go the new state and the records to publish.
The invariant it protects: contenders differ in how they read, keep and send, never in what they compute. Three jobs:

- ``count``: typed decode, one counter per customer, every 20th event of a customer says something;
- ``features``: the bank pack without models and scenarios: decayed counts, habits, sessions, a summary per session;
- ``full``: the bank pack: pinned models, scenarios, arbitration, labels.

Alarms (session ends, absences, samples, labels) are rung lazily here: when the customer comes back. needstream rings
them when event time passes, also for customers who never come back; that is more work, and only needstream does it.

A contender uses it like this, for records of one customer in order::

    job = Job.open("full", models)
    arrival = job.decode(topic, value, key)      # None: cannot be used, go on
    state, outputs = job.apply(stored, arrival)  # stored: bytes, a state, or None; arrival.key is the customer
    stored = job.snapshot(state)
"""

import tempfile
import time
from abc import ABC, abstractmethod
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

import yaml

from needstream.models import track
from needstream.models.scorer import Scorer
from needstream.schemas import codecs, signals
from needstream.schemas import state as states
from needstream.schemas.dead_letters import Rejected
from needstream.schemas.state import CustomerState
from needstream.schemas.times import rfc3339
from needstream.streams import model_files, outputs, topics
from needstream.streams.packs import loader
from needstream.streams.pipeline import erasure, inputs, learning
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.emissions import Emission
from needstream.streams.pipeline.inputs import Arrival, Tick
from needstream.streams.pipeline.occasions import Knowledge
from needstream.streams.pipeline.step import step

Output = tuple[str, bytes, bytes | None, list[tuple[str, bytes]]]
"""Topic (without a contender's prefix), key, value, headers."""

NAMES = ("count", "features", "full")
INPUT_TOPICS = topics.INPUTS
OUTPUT_TOPICS = (
    topics.NEED_SIGNALS,
    topics.CHURN_ALERTS,
    topics.ALERTS,
    topics.PROFILES,
    topics.DECISIONS,
    topics.LABELLED_EXAMPLES,
)
"""Every topic an output may name."""

SAID_EVERY = 20
"""Of a customer's events, in the job that only counts."""

KEY = b"needstream-benchmark-key"
"""Signs the file of models."""

_COUNTED = "counted"
_FAMILIES = {topic: topic.partition(".")[0] for topic in topics.MERGED}


class Job(ABC):
    """One of the jobs; has no state of its own but what it was opened with."""

    name: ClassVar[str]

    def __init__(self) -> None:
        now_ms = time.time_ns() // 1_000_000
        self.decided_at = rfc3339(now_ms)
        self._latest_ms = now_ms + 86_400_000

    @staticmethod
    def open(name: str, models: Path | str | None = None) -> "Job":
        """The job of this name.

        Args:
            name: one of ``NAMES``.
            models: the file of signed models that ``full`` scores with.

        Raises:
            ValueError: no such job, or ``full`` without models.
        """
        if name == "count":
            return CountJob()
        if name == "features":
            return StepJob(name, features_definitions(), models=None)
        if name == "full" and models is not None:
            return StepJob(name, loader.load("bank"), models=Path(models))
        msg = f"{name!r} is no job, or it lacks its models; expected one of {', '.join(NAMES)}"
        raise ValueError(msg)

    def decode(  # noqa: PLR0917 - as a record is written
        self, topic: str, value: bytes | None, key: bytes | None = None
    ) -> Arrival | None:
        """The event of a record, with its customer (``.key``) and event time (``.at_ms``); None for a bad record.

        Its offset is 0, whatever the record's: a step does not ask for it, needstream's partition does.
        """
        event = codecs.decode(value or b"", family=_FAMILIES[topic], latest_ms=self._latest_ms, key=key)
        if isinstance(event, Rejected):
            return None
        return inputs.arrival(event, topic, offset=0, key=key)

    @abstractmethod
    def apply(self, stored: Any, arrival: Arrival) -> tuple[Any, list[Output]]:
        """Apply an event to what ``snapshot`` or this method returned for its customer before, None at first.

        The state that was given is not valid any longer.
        """

    @abstractmethod
    def restore(self, stored: bytes) -> Any:
        """A state from its bytes."""

    @abstractmethod
    def snapshot(self, state: Any) -> bytes:
        """The bytes of a state; durable storage gets these."""

    def ring(self, _state: Any, _until_ms: int) -> tuple[Any, list[Output]]:
        """Ring the alarms that are due by then; for comparisons of what was said, no contender needs it."""
        return _state, []


class CountJob(Job):
    """A counter for each customer; the state is an int."""

    name = "count"

    def apply(self, stored: Any, arrival: Arrival) -> tuple[int, list[Output]]:
        """Count one more."""
        count = (int(stored) if stored is not None else 0) + 1
        return count, self.written(milestone(count, arrival)) if count % SAID_EVERY == 0 else []

    def restore(self, stored: bytes) -> int:
        """The count."""
        return int(stored)

    def snapshot(self, state: Any) -> bytes:
        """The count as digits."""
        return b"%d" % state

    def written(self, said: Emission) -> list[Output]:
        """The records of what was said."""
        return _records([said], self.decided_at)


class StepJob(Job):
    """needstream's step; the state is a ``CustomerState``."""

    name = "step"

    def __init__(self, name: str, definitions: Definitions, *, models: Path | None) -> None:
        super().__init__()
        self.name = name  # type: ignore[misc]  # two jobs of one kind
        self.definitions = definitions
        scorer = Scorer(definitions.readiness(), is_pinned=True)
        if models is not None:
            rules = learning.rules(definitions)
            for model in model_files.read(models, key=KEY, features=definitions.pack.features):
                if model.name in rules:
                    scorer.publish(track.readied(model, rules[model.name]))
        self.knowledge = Knowledge(definitions, scorer)

    def apply(self, stored: Any, arrival: Arrival) -> tuple[CustomerState, list[Output]]:
        """One step, its alarms of before included."""
        if stored is None:
            state = erasure.reborn(arrival.key, arrival.at_ms, marker=None)
        else:
            state = states.restore(stored) if isinstance(stored, bytes) else stored
        changed, emitted = step(state, arrival, knowledge=self.knowledge)
        if changed is None or changed.customer_id != arrival.key:
            msg = "the load must not erase customers"
            raise ValueError(msg)
        return changed, _records(emitted, self.decided_at) if emitted else []

    def restore(self, stored: bytes) -> CustomerState:
        """The state."""
        return states.restore(stored)

    def snapshot(self, state: Any) -> bytes:
        """The bytes that needstream's own changelog holds."""
        return states.snapshot(state)

    def ring(self, _state: Any, _until_ms: int) -> tuple[Any, list[Output]]:
        """Ring alarms as needstream does when event time has passed ``_until_ms``."""
        changed, emitted = step(_state, Tick(_until_ms), knowledge=self.knowledge)
        return changed, _records(emitted, self.decided_at)


def milestone(count: int, arrival: Arrival) -> signals.ProfileSummary:
    """What the counting job says of a customer."""
    at = rfc3339(arrival.at_ms)
    return signals.ProfileSummary(
        customer_id=arrival.key,
        event_time=at,
        last_active_at=at,
        sessions_30d=float(count),
        scores={},
        open_scenarios=(),
        consents={},
        definition_version=_COUNTED,
    )


def write_features_pack(folder: Path) -> None:
    """Write the bank pack without its models and scenarios, as one file."""
    shipped = resources.files("needstream.streams.packs") / "bank"
    declared: dict[str, Any] = {}
    for name in ("pack.yaml", "models.yaml", "scenarios.yaml"):
        declared |= yaml.safe_load((shipped / name).read_text(encoding="utf-8"))
    declared |= {"models": [], "scenarios": [], "distress": []}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pack.yaml").write_text(yaml.safe_dump(declared, sort_keys=False, allow_unicode=True), encoding="utf-8")


@cache
def features_definitions() -> Definitions:
    """The bank pack without models and scenarios."""
    with tempfile.TemporaryDirectory(prefix="needstream-pack-") as folder:
        write_features_pack(Path(folder))
        return loader.load(folder)


def _records(emitted: list[Emission], decided_at: str) -> list[Output]:
    return [
        (written.topic, written.key, written.value, written.headers)
        for emission in emitted
        for written in outputs.records(emission, decided_at=decided_at)
    ]
