"""Runs one task with every contender, or the drift, or the clock; each run stands alone and can have a process.

In go a task and which contestants a track has, out come figures. Equal tasks give equal figures.
"""

import time
from collections.abc import Callable

from bench.quality import contenders, drift, harness, rivals, simulated
from bench.quality.figures import Figures
from bench.quality.goals import BATCH, LEARNING, SCORING, SERVED
from bench.quality.report import Measured
from bench.quality.task import Task

from needstream.models.calibration import Calibrator
from needstream.models.pair import PairClassifier
from needstream.models.pair_scorer import PairScorer
from needstream.models.rules import Rules

SCORED_TOGETHER = 500
PACK_MODELS = 6
TRACK = "learning of every contestant, refits and standings included, per example"
_ROUNDS = 20


def measure(task: Task, rules: Rules) -> Measured:
    """The figures of one task, by line."""
    tracked = contenders.Tracked(task.features, rules)
    lines: dict[str, Figures] = {}
    for contender in (tracked, *_others(task)):
        lines |= harness.judge(task.questions, contender)
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
        champion=tracked.champion,
        lines=lines,
    )


def recover(seed: int, rules: Rules) -> dict[str, drift.Recovery]:
    """How the served score and the batch baseline come back after a drift, by line."""
    task = next(iter(simulated.tasks(seed)))
    questions = drift.questions([question.values for question in task.questions], seed)
    labels = [question.label for question in questions]
    said = harness.ask(questions, contenders.Tracked(task.features, rules))
    scores = {SERVED: said[SERVED]}
    if BATCH not in rivals.missing():
        scores |= harness.ask(questions, rivals.LightGbm(len(questions)))
    return {line: drift.recovery(each, labels) for line, each in scores.items()}


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


def _others(task: Task) -> list[harness.Contender]:
    found: list[harness.Contender] = [contenders.BaseRate()]
    if task.recency is not None:
        found.append(contenders.Recency(task.features, task.recency))
    missing = rivals.missing()
    if BATCH not in missing:
        found.append(rivals.LightGbm(len(task.questions)))
    if rivals.VOWPAL not in missing:
        found.append(rivals.VowpalWabbit(len(task.features)))
    return found


def _timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1e6
