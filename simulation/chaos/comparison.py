"""Whether two runs over one log said and remembered the same; where they differ, by field and count, not by customer.

In: two observations. Out: a `Comparison`. With pinned models everything must be equal. While models learn, scores
depend on when a model was published, so the fields named in `SCORED_FIELDS` and `SCORED_STATE` and the topics in
`SCORED_TOPICS` are not judged; each example must then have been learned exactly once.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from needstream.schemas.pending import Prediction
from needstream.simulation.chaos.observations import Observation, Payload
from needstream.streams import topics

SCORED_TOPICS = frozenset({topics.NEED_SIGNALS, topics.CHURN_ALERTS, topics.ALERTS, topics.DECISIONS})
"""What is said depends on scores and on what was said before; reported while models learn, not judged."""

SCORED_FIELDS: Mapping[str, frozenset[str]] = {
    topics.LABELLED_EXAMPLES: frozenset({"score", "model_version", "contestants"}),
    topics.PROFILES: frozenset({"scores", "open_scenarios"}),
}
SCORED_STATE = frozenset({"armings", "spoken", "unusual"})
"""Fields of a state that follow from what was said; of predictions, what models said is left out as well."""


@dataclass(slots=True)
class TopicDifference:
    """One topic of the run against the uninterrupted one."""

    sent: int = 0
    distinct: int = 0
    duplicates: int = 0
    missing: int = 0
    extra: int = 0
    contradicting: int = 0
    """Ids sent with more than one payload."""
    fields: Counter[str] = field(default_factory=Counter)
    judged: bool = True
    examples: list[str] = field(default_factory=list)
    """A few of the ids concerned, for the files of a run; they may name customers."""

    @property
    def duplicate_share(self) -> float:
        """Share of the records that repeated an earlier one, 0 to 1."""
        return self.duplicates / self.sent if self.sent else 0.0

    @property
    def equal(self) -> bool:
        """Whether the ids and payloads are the same ones."""
        return not (self.missing or self.extra or self.contradicting or self.fields)


@dataclass(slots=True)
class StateDifference:
    """The customer states of the run against those of the uninterrupted one."""

    customers: int = 0
    missing: int = 0
    extra: int = 0
    unreadable: int = 0
    differing: int = 0
    fields: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether every state is equal in what is judged."""
        return not (self.missing or self.extra or self.unreadable or self.differing)


@dataclass(slots=True)
class Comparison:
    """Every difference of two runs."""

    topics: dict[str, TopicDifference]
    states: StateDifference
    disorder: Counter[str]
    learned_wrongly: dict[str, tuple[int, int]]
    """Per model: distinct examples, and how many its newest snapshot has learned."""

    @property
    def findings(self) -> list[str]:
        """What is wrong, one line each; empty when the runs are equal."""
        lines = [f"{name}: {_told(each)}" for name, each in self.topics.items() if each.judged and not each.equal]
        if not self.states.equal:
            lines.append(f"customer states: {_told(self.states)}")
        for name, count in self.disorder.items():
            if count:
                lines.append(f"{name}: event time of a customer went back {count} times")
        for model, (examples, learned) in self.learned_wrongly.items():
            lines.append(f"model {model}: {examples} distinct examples, {learned} learned")
        return lines

    @property
    def equal(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


MOST_EXAMPLES = 5


def compare(expected: Observation, actual: Observation, *, learning: bool) -> Comparison:
    """Compare a run with the uninterrupted one over the same log.

    Args:
        expected: of the uninterrupted run.
        actual: of the run that was disturbed.
        learning: models learned meanwhile, in both.
    """
    return Comparison(
        topics={topic: _topic(topic, expected, actual=actual, learning=learning) for topic in expected.outputs},
        states=_states(expected, actual, learning=learning),
        disorder=Counter({topic: count for topic, count in actual.disorder.items() if count}),
        learned_wrongly=learned_wrongly(actual) if learning else {},
    )


def _topic(topic: str, expected: Observation, *, actual: Observation, learning: bool) -> TopicDifference:
    before, after = expected.outputs[topic], actual.outputs.get(topic, {})
    left_out = SCORED_FIELDS.get(topic, frozenset()) if learning else frozenset()
    found = TopicDifference(
        sent=actual.sent[topic],
        distinct=len(after),
        duplicates=actual.sent[topic] - len(after),
        judged=not (learning and topic in SCORED_TOPICS),
    )
    for identity in before.keys() | after.keys():
        wanted = _distinct(before.get(identity, ()), left_out)
        sent = _distinct(after.get(identity, ()), left_out)
        if not sent:
            found.missing += 1
        elif not wanted:
            found.extra += 1
        elif _same(wanted, sent):
            continue
        elif len(sent) > len(wanted):
            found.contradicting += 1
            found.fields.update(_fields_apart(sent[0], sent[-1]))
        else:
            found.fields.update(_fields_apart(wanted[0], sent[0]))
        _note(found.examples, identity)
    return found


def _states(expected: Observation, actual: Observation, *, learning: bool) -> StateDifference:
    found = StateDifference(customers=len(actual.states), unreadable=actual.unreadable)
    for key in expected.states.keys() | actual.states.keys():
        wanted, kept = expected.states.get(key), actual.states.get(key)
        if kept is None:
            found.missing += 1
        elif wanted is None:
            found.extra += 1
        else:
            shape: Callable[[Payload], Payload] = _unscored if learning else dict
            apart = _fields_apart(shape(wanted), shape(kept))
            if not apart:
                continue
            found.differing += 1
            found.fields.update(apart)
        _note(found.examples, key.decode(errors="replace"))
    return found


def learned_wrongly(actual: Observation) -> dict[str, tuple[int, int]]:
    """The models whose newest snapshot has not learned each distinct example exactly once: examples, and learned."""
    wrong = {}
    for model in sorted(actual.examples.keys() | actual.models.keys()):
        examples, newest = actual.examples[model], actual.models.get(model)
        # Quarantined examples are taken in and not learned: the version counts both.
        taken_in = newest.version if newest else 0
        if taken_in != examples:
            wrong[model] = (examples, taken_in)
    return wrong


def _unscored(told: Payload) -> Payload:
    kept = {name: part for name, part in told.items() if name not in SCORED_STATE}
    kept["predictions"] = [_without_score(prediction) for prediction in told["predictions"]]
    return kept


def _without_score(prediction: Prediction) -> tuple[Any, ...]:
    asks = {name: (ask.due_ms, ask.converted) for name, ask in prediction.asks.items()}
    return prediction.made_ms, prediction.features, prediction.feature_set, asks


def _distinct(payloads: Iterable[Payload], left_out: frozenset[str]) -> list[Payload]:
    kept: list[Payload] = []
    for each in payloads:
        judged = {name: part for name, part in each.items() if name not in left_out}
        if judged not in kept:
            kept.append(judged)
    return kept


def _same(wanted: list[Payload], sent: list[Payload]) -> bool:
    return len(wanted) == len(sent) and all(each in sent for each in wanted)


def _fields_apart(one: Payload, other: Payload) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _note(examples: list[str], identity: str) -> None:
    if len(examples) < MOST_EXAMPLES:
        examples.append(identity)


def _told(found: TopicDifference | StateDifference) -> str:
    names = ("missing", "extra", "contradicting", "unreadable", "differing")
    parts = [f"{count} {name}" for name in names if (count := getattr(found, name, 0))]
    if found.fields:
        parts.append("fields " + ", ".join(f"{name} x{count}" for name, count in found.fields.most_common()))
    return "; ".join(parts)
