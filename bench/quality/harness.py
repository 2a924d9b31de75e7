"""Ask in order of time, let learn what is due, judge what was said: prequential with delayed labels.

In go a task and a contender, out come the probabilities said at question time. A contender meets a label
only when it is due, and never sees the question's own: nothing it could do lets it peek.
"""

import heapq
from collections.abc import Mapping, Sequence
from typing import Protocol

from bench.quality import figures
from bench.quality.figures import Scored
from bench.quality.task import Question
from msgspec import Struct


class Said(Struct, frozen=True):
    """The answer to one question.

    ``lines`` is the probability by line: one contender may speak for several. ``served_by`` tells the contender,
    when it learns, who was served; no line is called by it.
    """

    lines: Mapping[str, float]
    served_by: str = ""


class Contender(Protocol):
    """Something that is asked and learns."""

    def say(self, values: Sequence[float]) -> Said:
        """The probability of a true label, by the same lines every time."""

    def learn(self, question: Question, *, said: Said) -> None:
        """Learn a matured label; ``said`` is what it said to that question."""


def ask(questions: Sequence[Question], contender: Contender) -> dict[str, list[float]]:
    """What was said to each question by line, in the order of the questions.

    Labels due at the moment of a question are learned before it, in order of their due times.

    Raises:
        ValueError: the questions are not in order of time, an answer is due before its question, or the contender
            speaks by other lines than before.
    """
    pending: list[tuple[float, int, Said]] = []
    lines: dict[str, list[float]] = {}
    now = float("-inf")
    for place, question in enumerate(questions):
        if question.at < now or question.due < question.at:
            msg = f"question {place} is out of order: {now=}, at={question.at}, due={question.due}"
            raise ValueError(msg)
        now = question.at
        while pending and pending[0][0] <= now:
            _, asked, answer = heapq.heappop(pending)
            contender.learn(questions[asked], said=answer)
        said = contender.say(question.values)
        if place and said.lines.keys() != lines.keys():
            msg = f"question {place} is answered by {sorted(said.lines)}, those before it by {sorted(lines)}"
            raise ValueError(msg)
        for line, probability in said.lines.items():
            lines.setdefault(line, []).append(probability)
        heapq.heappush(pending, (question.due, place, said))
    return lines


def judged(questions: Sequence[Question], contender: Contender) -> dict[str, Scored]:
    """What was said to the second half of the questions, with the labels, by line."""
    half = len(questions) // 2
    labels = [question.label for question in questions[half:]]
    said = ask(questions, contender)
    return {line: list(zip(scores[half:], labels, strict=True)) for line, scores in said.items()}


def judge(questions: Sequence[Question], contender: Contender) -> dict[str, figures.Figures]:
    """The figures of the second half of the questions, by line."""
    return {line: figures.of(scored) for line, scored in judged(questions, contender).items()}
