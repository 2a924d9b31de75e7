"""What a contender is asked: questions in order of time, each answered when its label is due.

In go rows of named numbers, out comes a task of vectors of one width. Features are read from what was known strictly
before the answer, and the label is for the harness alone until it is due. Two data sets cannot keep to that: the
shoppers' rows are totals at the end of the session that is asked about, and from the calls those that came to nothing
(``PHANTOM``) are left out, which no one knew when they began. The notes of these tasks say so.
"""

from collections.abc import Iterable

from msgspec import Struct

MINUTE_S = 60.0
HOUR_S = 3_600.0
DAY_S = 86_400.0

Row = dict[str, float]


class Question(Struct, frozen=True):
    """One question with its answer, times in seconds from any start; ``due`` is not before ``at``."""

    at: float
    due: float
    values: tuple[float, ...]
    label: bool


class Task(Struct, frozen=True, kw_only=True):
    """A stream of questions about one thing, in order of time.

    ``delay`` says in words when a label is known; ``recency`` names the feature of the recency rule, if
    the data have one. Tasks of one ``group`` are the same question for different seeds.
    """

    name: str
    group: str
    source: str
    licence: str
    delay: str
    features: tuple[str, ...]
    questions: tuple[Question, ...]
    recency: str | None = None
    note: str = ""

    def positives(self) -> int:
        """How many labels are true."""
        return sum(question.label for question in self.questions)

    def matured(self) -> int:
        """How many labels are due by the last question: no contender ever learns more."""
        end = self.questions[-1].at if self.questions else 0.0
        return sum(question.due <= end for question in self.questions)


def dense(rows: Iterable[Row]) -> tuple[tuple[str, ...], list[tuple[float, ...]]]:
    """Names in order of their first appearance, and each row as values in that order, 0 where it has none."""
    kept = list(rows)
    names = tuple(dict.fromkeys(name for row in kept for name in row))
    return names, [tuple(row.get(name, 0.0) for name in names) for row in kept]


def in_order(questions: Iterable[Question]) -> tuple[Question, ...]:
    """The questions in order of time; those of one moment keep their order."""
    return tuple(sorted(questions, key=lambda question: question.at))
