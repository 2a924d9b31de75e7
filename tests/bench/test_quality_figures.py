import random
import statistics

import pytest
from bench.quality import figures, goals
from bench.quality.drift import Recovery
from bench.quality.figures import Figures
from bench.quality.goals import Verdict


def _scored(count: int, seed: int = 1) -> list[tuple[float, bool]]:
    rng = random.Random(seed)
    scores = [round(rng.random(), 2) for _ in range(count)]
    return [(score, rng.random() < score**2) for score in scores]


def test_auc_is_the_share_of_pairs_ranked_rightly() -> None:
    scored = _scored(300)
    ups = [score for score, label in scored if label]
    downs = [score for score, label in scored if not label]
    wins = statistics.fmean((up > down) + (up == down) / 2 for up in ups for down in downs)

    assert figures.of(scored).auc == pytest.approx(wins)


def test_calibration_error_is_that_of_ten_bins_of_equal_mass() -> None:
    scored = _scored(1000)
    ranked = sorted(scored)
    error = 0.0
    for start in range(0, 1000, 100):
        each = ranked[start : start + 100]
        said = statistics.fmean(score for score, _ in each)
        share = statistics.fmean(label for _, label in each)
        error += abs(said - share) / 10

    assert figures.of(scored).ece == pytest.approx(error)


def test_average_precision_is_the_mean_precision_at_each_positive_where_no_scores_are_equal() -> None:
    scored = [(0.9, True), (0.8, False), (0.7, True), (0.1, False)]

    assert figures.of(scored).pr_auc == pytest.approx((1 / 1 + 2 / 3) / 2)


def test_average_precision_of_equal_scores_is_the_share_of_positives() -> None:
    scored = [(0.5, True), (0.5, False), (0.5, False), (0.5, True)]

    assert figures.of(scored).pr_auc == pytest.approx(0.5)


@pytest.mark.parametrize("count", [1, 7, 10, 1003])
def test_windows_are_all_scores_in_order_and_of_equal_length_up_to_one(count: int) -> None:
    scored = _scored(count)

    runs = figures.windows(scored)

    assert scored == [each for run in runs for each in run]
    assert max(map(len, runs)) - min(map(len, runs)) <= 1


def test_windows_without_both_labels_say_nothing_of_the_ranking() -> None:
    scored = [(0.9, True), (0.1, False), *[(0.5, False)] * 18]

    assert figures.of(scored).auc_windows == 1.0
    assert figures.of([(0.5, True)] * 20).auc is None


def test_no_scores_have_no_figures() -> None:
    with pytest.raises(ValueError, match="no scores"):
        figures.of([])


def _figures(auc: float, loss: float) -> Figures:
    return Figures(
        examples=10,
        positives=5,
        auc=auc,
        auc_windows=auc,
        pr_auc=None,
        log_loss=loss,
        log_loss_windows=loss,
        brier=0.1,
        ece=0.02,
        said_to_came=1.1,
    )


STATED = f"not worse than {goals.BATCH}"


def _verdicts(lines: dict[str, Figures], line: str = goals.SERVED) -> dict[str, Verdict]:
    return {verdict.goal: verdict for verdict in goals.verdicts({"task": [lines]}, line=line)}


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        (_figures(0.8, 0.31), {"AUC": True, "AUC, windows": True, "log loss": False, "log loss, windows": False}),
        (_figures(0.79, 0.3), {"AUC": False, "AUC, windows": False, "log loss": True, "log loss, windows": True}),
    ],
)
def test_score_worse_than_the_batch_model_misses_its_goal(served: Figures, expected: dict[str, bool]) -> None:
    found = _verdicts({goals.SERVED: served, goals.BATCH: _figures(0.8, 0.3)})

    assert expected == {name: found[f"{name} {STATED}"].met for name in expected}


def test_goal_without_a_rival_is_neither_met_nor_missed() -> None:
    found = _verdicts({goals.SERVED: _figures(0.8, 0.3)})

    assert {True} == {found[goal].met for goal in found if goal == "calibration error"}
    assert {None} == {found[goal].met for goal in found if goal != "calibration error"}


def test_best_rival_is_the_best_one_by_each_figure() -> None:
    lines = {
        goals.SERVED: _figures(0.8, 0.3),
        goals.BATCH: _figures(0.7, 0.4),
        goals.CALIBRATED: _figures(0.7, 0.2),
        goals.SMALL_TREES: _figures(0.9, 0.5),
    }

    found = _verdicts(lines)

    best = {name: found[f"{name} not worse than {goals.BEST}"] for name in ("AUC", "log loss")}
    assert {"AUC": goals.SMALL_TREES, "log loss": goals.CALIBRATED} == {name: each.rival for name, each in best.items()}
    assert [False, False] == [each.met for each in best.values()]
    assert found[f"AUC {STATED}"].met
    assert found[f"log loss {STATED}"].met


@pytest.mark.parametrize(("loss", "learned"), [(0.29, True), (0.3, False), (0.31, False)])
def test_line_that_does_not_beat_the_base_rate_has_learned_nothing(loss: float, learned: bool) -> None:
    lines = {
        goals.BASE_RATE: _figures(0.5, 0.3),
        goals.BATCH: _figures(0.5, 0.4),
        goals.AS_SHIPPED: _figures(0.8, loss),
    }

    found = _verdicts(lines, goals.AS_SHIPPED)

    goal = found.pop("log loss below the base rate")
    assert learned is goal.met
    assert {learned} == {verdict.learned for verdict in found.values()}


def test_mean_score_is_told_beside_the_calibration_error() -> None:
    found = _verdicts({goals.SERVED: figures.of([(0.02, False)] * 99 + [(0.02, True)])})

    assert found["calibration error"].met
    assert found["calibration error"].said_to_came == pytest.approx(2.0)


def test_seeds_are_judged_by_their_mean() -> None:
    runs = [{goals.SERVED: _figures(0.7, 0.3)}, {goals.SERVED: _figures(0.9, 0.3)}]

    assert goals.spread(runs, goals.SERVED, reading=lambda each: each.auc) == pytest.approx((0.8, 0.02**0.5))


@pytest.mark.parametrize(("ours", "met"), [(2000, True), (2001, False), (None, False)])
def test_recovery_may_take_twice_the_examples_of_the_batch_model(ours: int | None, met: bool) -> None:
    served, batch = (Recovery(before=0.3, worst=0.5, examples=count) for count in (ours, 1000))

    assert met is goals.recovered({goals.SERVED: [served], goals.BATCH: [batch]}).met


def test_two_lines_that_never_recover_cannot_be_compared() -> None:
    never = [Recovery(before=0.3, worst=0.5, examples=None)]

    found = goals.recovered(
        {goals.AS_SHIPPED: never, goals.WINDOWED: never}, line=goals.AS_SHIPPED, rival=goals.WINDOWED
    )

    assert found.met is None
