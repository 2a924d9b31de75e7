import random
from collections.abc import Sequence

import pytest
from bench.quality import drift, harness
from bench.quality.harness import Said
from bench.quality.task import Question, Task, dense, in_order


class Diary:
    """Says nothing new and writes down what it meets."""

    def __init__(self) -> None:
        self.met: list[tuple[str, float]] = []

    def say(self, values: Sequence[float]) -> Said:
        self.met.append(("asked", values[0]))
        return Said({"diary": values[0] / 100}, f"diary {values[0]}")

    def learn(self, question: Question, *, said: Said) -> None:
        assert said == Said({"diary": question.values[0] / 100}, f"diary {question.values[0]}")
        self.met.append(("learned", question.values[0]))


class Cheat:
    """Says the label it has seen of a vector, and a half of any other."""

    def __init__(self) -> None:
        self._known: dict[tuple[float, ...], bool] = {}

    def say(self, values: Sequence[float]) -> Said:
        return Said({"cheat": float(self._known.get(tuple(values), 0.5))})

    def learn(self, question: Question, *, said: Said) -> None:
        self._known[question.values] = question.label


def _question(number: int, *, delay: float, label: bool = False) -> Question:
    return Question(float(number), number + delay, (float(number),), label)


def test_label_is_learned_when_it_is_due_and_not_before() -> None:
    diary = Diary()

    harness.ask([_question(number, delay=2) for number in range(4)], diary)

    expected = [("asked", 0), ("asked", 1), ("learned", 0), ("asked", 2), ("learned", 1), ("asked", 3)]
    assert expected == diary.met


def test_label_due_at_once_is_learned_before_the_next_question_and_after_its_own() -> None:
    diary = Diary()

    harness.ask([_question(number, delay=0) for number in range(3)], diary)

    assert [("asked", 0), ("learned", 0), ("asked", 1), ("learned", 1), ("asked", 2)] == diary.met


def test_labels_are_learned_in_the_order_in_which_they_are_due() -> None:
    diary = Diary()
    questions = [_question(0, delay=5), _question(1, delay=1), _question(2, delay=3), _question(9, delay=0)]

    harness.ask(questions, diary)

    assert [1, 0, 2] == [number for what, number in diary.met if what == "learned"]


def test_contender_that_remembers_every_label_gains_nothing_from_its_own_question() -> None:
    rng = random.Random(3)
    questions = [_question(number, delay=0, label=rng.random() < 0.5) for number in range(200)]

    figures = harness.judge(questions, Cheat())["cheat"]

    assert (0.5, 0.25) == (figures.auc, figures.brier)


def test_figures_are_of_the_second_half() -> None:
    questions = [_question(number, delay=1000, label=number >= 50) for number in range(100)]

    figures = harness.judge(questions, Diary())["diary"]

    assert (50, 50) == (figures.examples, figures.positives)


@pytest.mark.parametrize(
    "questions",
    [
        [_question(1, delay=0), _question(0, delay=0)],
        [_question(1, delay=-1)],
    ],
)
def test_questions_out_of_order_are_refused(questions: list[Question]) -> None:
    with pytest.raises(ValueError, match="out of order"):
        harness.ask(questions, Diary())


def test_contender_that_speaks_by_other_lines_than_before_is_refused() -> None:
    class Turncoat(Diary):
        def say(self, values: Sequence[float]) -> Said:
            return Said({f"line of {values[0]}": 0.5})

    with pytest.raises(ValueError, match="question 1 is answered by"):
        harness.ask([_question(number, delay=9) for number in range(2)], Turncoat())


def test_rows_become_vectors_of_one_width_with_zeros_where_nothing_is_said() -> None:
    names, vectors = dense([{"a": 1.0}, {"b": 2.0, "a": 3.0}])

    assert ("a", "b") == names
    assert [(1.0, 0.0), (3.0, 2.0)] == vectors


def test_label_due_after_the_last_question_never_matures() -> None:
    questions = tuple(_question(number, delay=2) for number in range(5))
    task = Task(name="", group="", source="", licence="", delay="", features=("a",), questions=questions)

    assert 3 == task.matured()


def test_questions_of_one_moment_keep_their_order() -> None:
    first, second = Question(1.0, 2.0, (1.0,), False), Question(1.0, 2.0, (2.0,), False)
    earlier = Question(0.0, 2.0, (3.0,), False)

    assert (earlier, first, second) == in_order([first, second, earlier])


def test_concepts_before_and_after_the_drift_are_equally_hard() -> None:
    rng = random.Random(1)
    vectors = [tuple(rng.gauss(0, 1) for _ in range(20)) for _ in range(500)]

    questions = drift.questions(vectors, seed=5)

    before = sum(question.label for question in questions[: drift.HALF]) / drift.HALF
    after = sum(question.label for question in questions[drift.HALF :]) / drift.HALF
    assert before == pytest.approx(after, abs=0.03)
    assert questions == drift.questions(vectors, seed=5)


def test_recovery_counts_from_the_drift_to_the_first_window_that_is_back() -> None:
    labels = [True] * drift.LENGTH
    bad = 1_500
    scores = [0.8] * drift.HALF + [0.1] * bad + [0.8] * (drift.HALF - bad)

    found = drift.recovery(scores, labels)

    # The loss is 0.22 and 2.30: five bad ones of a window's thousand are a twentieth more of it.
    assert bad + drift.WINDOW - 5 == found.examples


def test_loss_that_stays_high_never_recovers() -> None:
    scores = [0.8] * drift.HALF + [0.5] * drift.HALF

    assert drift.recovery(scores, [True] * drift.LENGTH).examples is None
