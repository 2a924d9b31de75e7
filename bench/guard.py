"""What the hot path executes per event, counted instead of timed: the same on a busy machine as on a quiet one.

In comes a small simulated load; out come the bytecode instructions of the interpreter and the calls into C per event,
and the reference they may exceed by ``TOLERANCE`` at most. A reference holds for one minor version of Python, whose
compiler it depends on.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from msgspec import Struct

from needstream.bench import job, load
from needstream.models import track
from needstream.models.scorer import Scorer
from needstream.schemas import codecs
from needstream.schemas.dead_letters import Rejected
from needstream.streams import model_files, outputs, topics
from needstream.streams.packs import loader
from needstream.streams.pipeline import inputs, learning
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.partition import Partition
from needstream.streams.replay import MemoryStore

TOLERANCE = 0.03
"""How much more than the reference is still let through, as a share."""

EVENTS = 6_000
CUSTOMERS = 100
SEED = 7
BATCH = 500
REFERENCE = Path(__file__).with_name("results") / "guard.json"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"

_LATEST_MS = 2**53


class Counts(Struct, frozen=True):
    """Per event: bytecode instructions, and calls of functions written in C."""

    instructions: float
    calls: float


def measure() -> Counts:
    """Count what decoding, the full step, the states' bytes and the outputs' bytes take, models learned and pinned."""
    records = load.generate(EVENTS, customers=CUSTOMERS, seed=SEED)
    definitions = loader.load("bank")
    scorer = Scorer(definitions.readiness(), is_pinned=True)
    with tempfile.TemporaryDirectory(prefix="needstream-guard-") as folder:
        models = Path(folder) / "models.jsonl"
        load.learn(records, models)
        rules = learning.rules(definitions)
        for model in model_files.read(models, key=job.KEY, features=definitions.pack.features):
            scorer.publish(track.readied(model, rules[model.name]))

    def work() -> None:
        _apply(records, definitions, scorer=scorer)

    work()  # what is remembered of facts, pages and versions is there from now on
    return Counts(
        instructions=round(_instructions(work) / len(records), 1), calls=round(_calls(work) / len(records), 2)
    )


def reference() -> Counts | None:
    """The counts recorded for this version of Python, None if there are none."""
    recorded: dict[str, Any] = json.loads(REFERENCE.read_text(encoding="utf-8")) if REFERENCE.exists() else {}
    found = recorded.get(PYTHON)
    return Counts(found["instructions"], found["calls"]) if found else None


def record(counts: Counts) -> None:
    """Make these counts the reference of this version of Python."""
    recorded: dict[str, Any] = json.loads(REFERENCE.read_text(encoding="utf-8")) if REFERENCE.exists() else {}
    recorded[PYTHON] = {"instructions": counts.instructions, "calls": counts.calls}
    recorded["command"] = "needstream bench guard --record"
    REFERENCE.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def excess(counts: Counts, allowed: Counts) -> list[str]:
    """What is counted more often than the reference allows, as sentences; empty if nothing is."""
    found = []
    for name in Counts.__struct_fields__:
        now, then = getattr(counts, name), getattr(allowed, name)
        if now > then * (1 + TOLERANCE):
            found.append(
                f"{name} per event: {now:g}, the reference is {then:g} and {TOLERANCE:.0%} more is let through"
            )
    return found


def _apply(records: Sequence[load.Record], definitions: Definitions, *, scorer: Scorer) -> None:
    store = MemoryStore()
    partition = Partition(topics.MERGED, definitions, scorer=scorer, store=store)
    offsets = dict.fromkeys(topics.INPUTS, 0)
    for start in range(0, len(records), BATCH):
        for each in records[start : start + BATCH]:
            event = codecs.decode(each.value, family=each.topic.partition(".")[0], latest_ms=_LATEST_MS, key=each.key)
            if not isinstance(event, Rejected):
                partition.push(inputs.arrival(event, each.topic, offset=offsets[each.topic], key=each.key))
            offsets[each.topic] += 1
        for emission in partition.advance(frozenset(topics.MERGED)):
            outputs.records(emission)
        store.write(partition.flush())


def _instructions(work: Callable[[], None]) -> int:
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            count += 1
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return count


def _calls(work: Callable[[], None]) -> int:
    count = 0

    def profile(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        if event == "c_call":
            count += 1

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count
