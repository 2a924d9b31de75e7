"""What a run left behind on its topics, in a form two runs can be compared in.

In: the records of the topics, each in order of partition and offset. Out: an `Observation`. An output is known by its
CloudEvents id, a dead letter by where its record came from, and anything else by its own bytes. Processing time is left
out, everything else counts.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from needstream.schemas import state
from needstream.streams import topics
from needstream.streams.pipeline import deduplicator

PROCESSING_TIME = "decided_at"
ORDERED = (topics.DECISIONS, topics.PROFILES)
"""Topics on which a customer's event time never goes back."""

Payload = Mapping[str, Any]
Delivered = Mapping[bytes, Mapping[str, Iterable[int]]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as it was read; `origin` is its topic and partition as a state writes them."""

    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)
    origin: str = ""
    offset: int = -1


@dataclass(frozen=True, slots=True)
class Model:
    """The newest snapshot of one model."""

    version: int
    examples: int


@dataclass(slots=True)
class Observation:
    """A run's outputs, customer states and models.

    Attributes:
        outputs: per topic the payloads that were sent under each id; more than one when they differ.
        sent: per topic the number of records, repetitions included.
        disorder: per ordered topic how often a customer's event time went back between first-seen records.
        states: the fields of every customer that was not removed, by key; `applied` is, for each origin, how many of
            the customer's own records the state does not know as applied.
        models: the newest snapshot by model name.
        examples: how many distinct labelled examples each model has.
        unreadable: how many states could not be read.
    """

    outputs: dict[str, dict[str, list[Payload]]] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    disorder: Counter[str] = field(default_factory=Counter)
    states: dict[bytes, Payload] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    examples: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0


def compared_topics() -> list[str]:
    """The topics that are compared record by record: whatever a worker writes, but for models."""
    return [
        topic.name
        for topic in topics.TABLE
        if topic.role is not topics.Role.INPUT and topic.name != topics.MODEL_SNAPSHOTS
    ]


def observe(records: Mapping[str, Iterable[Entry]], *, changelog: Iterable[Entry]) -> Observation:
    """Return what the records of the compared topics, the models and the changelog say.

    Args:
        records: by topic, inputs too; a topic that is absent is empty.
        changelog: the changelog of customer states.
    """
    seen = Observation()
    for topic in compared_topics():
        _take_outputs(seen, topic, entries=records.get(topic, ()))
    for name in seen.outputs[topics.LABELLED_EXAMPLES].values():
        seen.examples[str(name[0].get("model"))] += 1
    _take_states(seen, changelog, delivered=_delivered(records, rejected=seen.outputs[topics.DEAD_LETTERS]))
    for entry in records.get(topics.MODEL_SNAPSHOTS, ()):
        if entry.value is not None:
            told = orjson.loads(entry.value)
            seen.models[told["model"]] = Model(told["version"], told["examples"])
    return seen


def identity(entry: Entry) -> str:
    """The id under which a record would be recognised when it is sent again."""
    if "ce_id" in entry.headers:
        return entry.headers["ce_id"].decode()
    origin = [entry.headers.get(f"__streams.errors.{part}", b"").decode() for part in ("topic", "partition", "offset")]
    if origin[0]:
        return "/".join(origin)
    return hashlib.blake2b(repr((entry.key, entry.value)).encode(), digest_size=16).hexdigest()


def payload(entry: Entry) -> Payload:
    """The fields of a record, without processing time; bytes that are no JSON object are one field."""
    try:
        told = orjson.loads(entry.value or b"")
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return {"bytes": entry.value}
    told.pop(PROCESSING_TIME, None)
    return told


def _take_outputs(seen: Observation, topic: str, *, entries: Iterable[Entry]) -> None:
    by_id: defaultdict[str, list[Payload]] = defaultdict(list)
    newest: dict[str, str] = {}
    for entry in entries:
        seen.sent[topic] += 1
        told = payload(entry)
        known = by_id[identity(entry)]
        if told in known:
            continue
        if topic in ORDERED and not known:
            customer, at = str(told.get("customer_id")), str(told.get("event_time"))
            # RFC 3339 text of one length and one zone sorts as its times do.
            seen.disorder[topic] += at < newest.get(customer, "")
            newest[customer] = max(at, newest.get(customer, ""))
        known.append(told)
    seen.outputs[topic] = dict(by_id)


def _delivered(records: Mapping[str, Iterable[Entry]], *, rejected: Container[str]) -> Delivered:
    """By key and origin the offsets of the input records that were no dead letters."""
    found: defaultdict[bytes, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for topic in topics.INPUTS:
        for entry in records.get(topic, ()):
            place = f"{topic}/{entry.origin.rpartition('-')[2]}/{entry.offset}"
            if entry.key is not None and place not in rejected:
                found[entry.key][entry.origin].append(entry.offset)
    return found


def _take_states(seen: Observation, changelog: Iterable[Entry], *, delivered: Delivered) -> None:
    newest: dict[bytes, bytes | None] = {}
    for entry in changelog:
        newest[entry.key or b""] = entry.value
    for key, stored in newest.items():
        if stored is None or key == state.PARTITION_KEY.encode():
            continue
        try:
            seen.states[key] = _fields(state.restore(stored), delivered.get(key, {}))
        except state.StateVersionError:
            seen.unreadable += 1


def _fields(restored: state.CustomerState, delivered: Mapping[str, Iterable[int]]) -> Payload:
    told = msgspec.structs.asdict(restored)
    told["predictions"] = state.opened(restored)
    del told["shared"]  # of how they are kept
    # How offsets fold into one number depends on batch borders. What they say of the customer's own records does not.
    told["applied"] = {
        origin: sum(
            not deduplicator.applied(restored, state.PLACES[origin.rpartition("-")[0]], offset=offset)
            for offset in offsets
        )
        for origin, offsets in delivered.items()
    }
    return told
