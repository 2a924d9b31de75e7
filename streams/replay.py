"""The second shell: files in, files out, through the same partition and step as the worker.

Input files are named by topic (``clickstream.v1.jsonl``, also ``.gz``), one event per line in
order of arrival. The same input gives byte-identical output; nothing in it is a clock reading.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import msgspec
import orjson
from msgspec import Struct

from needstream.models import track
from needstream.models.learner import Learner
from needstream.models.scorer import Scorer
from needstream.schemas import codecs, identities, signals, state
from needstream.schemas.dead_letters import DeadLetter, Rejected
from needstream.streams import event_files, model_files, outputs, topics
from needstream.streams.pipeline import emissions, inputs, learning
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.partition import Partition
from needstream.streams.receipts import Receipts

FLUSH_EVERY = 50_000
OUTPUTS = (
    topics.NEED_SIGNALS,
    topics.CHURN_ALERTS,
    topics.ALERTS,
    topics.PROFILES,
    topics.DECISIONS,
    topics.LABELLED_EXAMPLES,
    topics.ERASURE_RECEIPTS,
)


class ReplayOptions(Struct, frozen=True, kw_only=True):
    """How to read the input.

    Attributes:
        latest_ms: newest acceptable event time, milliseconds.
        shuffle_ms: shuffle arrivals by at most this much event time; 0 leaves them alone.
        models: a file of signed snapshots to score with; learning is off then.
        model_key: the key the snapshots are signed with.
    """

    latest_ms: int
    shuffle_ms: int = 0
    seed: int = 0
    models: Path | None = None
    model_key: bytes = b"needstream"


class MemoryStore:
    """Snapshots in a dictionary."""

    def __init__(self) -> None:
        self._stored: dict[str, bytes] = {}

    def get(self, customer_id: str) -> bytes | None:
        """The stored snapshot, None for an unknown customer."""
        return self._stored.get(customer_id)

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Every stored snapshot."""
        return iter(self._stored.items())

    def write(self, snapshots: dict[str, bytes | None], _through: int = -1) -> None:
        """Take over what a partition flushed."""
        for customer_id, stored in snapshots.items():
            if stored is None:
                self._stored.pop(customer_id, None)
            else:
                self._stored[customer_id] = stored

    def __len__(self) -> int:
        return len(self._stored)


