"""Quality of the pair against its halves and the plain online model: ``python -m bench.pair_quality``.

Every model is asked about an example at its time and learns it when its answer is due; figures are of the
second half of each stream. Streams: the labelled examples of a replay (``--examples``), asked both when
predicted and when they matured, and the public data sets in the folder of ``NEEDSTREAM_DATA``, if set.
"""

import argparse
import heapq
import os
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from bench.pair_streams import Example, at_maturity, public, simulated

from needstream.models import linear, prequential
from needstream.models.calibration import Calibrator
from needstream.models.online_model import OnlineModel
from needstream.models.pair import PairClassifier

WINDOW = 1000
BINS = 10

Scored = list[tuple[float, bool]]


class Contestants(Protocol):
    """Some models that learn the same examples."""

    names: tuple[str, ...]

    def scores(self, values: Sequence[float]) -> tuple[float, ...]:
        """What each says of ``values``."""

    def learn(self, values: Sequence[float], label: bool) -> None:
        """Let each learn an example."""


class Plain:
    """The linear online model."""

    names = ("online model",)

    def __init__(self, features: tuple[str, ...]) -> None:
        self._model = OnlineModel("plain", features)

    def scores(self, values: Sequence[float]) -> tuple[float, ...]:
        """One score."""
        return (self._model.score(values),)

    def learn(self, values: Sequence[float], label: bool) -> None:
        """Learn an example."""
        self._model.learn(values, label)


class Pair:
    """The pair, each of its halves, and the pair calibrated."""

    names = ("A scaled", "B buckets", "A+B", "A+B calibrated")

    def __init__(self, features: tuple[str, ...]) -> None:
        self._model = PairClassifier("pair", features)
        self._calibrator = Calibrator()

    def scores(self, values: Sequence[float]) -> tuple[float, ...]:
        """Four scores."""
        scaled, bucketed = self._model.logits(values)
        raw = (scaled + bucketed) / 2
        calibrated = self._calibrator.export().logit(raw)
        return tuple(map(linear.sigmoid, (scaled, bucketed, raw, calibrated)))

    def learn(self, values: Sequence[float], label: bool) -> None:
        """Learn an example; the calibration learns what the pair said just before."""
        self._calibrator.learn(self._model.logit(values), label)
        self._model.learn(values, label)


def main() -> None:
    """Run every stream, print a line per stream and model."""
    parser = argparse.ArgumentParser(prog="python -m bench.pair_quality", description=__doc__)
    parser.add_argument("--examples", type=Path, help="labelled-examples.v1.jsonl of a replay")
    chosen = parser.parse_args()
    print(f"{'stream':<26}{'model':<16}{'AUC':>7}{'AUC win':>9}{'log loss':>10}{'worst win':>10}{'ECE':>8}")
    for stream, examples in _streams(chosen.examples):
        positives = sum(example.label for example in examples)
        print(f"{stream}: {len(examples):,} examples, {positives:,} positive, {len(examples[0].values)} features")
        features = tuple(f"f{place}" for place in range(len(examples[0].values)))
        for contestants in (Plain(features), Pair(features)):
            for name, scored in _judged(contestants, examples):
                print(f"{'':<26}{name:<16}{_figures(scored[len(scored) // 2 :])}", flush=True)


def _streams(examples: Path | None) -> Iterator[tuple[str, list[Example]]]:
    found = list(simulated(examples)) if examples else []
    if folder := os.environ.get("NEEDSTREAM_DATA"):
        found.extend(public(Path(folder)))
    for stream, asked in found:
        delayed = any(example.due > example.at for example in asked)
        if delayed:
            yield f"{stream}, at maturity", at_maturity(asked)
        yield f"{stream}, delayed" if delayed else stream, asked


def _judged(contestants: Contestants, examples: list[Example]) -> Iterator[tuple[str, Scored]]:
    """Ask in order of time; learn what is due before the next question, and never earlier."""
    pending: list[tuple[float, int]] = []
    said = []
    for place, example in enumerate(examples):
        while pending and pending[0][0] <= example.at:
            answered = examples[heapq.heappop(pending)[1]]
            contestants.learn(answered.values, answered.label)
        said.append(contestants.scores(example.values))
        heapq.heappush(pending, (example.due, place))
    labels = [example.label for example in examples]
    for name, scores in zip(contestants.names, zip(*said, strict=True), strict=True):
        yield name, list(zip(scores, labels, strict=True))


def _figures(scored: Scored) -> str:
    windows = [scored[start : start + WINDOW] for start in range(0, len(scored) - WINDOW + 1, WINDOW)] or [scored]
    areas = [area for window in windows if (area := prequential.roc_auc(sorted(window))) is not None]
    pooled = prequential.roc_auc(sorted(scored)) or 0.0
    windowed = statistics.mean(areas) if areas else 0.0
    worst = max(map(_log_loss, windows))
    return f"{pooled:7.3f}{windowed:9.3f}{_log_loss(scored):10.4f}{worst:10.4f}{_calibration_error(scored):8.4f}"


def _log_loss(scored: Scored) -> float:
    return statistics.mean(prequential.log_loss(score, label) for score, label in scored)


def _calibration_error(scored: Scored) -> float:
    """Expected calibration error over bins of equal mass."""
    ranked, count = sorted(scored), len(scored)
    bins = [ranked[place * count // BINS : (place + 1) * count // BINS] for place in range(BINS)]
    return sum(abs(sum(score for score, _ in each) - sum(label for _, label in each)) for each in bins) / count


if __name__ == "__main__":
    main()
