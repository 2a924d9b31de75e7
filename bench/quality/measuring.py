"""Runs one task with every contender, or the drift, or the clock; each run stands alone and can have a process.

In go a task and which contestants a track has, out come figures. Equal tasks give equal figures.
"""

import time
from collections.abc import Callable

from bench.quality import contenders, differences, drift, figures, harness, rivals, simulated
from bench.quality.figures import Scored
from bench.quality.goals import (
    AS_SHIPPED,
    BASE_RATE,
    BATCH,
    LEARNING,
    LIGHTGBMS,
    SCORING,
    SERVED,
    SUFFIX,
    WINDOWED,
)
from bench.quality.report import Measured
from bench.quality.task import Task

from needstream.models.calibration import Calibrator
from needstream.models.pair import PairClassifier
from needstream.models.pair_scorer import PairScorer
from needstream.models.rules import Rules

SCORED_TOGETHER = 500
PACK_MODELS = 7
"""As many as the bank pack declares."""
TRACK = "learning of every contestant, refits and standings included, per example"
_ROUNDS = 20


def measure(task: Task, rules: Rules, *, as_shipped: bool = True) -> Measured:
    """The figures of one task, by line; ``as_shipped`` asks a track with the packs' own declaration too."""
    tracks = _tracks(task.features, rules, as_shipped=as_shipped)
    said: dict[str, Scored] = {}
    for contender in (*tracks, *_others(task)):
        said |= harness.judged(task.questions, contender)
    rivals_told = [line for line in (BASE_RATE, *LIGHTGBMS) if line in said]
    return Measured(
        task=task.name,
        group=task.group,
        source=task.source,
        licence=task.licence,
        delay=task.delay,
        note=task.note,
        features=len(task.features),
        examples=len(task.questions),
        positives=task.positives(),
        matured=task.matured(),
        champion=tracks[0].champion,
        champion_as_shipped=tracks[1].champion if as_shipped else "",
        lines={line: figures.of(scored) for line, scored in said.items()},
        differences={
            line: {rival: differences.between(said[line], said[rival]) for rival in rivals_told}
            for line in (SERVED, AS_SHIPPED)
            if line in said
        },
    )


def recover(seed: int, rules: Rules, *, as_shipped: bool = True) -> dict[str, drift.Recovery]:
    """How the served scores and the batch baselines come back after a drift, by line."""
    task = next(iter(simulated.tasks(seed)))
    questions = drift.questions([question.values for question in task.questions], seed)
    labels = [question.label for question in questions]
    asked: list[harness.Contender] = [*_tracks(task.features, rules, as_shipped=as_shipped)]
    if BATCH not in rivals.missing():
        asked.append(rivals.LightGbm(len(questions)))
        asked.append(rivals.LightGbm(len(questions), WINDOWED, newest=len(questions) // rivals.WINDOW))
    scores: dict[str, list[float]] = {}
    for contender in asked:
        scores |= harness.ask(questions, contender)
    kept = (SERVED, AS_SHIPPED, BATCH, WINDOWED)
    return {line: drift.recovery(scores[line], labels) for line in kept if line in scores}


def clock(task: Task, rules: Rules) -> dict[str, float]:
    """Microseconds of processor time per scored event, all models of a pack at once, and per learned example."""
    vectors = [question.values for question in task.questions[:SCORED_TOGETHER]]
    pair, calibrator = PairClassifier("pair", task.features), Calibrator()
    started = time.process_time()
    for question in task.questions:
        calibrator.learn(pair.logit(question.values), question.label)
        pair.learn(question.values, question.label)
    learning_us = (time.process_time() - started) / len(task.questions) * 1e6
    scorer = PairScorer([pair.export(calibrated=calibrator.export())] * PACK_MODELS)
    scoring_us = min(_timed(lambda: scorer.batch_scores(vectors)) for _ in range(_ROUNDS)) / len(vectors)
    tracked = contenders.Tracked(task.features, rules)
    said = [tracked.say(question.values) for question in task.questions]
    started = time.process_time()
    for question, each in zip(task.questions, said, strict=True):
        tracked.learn(question, said=each)
    track_us = (time.process_time() - started) / len(task.questions) * 1e6
    return {SCORING: scoring_us, LEARNING: learning_us, TRACK: track_us}


def _tracks(features: tuple[str, ...], rules: Rules, *, as_shipped: bool) -> list[contenders.Tracked]:
    tracks = [contenders.Tracked(features, rules)]
    if as_shipped:
        tracks.append(contenders.Tracked(features, contenders.SHIPPED, suffix=SUFFIX))
    return tracks


def _others(task: Task) -> list[harness.Contender]:
    found: list[harness.Contender] = [contenders.BaseRate()]
    if task.recency is not None:
        found.append(contenders.Recency(task.features, task.recency))
    missing = rivals.missing()
    if BATCH not in missing:
        found += rivals.all_of(len(task.questions))
    if rivals.VOWPAL not in missing:
        found.append(rivals.VowpalWabbit(len(task.features)))
    return found


def _timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1e6
