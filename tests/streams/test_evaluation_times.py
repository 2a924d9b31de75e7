"""When labels show and how early a score was high, from examples alone."""

import numpy as np
import pytest

from evaluating import BEGIN, DAY, history
from needstream.streams.evaluation import lead_time, maturity
from needstream.streams.evaluation.histories import Flags, History

CHURN = {"model": "churn", "kind": "churn", "shows": False, "facts": ("customer.activity",)}


def everything(told: History) -> Flags:
    return np.ones(told.labels.size, dtype=np.bool_)


def days(times: list[int]) -> list[float]:
    return [(at_ms - BEGIN) / DAY for at_ms in times]


def test_a_conversion_lies_behind_the_last_empty_horizon_and_before_the_next_empty_prediction() -> None:
    # The horizon of day 0 ended empty on day 10; on day 12 nothing was to come: it was between.
    told = history([False, True, False], asked_days=[0, 5, 12], customers=[1, 1, 1])

    found = maturity.brackets(told)

    assert (10.0, 12.0) == (days(found.earliest_ms.tolist())[1], days(found.latest_ms.tolist())[1])


def test_another_customer_tells_nothing() -> None:
    told = history([False, True, False], asked_days=[0, 5, 12], customers=[1, 2, 3])

    found = maturity.brackets(told)

    assert (5.0, 15.0) == (days(found.earliest_ms.tolist())[1], days(found.latest_ms.tolist())[1])


def test_days_since_the_fact_tell_when_it_was() -> None:
    told = history(
        [True, False],
        asked_days=[0, 9],
        customers=[1, 1],
        features=("days_since.apply.loan",),
        values=np.array([[365.0], [6.0]]),
    )

    assert 3.0 == days(maturity.brackets(told).latest_ms.tolist())[0]


def test_all_positives_of_a_need_are_visible_at_the_horizon_only() -> None:
    told = history([True, False] * 10, served=[0.9, 0.1] * 10)

    found = maturity.by_age(told, everything(told))

    assert [0.25, 0.5, 0.75, 1.0] == pytest.approx([each.visible for each in found])
    assert 1.0 == found[-1].auc


def test_judged_early_churn_looks_like_everybody() -> None:
    told = history([True, False] * 10, served=[0.9, 0.1] * 10, **CHURN)

    losses = [each.log_loss or 0.0 for each in maturity.by_age(told, everything(told))]

    assert sorted(losses, reverse=True) == losses


def test_the_lead_to_a_conversion_begins_with_the_first_score_over_the_threshold() -> None:
    told = history(
        [False, True, True, False],
        asked_days=[0, 4, 8, 12],
        customers=[1, 1, 1, 1],
        served=[0.1, 0.2, 0.7, 0.1],
    )

    found = lead_time.lead_times(told, everything(told))[0]

    # The conversion was between day 10 and day 12.
    assert (1, 1, 3.0) == (found.episodes, found.reached, found.median_days)


def test_the_lead_to_a_decline_is_to_the_end_of_the_horizon() -> None:
    # The horizon of day 0 ended without a decline on day 10, and that of day 12 on day 22: neither tells when it began.
    told = history(
        [False, True, False], asked_days=[0, 5, 12], customers=[1, 1, 1], served=[0.1, 0.7, 0.1], facts=(), kind="churn"
    )

    found = lead_time.lead_times(told, everything(told))[0]

    assert (1, 1, 10.0, 10.0) == (found.episodes, found.reached, found.median_days, found.before_label_days)


def test_a_score_after_the_last_activity_has_a_negative_lead() -> None:
    told = history(
        [False, True],
        asked_days=[0, 6],
        customers=[1, 1],
        served=[0.1, 0.8],
        features=("idle_days",),
        values=np.array([[0.0], [2.0]]),
        **CHURN,
    )

    found = lead_time.lead_times(told, everything(told))[0]

    assert (1, 1, -2.0, 8.0) == (found.episodes, found.reached, found.median_days, found.before_label_days)


def test_scores_long_before_the_end_warn_of_nothing() -> None:
    told = history(
        [False, True],
        asked_days=[0, 90],
        customers=[1, 1],
        served=[0.9, 0.1],
        features=("idle_days",),
        values=np.array([[0.0], [2.0]]),
        **CHURN,
    )

    found = lead_time.lead_times(told, everything(told))[0]

    assert (1, 0) == (found.episodes, found.reached)
