"""Baselines wait for their labels as long as the served score did, and say which feature they rank by."""

import numpy as np
import pytest

from evaluating import BEGIN, DAY, history
from needstream.streams.evaluation import baselines, reruns
from needstream.streams.evaluation.baselines import Questions


def asked(labels: list[bool], *, delay_days: int) -> Questions:
    told = history(labels)
    return Questions(
        values=told.values, labels=told.labels, asked_ms=told.asked_ms, known_ms=told.asked_ms + delay_days * DAY
    )


def test_no_label_is_told_before_it_is_known() -> None:
    turns = list(baselines.in_turn(asked([False] * 5, delay_days=2)))

    assert [(0, []), (1, []), (2, [0]), (3, [1]), (4, [2])] == turns


def test_a_label_told_at_once_comes_after_its_own_question() -> None:
    turns = list(baselines.in_turn(asked([False] * 3, delay_days=2).at_once()))

    assert [(0, []), (1, [0]), (2, [1])] == turns


def test_no_learn_says_the_share_of_the_labels_known() -> None:
    said = baselines.no_learn(asked([True, True, False, False], delay_days=1))

    assert [1 / 2, 2 / 3, 3 / 4, 3 / 5] == pytest.approx(said.tolist())


@pytest.mark.parametrize("package", ["lightgbm", "vowpalwabbit"])
def test_a_trained_baseline_does_not_see_labels_to_come(package: str) -> None:
    pytest.importorskip(package)
    said = next(each for name, each in baselines.EXTERNAL.values() if name == package)
    labels = [place % 7 > 4 for place in range(400)]
    turned = labels[:300] + [not label for label in labels[300:]]

    first, second = (said(asked(each, delay_days=30)) for each in (labels, turned))

    assert first[:330].tolist() == second[:330].tolist()
    assert first[-1] != second[-1]


@pytest.mark.parametrize("package", ["lightgbm", "vowpalwabbit"])
def test_a_trained_baseline_says_the_same_twice(package: str) -> None:
    pytest.importorskip(package)
    said = next(each for name, each in baselines.EXTERNAL.values() if name == package)
    told = asked([place % 7 > 4 for place in range(400)], delay_days=10)

    assert said(told).tolist() == said(told).tolist()


def test_a_rerun_contestant_learns_late_or_at_once() -> None:
    labels = [place % 7 > 4 for place in range(300)]
    late = asked(labels, delay_days=1000)

    waiting = reruns.run("pair", late, features=("a", "b")).said
    at_once = reruns.run("pair", late.at_once(), features=("a", "b")).said

    assert {waiting[0]} == set(waiting.tolist())
    assert 200 < len(set(at_once.tolist()))


def test_a_need_is_ranked_by_its_recent_interest() -> None:
    told = history([False, True], values=np.array([[3.0, 1.0], [5.0, 2.0]]))

    found = baselines.recency(told)

    assert found is not None
    assert ("count_7d.interest.loan", [3.0, 5.0]) == (found[0], found[1].tolist())


def test_churn_is_ranked_by_days_away() -> None:
    told = history(
        [False, True],
        model="churn",
        shows=False,
        facts=("customer.activity",),
        values=np.array([[3.0, 1.0], [5.0, 2.0]]),
    )

    found = baselines.recency(told)

    assert found is not None
    assert ("idle_days", [1.0, 2.0]) == (found[0], found[1].tolist())


def test_a_repeated_act_is_expected_of_who_did_it_last() -> None:
    told = history(
        [False, True],
        model="repurchase",
        facts=("tx.purchase",),
        features=("days_since.tx.purchase", "idle_days"),
        values=np.array([[3.0, 1.0], [5.0, 2.0]]),
    )

    found = baselines.recency(told)

    assert found is not None
    assert ("days_since.tx.purchase", [-3.0, -5.0]) == (found[0], found[1].tolist())


def test_questions_of_a_history_wait_for_horizon_and_lateness() -> None:
    assert BEGIN + 11 * DAY == baselines.questions(history([True])).known_ms[0]
