"""The simulated bank as tasks: churn and needs of its pack, from a replay of a simulated population.

In go a seed and a population's size, out come the examples of every model of the bank pack, asked when the replay
asked and due when the pack says. Equal seeds give equal tasks.
"""

import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from bench.quality.task import DAY_S, Question, Task, in_order

from needstream.schemas.signals import LabelledExample
from needstream.simulation import parameters, simulator
from needstream.streams import topics
from needstream.streams.packs import loader
from needstream.streams.replay import Replay, ReplayOptions

CUSTOMERS = 300
DAYS = 120
LATEST_MS = 1 << 42
"""The simulated year is given: nothing in it lies in the future."""


def tasks(seed: int) -> Iterator[Task]:
    """One task per model of the bank pack."""
    definitions = loader.load("bank")
    by_model: dict[str, list[Question]] = {}
    for example in _examples(seed):
        if example.stage == "final" and not example.quarantine:
            question = Question(
                _seconds(example.predicted_at), _seconds(example.due_at), tuple(example.features), example.label
            )
            by_model.setdefault(example.model, []).append(question)
    for model, questions in sorted(by_model.items()):
        days = (questions[0].due - questions[0].at) / DAY_S
        yield Task(
            name=f"bank {model}, seed {seed}",
            group=f"bank {model}",
            source=f"simulation, {CUSTOMERS} customers over {DAYS} days",
            licence="needstream",
            delay=f"{days:.0f} d",
            features=definitions.pack.features,
            questions=in_order(questions),
            recency="idle_days" if model == "churn" and "idle_days" in definitions.pack.features else None,
        )


def _examples(seed: int) -> Iterator[LabelledExample]:
    with tempfile.TemporaryDirectory(prefix="needstream-quality-") as scratch:
        source, said = Path(scratch) / "events", Path(scratch) / "said"
        source.mkdir()
        chosen = parameters.SimulationParameters(seed=seed, customers=CUSTOMERS, days=DAYS)
        simulator.write(simulator.simulate(chosen), source)
        Replay(loader.load("bank"), ReplayOptions(latest_ms=LATEST_MS)).run(source, said)
        decoder = msgspec.json.Decoder(LabelledExample)
        with (said / f"{topics.LABELLED_EXAMPLES}.jsonl").open("rb") as lines:
            for line in lines:
                yield decoder.decode(line)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
