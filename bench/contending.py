"""What a contender is given and what it reports: the contract between the harness and every contender.

A contender is a module of ``bench/contenders``, started in a process of its own that is pinned to one core::

    python -m needstream.bench.contenders.NAME --job full --bootstrap HOST:PORT --group G --prefix P- --models FILE
        --events N --warm-up W --partitions 4 --report FILE

It reads ``job.INPUT_TOPICS`` from the earliest offset in the consumer group ``G``, does ``job.Job.open(name, models)``
on each record, keeps its states in a changelog (``P-changelog``, compacted, exists; a framework with its own changelog
topics makes them) and sends each output to the topic ``P-`` + the output's topic (they exist, as many partitions as the
inputs). It ends by itself once ``N`` records have been processed and what they changed and said is durable.

All records have a timestamp in the order of their event times over all topics: of two records the one that happened
earlier has the smaller timestamp, no two are equal. A contender that merges its inputs merges by it.

``Progress`` notes wall and CPU time when ``W`` and when ``N`` records were durable, and writes the report.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHANGELOG = "changelog"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a contender has to do; ``events`` and ``warm_up`` are counts of records."""

    job: str
    bootstrap: str
    group: str
    prefix: str
    models: Path | None
    events: int
    warm_up: int
    partitions: int
    report: Path

    @property
    def changelog(self) -> str:
        """The topic of the states."""
        return self.prefix + CHANGELOG


def task(arguments: Sequence[str] | None = None) -> Task:
    """The task of this process's command line."""
    parser = argparse.ArgumentParser()
    for name in ("job", "bootstrap", "group", "prefix"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--warm-up", type=int)
    parser.add_argument("--partitions", type=int, default=4)
    given = vars(parser.parse_args(arguments))
    if given["warm_up"] is None:
        given["warm_up"] = given["events"] // 10
    return Task(**given)


class Progress:
    """Takes the times of one run; call ``durable`` after each batch, ``finish`` at the end."""

    def __init__(self, chosen: Task) -> None:
        self._task = chosen
        self._marks: list[dict[str, float]] = []
        self._facts: dict[str, Any] = {}

    def durable(self, count: int) -> bool:
        """Note that so many records are processed and durable by now; tell whether these are all."""
        if len(self._marks) == 0 and count >= self._task.warm_up:
            self._mark(count)
        if len(self._marks) == 1 and count >= self._task.events:
            self._mark(count)
        return count >= self._task.events

    def finish(self, *, outputs: int, **facts: Any) -> None:
        """Write the report.

        Args:
            outputs: how many records were sent to output topics.
            facts: whatever is worth knowing; what makes a comparison unfair under ``notes``, a list of sentences.
        """
        report = {"marks": self._marks, "outputs": outputs, **self._facts, **facts}
        self._task.report.write_text(json.dumps(report), encoding="utf-8")

    def _mark(self, count: int) -> None:
        self._marks.append({"events": count, "monotonic_s": time.monotonic(), "cpu_s": cpu_seconds()})


def cpu_seconds() -> float:
    """CPU seconds of this process, all threads, and of its children that ended."""
    spent = os.times()
    return time.process_time() + spent.children_user + spent.children_system
