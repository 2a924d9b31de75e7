import random
import statistics
from math import sqrt

import pytest
from bench.quality import differences, goals
from bench.quality.differences import Difference
from bench.quality.figures import Figures, Scored, of

from needstream.models.logistic import sigmoid


def _scored(seed: int, *, noise: float = 0.0, count: int = 2000) -> Scored:
    """Honest scores of the same labels for one seed, blurred by another noise."""
    rng, blur = random.Random(seed), random.Random(seed + 1000)
    scored = []
    for _ in range(count):
        logit = rng.gauss(-1, 1.5)
        label = rng.random() < sigmoid(logit)
        scored.append((sigmoid(logit + blur.gauss(0, noise)), label))
    return scored


def test_differences_are_those_of_the_figures() -> None:
    ours, theirs = _scored(1), _scored(1, noise=1.0)
    our, their = of(ours), of(theirs)

    found = differences.between(ours, theirs)

    assert {name: each.by for name, each in found.items()} == pytest.approx(
        {
            "AUC": (our.auc or 0.0) - (their.auc or 0.0),
            "AUC, windows": (our.auc_windows or 0.0) - (their.auc_windows or 0.0),
            "log loss": our.log_loss - their.log_loss,
            "log loss, windows": our.log_loss_windows - their.log_loss_windows,
        }
    )


@pytest.mark.parametrize("name", ["AUC", "log loss"])
def test_standard_error_is_how_much_the_differences_of_other_streams_vary(name: str) -> None:
    found = [differences.between(_scored(seed), _scored(seed, noise=1.0))[name] for seed in range(40)]

    told = statistics.fmean(each.error or 0.0 for each in found)
    assert told == pytest.approx(statistics.stdev(each.by for each in found), rel=0.35)


def test_line_is_not_clearly_different_from_itself() -> None:
    found = differences.between(_scored(1), _scored(1))

    assert {False} == {each.is_clear() for each in found.values()}


def test_much_worse_line_is_clearly_different() -> None:
    found = differences.between(_scored(1, noise=2.0), _scored(1))

    assert {True} == {each.is_clear() for each in found.values()}


def test_ranking_of_labels_that_are_all_alike_has_no_difference() -> None:
    found = differences.between([(0.1, False)] * 40, [(0.2, False)] * 40)

    assert {"log loss", "log loss, windows"} == found.keys()


def test_area_that_rests_on_one_block_has_no_error() -> None:
    scored = [(0.9, True)] * 2 + [(place / 100, False) for place in range(38)]

    found = differences.between(scored, scored)["AUC"]

    assert (0.0, None, None) == (found.by, found.error, found.is_clear())


def test_independent_runs_have_the_error_of_their_mean() -> None:
    runs = [Difference(by=0.1, error=0.03), Difference(by=0.1, error=0.04)]

    found = differences.together(runs)

    assert found is not None
    assert (found.by, found.error) == pytest.approx((0.1, 0.025))


def test_runs_that_disagree_have_the_error_of_what_they_differ_by() -> None:
    runs = [Difference(by=0.0, error=0.01), Difference(by=0.4, error=0.01)]

    found = differences.together(runs)

    assert found is not None
    assert (found.by, found.error) == pytest.approx((0.2, sqrt(0.08) / sqrt(2)))


def test_verdict_carries_the_difference_to_its_rival() -> None:
    ours, theirs = _scored(1), _scored(1, noise=1.0)
    lines: dict[str, Figures] = {goals.SERVED: of(ours), goals.BATCH: of(theirs)}
    between = differences.between(ours, theirs)

    found = goals.verdicts({"task": [lines]}, {"task": [{goals.SERVED: {goals.BATCH: between}}]})

    told = {each.goal: each.difference for each in found}
    assert between["AUC"] == told[f"AUC not worse than {goals.BATCH}"]
    assert between["log loss"] == told[f"log loss not worse than {goals.BEST}"]
    assert told["log loss below the base rate"] is None
