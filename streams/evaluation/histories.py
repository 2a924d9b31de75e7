"""Reads what a replay or a lane wrote down, and keeps per model what an evaluation needs.

In go labelled examples and decisions, out comes one ``History`` per model, ordered by the time of asking. Customers are
numbered in order of appearance; no id leaves this module.
"""

from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import orjson
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from needstream.models.guard import Guard
from needstream.models.standing import LINE
from needstream.schemas.signals import Decision, LabelledExample, ModelDecision
from needstream.schemas.times import parse_rfc3339
from needstream.streams import event_files, topics
from needstream.streams.pipeline.definitions import CompiledModel, Definitions

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Flags = NDArray[np.bool_]


class NothingToJudge(ValueError):
    """Raised when there is no matured example of the pack's models and features."""


class Sources(Struct, frozen=True, kw_only=True):
    """The files to read; any may be missing but one of examples."""

    examples: tuple[Path, ...]
    decisions: Path | None = None
    signals: Path | None = None
    waiting: dict[str, int] | None = None


class History(Struct, frozen=True, kw_only=True):
    """Every matured prediction of one model, in order of asking.

    Attributes:
        shows: the label that the facts of the rule lead to: True when they convert, False when their absence is churn.
        facts: the fact patterns of the label rule.
        customers: a number per customer, no id.
        asked_ms, due_ms, known_ms: when it was asked, when its horizon ended, when the label could be learned.
        served: the recorded probability, NaN while the model was cold.
        contestants: what each contestant said then, NaN where it was not asked.
        recognised: a scenario for the same need saw its condition within a horizon before the asking.
        slices: per attribute the customer's value, empty where unknown.
        quarantined: examples that were left out because they must not be learned, by reason.
        waiting: predictions whose label is not known yet; None when the files do not tell.
        events: promotions, drift and gaps that were decided on the way.
    """

    model: str
    kind: str
    features: tuple[str, ...]
    facts: tuple[str, ...]
    horizon_ms: int
    shows: bool
    enter_score: float
    kinds: tuple[str, ...]
    customers: Times
    asked_ms: Times
    due_ms: Times
    known_ms: Times
    values: Floats
    labels: Flags
    served: Floats
    contestants: dict[str, Floats]
    recognised: Flags
    has_scenarios: bool
    slices: dict[str, tuple[str, ...]]
    quarantined: dict[str, int]
    waiting: int | None
    events: tuple[ModelDecision, ...]


def of_folder(folder: Path) -> Sources | None:
    """The files of a finished replay in ``folder``, None when it holds no labelled examples."""
    examples = folder / f"{topics.LABELLED_EXAMPLES}.jsonl"
    if not examples.is_file():
        return None
    decisions = folder / f"{topics.DECISIONS}.jsonl"
    needs = folder / f"{topics.NEED_SIGNALS}.jsonl"
    return Sources(
        examples=(examples,),
        decisions=decisions if decisions.is_file() else None,
        signals=needs if needs.is_file() else None,
        waiting=_waiting(folder / "report.json"),
    )


def read(sources: Sources, definitions: Definitions) -> list[History]:
    """One history per declared model that has examples, in the order of the pack.

    Raises:
        NothingToJudge: no example is of a declared model and the pack's features.
        OSError, DamagedFile: a file cannot be read.
    """
    features = definitions.pack.features
    kept = {model.declared.name: _Kept(features) for model in definitions.models}
    others = 0
    for path in sources.examples:
        for example in _records(path, LabelledExample):
            if example.feature_set != definitions.feature_set:
                others += 1
            elif example.model in kept:
                kept[example.model].take(example)
    decisions, events = _decisions(sources.decisions)
    recognised = _recognised(decisions, _needs(sources.signals), definitions=definitions)
    histories = [
        _history(
            model,
            definitions,
            kept=kept[name].in_order(),
            recognised=recognised.get(name) if sources.decisions else None,
            counts=(kept[name].quarantined, _count(sources.waiting, name), tuple(events.get(name, ()))),
        )
        for model in definitions.models
        if kept[name := model.declared.name].examples
    ]
    if not histories:
        msg = "no matured example of a model of this pack" + (f"; {others:,} have other features" if others else "")
        raise NothingToJudge(msg)
    return histories


class _Kept:
    """The examples of one model that count, in the order of the file, each once."""

    def __init__(self, features: tuple[str, ...]) -> None:
        # Values as plain doubles: as Python floats they would take four times the memory.
        self.examples: list[tuple[LabelledExample, array[float]]] = []
        self.quarantined: dict[str, int] = {}
        self._guard = Guard(features)
        self._seen: set[tuple[str, str]] = set()

    def take(self, example: LabelledExample) -> None:
        """Keep an example that is neither a repetition nor one a learner refuses."""
        identity = (example.example_id, example.stage)
        if identity in self._seen:
            return
        self._seen.add(identity)
        reason = self._guard.judge(example)
        if reason:
            self.quarantined[reason] = self.quarantined.get(reason, 0) + 1
        elif example.stage == "final":
            self.examples.append((replace(example, features=()), array("d", example.features)))

    def in_order(self) -> tuple[list[LabelledExample], Floats]:
        """Examples and their values by time of asking; equal times by id, which tells nothing."""
        self.examples.sort(key=lambda each: (parse_rfc3339(each[0].predicted_at), each[0].example_id))
        return [example for example, _ in self.examples], np.array([values for _, values in self.examples])