class Replay:
    """One run over a folder of files."""

    def __init__(self, definitions: Definitions, options: ReplayOptions) -> None:
        self._definitions = definitions
        self._options = options
        self.scorer = Scorer(definitions.readiness(), is_pinned=options.models is not None)
        rules = learning.rules(definitions)
        features = definitions.pack.features
        self.learner: Learner | None = None
        if options.models is None:
            self.learner = Learner(rules, features, scorer=self.scorer)
        else:
            for model in model_files.read(options.models, key=options.model_key, features=features):
                if model.name in rules:
                    self.scorer.publish(track.readied(model, rules[model.name]))
        self._store = MemoryStore()
        self._partition = Partition(topics.MERGED, definitions, scorer=self.scorer, store=self._store)
        names_learning = tuple(model.declared.name for model in definitions.models)
        self._receipts = Receipts(names_learning, options.model_key)
        self.counts: Counter[str] = Counter()

    def run(
        self,
        source: Path,
        target: Path,
        *,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> dict[str, Any]:
        """Replay every file of ``source`` into ``target``.

        Returns:
            The report, as written to ``report.json``.

        Raises:
            FileNotFoundError: no input file in ``source``.
        """
        paths = event_files.find(source)
        target.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            files = {
                topic: stack.enter_context((target / f"{topic}.jsonl").open("wb"))
                for topic in (*OUTPUTS, topics.DEAD_LETTERS)
            }
            for emission in self._emissions(paths, files[topics.DEAD_LETTERS], on_progress=on_progress):
                self._write(emission, files)
        self._write_models(target)
        report = self._report()
        options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
        (target / "report.json").write_bytes(orjson.dumps(report, option=options))
        return report

    def _emissions(
        self, paths: Mapping[str, Path], letters: IO[bytes], *, on_progress: Callable[[int], None]
    ) -> Iterator[emissions.Emission]:
        partition = self._partition
        readers = {topic: self._arrivals(topic, path, letters=letters) for topic, path in paths.items()}
        newest_ms = dict.fromkeys(readers, -1)
        at_end = {topic for topic in topics.MERGED if topic not in readers}
        pushed = messages = 0
        while readers:
            # The input that is furthest behind is read next, so that little has to be held back.
            topic = min(readers, key=newest_ms.__getitem__)
            arrival = next(readers[topic], None)
            if arrival is None:
                del readers[topic]
                at_end.add(topic)
            else:
                newest_ms[topic] = max(newest_ms[topic], arrival.at_ms)
                partition.push(arrival)
                pushed += 1
            for emission in partition.advance(at_end):
                if isinstance(emission, identities.IdentityMessage):
                    partition.push(inputs.arrival(emission, topics.IDENTITIES, offset=messages))
                    messages += 1
                yield emission
            if pushed % FLUSH_EVERY == 0:
                self._store.write(partition.flush())
                on_progress(pushed)
        self._store.write(partition.flush())
        on_progress(pushed)

    def _arrivals(self, topic: str, path: Path, *, letters: IO[bytes]) -> Iterator[inputs.Arrival]:
        """The events of a file as a broker would have numbered them; what cannot be decoded becomes a dead letter."""
        decoded = self._decoded(topic, path, letters=letters)
        if self._options.shuffle_ms:
            decoded = _shuffled(decoded, self._options.shuffle_ms, seed=self._options.seed)
        for offset, (event, _) in enumerate(decoded):
            yield inputs.arrival(event, topic, offset=offset)

    def _decoded(self, topic: str, path: Path, *, letters: IO[bytes]) -> Iterator[tuple[codecs.AnyMessage, int]]:
        family = topic.partition(".")[0]
        for place, line in enumerate(event_files.read_lines(path)):
            self.counts["records"] += 1
            decoded = codecs.decode(line, family=family, latest_ms=self._options.latest_ms)
            if not isinstance(decoded, Rejected):
                yield decoded, inputs.at_ms(decoded)
                continue
            self.counts[f"dead_letter.{decoded.reason.value}"] += 1
            letter = DeadLetter(
                topic=topic,
                partition=0,
                offset=place,
                reason=decoded.reason,
                field=decoded.field,
                detail=decoded.detail,
                remedy=decoded.remedy,
                key=None,
                value=line,
            )
            letters.write(outputs.dead_letter_line(letter) + b"\n")

    def _write(self, emission: emissions.Emission | signals.ModelDecision, files: Mapping[str, IO[bytes]]) -> None:
        self.counts[f"emission.{type(emission).__name__}"] += 1
        for written in outputs.records(emission, receipts=self._receipts):
            if written.topic in files:
                files[written.topic].write((written.value or _removed(written.key)) + b"\n")
        if isinstance(emission, signals.LabelledExample) and self.learner is not None:
            for decision in self.learner.learn(emission):
                self._write(decision, files)
        elif isinstance(emission, signals.Signal):
            self.counts[f"signal.{emission.scenario}"] += 1
        elif isinstance(emission, signals.ModelDecision):
            self.counts[f"model.{emission.model}.{emission.event}"] += 1
        elif isinstance(emission, signals.Decision) and emission.verdict == "suppressed":
            self.counts[f"suppressed.{emission.gate}"] += 1

    def _write_models(self, target: Path) -> None:
        models = self.learner.standings() if self.learner else self.scorer.published()
        model_files.write(models, target / f"{topics.MODEL_SNAPSHOTS}.jsonl", key=self._options.model_key)

    def _report(self) -> dict[str, Any]:
        quality = self.learner.quality() if self.learner else []
        return {
            "pack": self._definitions.version,
            "customers": sum(key.isprintable() for key, _ in self._store.items()),
            "counts": dict(sorted(self.counts.items())),
            "models": [msgspec.structs.asdict(each) for each in quality],
            "slices": [msgspec.structs.asdict(each) for each in (self.learner.slices() if self.learner else [])],
            "quarantined": _quarantined(self.learner),
            "learning": self.learner is not None,
            "waiting": _waiting(self._store),
        }


def _quarantined(learner: Learner | None) -> dict[str, int]:
    found = learner.quarantined() if learner else {}
    return {f"{model}.{reason}": count for (model, reason), count in found.items()}


def _waiting(store: MemoryStore) -> dict[str, int]:
    """How many predictions of each model have no label yet."""
    stored = (state.restore(value) for key, value in store.items() if key.isprintable())
    asked = (name for each in stored for prediction in state.opened(each) for name in prediction.asks)
    return dict(sorted(Counter(asked).items()))


def _removed(key: bytes) -> bytes:
    """What stands in a file for a record without a value: nothing is left of this key."""
    return orjson.dumps({"customer_id": key.decode(), "removed": True})


def _shuffled(
    decoded: Iterator[tuple[codecs.AnyMessage, int]], within_ms: int, *, seed: int
) -> Iterator[tuple[codecs.AnyMessage, int]]:
    """Delay each event by a random share of ``within_ms`` of event time."""
    delays = random.Random(seed)
    waiting: list[tuple[int, int, codecs.AnyMessage, int]] = []
    for place, (event, at_ms) in enumerate(decoded):
        heapq.heappush(waiting, (at_ms + delays.randrange(within_ms), place, event, at_ms))
        while waiting and waiting[0][0] <= at_ms:
            _, _, ready, ready_ms = heapq.heappop(waiting)
            yield ready, ready_ms
    while waiting:
        _, _, ready, ready_ms = heapq.heappop(waiting)
        yield ready, ready_ms
