"""Did the contenders do the same work? What each one said is compared with what the job says of the same events.

In come records of output topics, out comes a count of what is equal, missing, extra and different. The invariant it
protects: two outputs are equal only if topic, id and everything but the moment of the decision are.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from needstream.bench import job
from needstream.bench.load import Record

Said = dict[tuple[str, str], dict[str, Any]]
"""Topic and id to what was said."""


class Agreement(msgspec.Struct, frozen=True):
    """How far two sets of outputs are the same; ``extra`` were said by the contender alone."""

    equal: int
    missing: int
    extra: int
    different: int

    @property
    def is_complete(self) -> bool:
        """Whether they are the same."""
        return not (self.missing or self.extra or self.different)

    def __str__(self) -> str:
        if self.is_complete:
            return f"all {self.equal:,} equal"
        expected = self.equal + self.missing + self.different
        return f"{self.equal:,} of {expected:,} equal, {self.missing:,} missing, {self.extra:,} extra"


class Reference(msgspec.Struct, frozen=True):
    """What is to be said: when customers come back (``lazy``), and also by alarms of those who do not (``rung``)."""

    lazy: Said
    rung: Said


def reference(work: job.Job, records: Sequence[Record]) -> Reference:
    """What the job says of these events in order, one customer after another's event."""
    known: dict[str, Any] = {}
    lazy: Said = {}
    for record in records:
        arrival = work.decode(record.topic, record.value, record.key)
        if arrival is None:
            continue
        known[arrival.key], outputs = work.apply(known.get(arrival.key), arrival)
        lazy |= of_outputs(outputs)
    rung = dict(lazy)
    if isinstance(work, job.StepJob):
        latest_ms = records[-1].at_ms - work.definitions.allowed_lateness_ms
        for state in known.values():
            rung |= of_outputs(work.ring(state, latest_ms)[1])
    return Reference(lazy, rung)


def of_outputs(outputs: Iterable[job.Output]) -> Said:
    """By topic and id."""
    return {(topic, dict(headers)["ce_id"].decode()): _said(value) for topic, _, value, headers in outputs}


def of_records(records: Iterable[Any], prefix: str = "") -> Said:
    """The same of consumed records, whose topics begin with a prefix."""
    return {(record.topic.removeprefix(prefix), _identity(record.headers)): _said(record.value) for record in records}


def of_lines(lines: Iterable[str]) -> Said:
    """The same of lines with topic, id and value, as a contender without a broker writes them."""
    rows = (orjson.loads(line) for line in lines)
    return {(topic, identity): _said(value) for topic, identity, value in rows}


def compare(expected: Mapping[tuple[str, str], Any], found: Mapping[tuple[str, str], Any]) -> Agreement:
    """Count what is the same."""
    common = expected.keys() & found.keys()
    equal = sum(expected[place] == found[place] for place in common)
    return Agreement(equal, len(expected) - len(common), len(found) - len(common), len(common) - equal)


def _said(value: bytes | str | None) -> dict[str, Any]:
    said: dict[str, Any] = orjson.loads(value or b"{}")
    said.pop("decided_at", None)
    return said


def _identity(headers: Sequence[tuple[str, bytes | str]]) -> str:
    found = dict(headers).get("ce_id", b"")
    return found.decode() if isinstance(found, bytes) else found