def _count(counts: Mapping[str, int] | None, name: str) -> int | None:
    return None if counts is None else counts.get(name, 0)


def _history(
    model: CompiledModel,
    definitions: Definitions,
    *,
    kept: tuple[list[LabelledExample], Floats],
    recognised: Mapping[str, list[int]] | None,
    counts: tuple[dict[str, int], int | None, tuple[ModelDecision, ...]],
) -> History:
    declared, (examples, values) = model.declared, kept
    asked = [parse_rfc3339(example.predicted_at) for example in examples]
    due = np.array([parse_rfc3339(example.due_at) for example in examples], dtype=np.int64)
    numbers: dict[str, int] = {}
    customers = [numbers.setdefault(example.customer_id, len(numbers)) for example in examples]
    kinds = sorted({kind for example in examples for kind in example.contestants} - {LINE})
    attributes = sorted({name for example in examples for name in example.slices})
    seen = recognised or {}
    return History(
        model=declared.name,
        kind=declared.kind,
        features=definitions.pack.features,
        facts=declared.converts_on or declared.absence_of,
        horizon_ms=model.horizon_ms,
        shows=not declared.absence_of,
        enter_score=declared.enter_score,
        kinds=tuple(dict.fromkeys((declared.champion, *declared.challengers))),
        customers=np.array(customers, dtype=np.int64),
        asked_ms=np.array(asked, dtype=np.int64),
        due_ms=due,
        known_ms=due + definitions.allowed_lateness_ms,
        values=values,
        labels=np.array([example.label for example in examples], dtype=np.bool_),
        served=_shares(example.score for example in examples),
        contestants={kind: _shares(example.contestants.get(kind) for example in examples) for kind in kinds},
        recognised=np.array(
            [
                any(at_ms - model.horizon_ms < seen_ms <= at_ms for seen_ms in seen.get(example.customer_id, ()))
                for example, at_ms in zip(examples, asked, strict=True)
            ],
            dtype=np.bool_,
        ),
        has_scenarios=recognised is not None,
        slices={name: tuple(example.slices.get(name, "") for example in examples) for name in attributes},
        quarantined=counts[0],
        waiting=counts[1],
        events=counts[2],
    )


def _shares(said: Iterable[float | None]) -> Floats:
    return np.array([np.nan if share is None else share for share in said], dtype=np.float64)


_Record = Any


def _records(path: Path, kind: type[_Record]) -> Iterable[_Record]:
    """The records of a file; lines that are something else, such as tombstones, are passed over."""
    decoder = msgspec.json.Decoder(kind)
    for line in event_files.read_lines(path):
        try:
            yield decoder.decode(line)
        except msgspec.MsgspecError:
            continue


def _decisions(path: Path | None) -> tuple[list[Decision], dict[str, list[ModelDecision]]]:
    if path is None:
        return [], {}
    events: dict[str, dict[str, ModelDecision]] = {}
    for event in _records(path, ModelDecision):
        events.setdefault(event.model, {})[event.decision_id] = event
    in_order = {
        name: sorted(each.values(), key=lambda event: (event.event_time, event.decision_id))
        for name, each in events.items()
    }
    return list(_records(path, Decision)), in_order


class _Need(Struct):
    signal_id: str
    need: str


def _needs(path: Path | None) -> dict[str, str]:
    return {signal.signal_id: signal.need for signal in _records(path, _Need)} if path else {}


def _recognised(
    decisions: list[Decision], needs: Mapping[str, str], *, definitions: Definitions
) -> dict[str, dict[str, list[int]]]:
    """By model and customer when a scenario for it recognised something, whether or not it was let through."""
    meant: dict[str, set[str]] = {}
    subjects: dict[str, str] = {}
    for scenario in definitions.scenarios:
        declared = scenario.declared
        meant.setdefault(declared.id, set()).add(declared.need)
        subjects[declared.id] = declared.kind
    models = {model.declared.name: model.declared.kind for model in definitions.models}
    churn = [name for name, kind in models.items() if kind == "churn"]
    covered = [need for names in meant.values() for need in names]
    found: dict[str, dict[str, list[int]]] = {name: {} for name in models if name in covered}
    if "churn" in subjects.values():
        found |= {name: {} for name in churn}
    for decision in decisions:
        kind = subjects.get(decision.scenario)
        if kind is None:
            continue
        # One scenario may be declared for several products; then only its signal tells which was meant.
        several = meant[decision.scenario]
        need = needs.get(decision.signal_id or "") if len(several) > 1 else next(iter(several))
        for name in churn if kind == "churn" else [need or ""]:
            if name in found:
                found[name].setdefault(decision.customer_id, []).append(parse_rfc3339(decision.event_time))
    return found


def _waiting(report: Path) -> dict[str, int] | None:
    try:
        told = orjson.loads(report.read_bytes()).get("waiting")
    except (OSError, ValueError):
        return None
    return dict(told) if isinstance(told, dict) else None
