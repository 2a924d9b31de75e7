"""Quality of recorded scores, against the definitions."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from needstream.models import prequential
from needstream.models.prequential import Prequential, Quality

# Few values, so that ties are common; multiples of 1/2000, so that the pooled histogram holds them exactly.
scores = st.integers(0, 20).map(lambda place: place / 20)
judged = st.lists(st.tuples(scores, st.booleans()), min_size=1, max_size=60)


def quality(pairs: list[tuple[float | None, bool]]) -> Quality:
    evaluation = Prequential("loan")
    for score, label in pairs:
        evaluation.evaluate(score, label)
    return evaluation.quality()


def oracle_auc(pairs: list[tuple[float, bool]]) -> float | None:
    """Every positive against every negative: won, lost, or half."""
    positives = [score for score, label in pairs if label]
    negatives = [score for score, label in pairs if not label]
    if not positives or not negatives:
        return None
    wins = sum((high > low) + (high == low) / 2 for high in positives for low in negatives)
    return wins / (len(positives) * len(negatives))


@given(judged)
def test_auc_is_the_share_of_pairs_ranked_rightly(pairs: list[tuple[float, bool]]) -> None:
    figures = quality(pairs)

    assert pytest.approx(oracle_auc(pairs)) == figures.auc
    assert pytest.approx(oracle_auc(pairs)) == figures.window_auc


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_window_auc_is_exact_for_any_score_and_the_pooled_one_to_its_resolution(
    pairs: list[tuple[float, bool]],
) -> None:
    figures = quality(pairs)
    coarse = [(round(score * 2000) / 2000, label) for score, label in pairs]

    assert pytest.approx(oracle_auc(pairs)) == figures.window_auc
    assert pytest.approx(oracle_auc(coarse)) == figures.auc


def test_a_perfect_a_reversed_and_a_silent_ranking() -> None:
    perfect = [(0.9, True), (0.8, True), (0.2, False)]

    assert (1.0, 0.0, 0.5) == (
        quality(perfect).auc,
        quality([(1 - score, label) for score, label in perfect]).auc,
        quality([(0.5, label) for _, label in perfect]).auc,
    )


def test_log_loss_is_the_mean_of_what_was_recorded() -> None:
    figures = quality([(0.9, True), (0.2, False), (0.5, True)])
    expected = -(math.log(0.9) + math.log(0.8) + math.log(0.5)) / 3

    assert pytest.approx((expected, expected)) == (figures.log_loss, figures.window_log_loss)


def test_a_certain_mistake_costs_much_but_not_everything() -> None:
    assert pytest.approx(-math.log(1e-6)) == prequential.log_loss(0.0, True)
    assert pytest.approx(-math.log(1e-6)) == prequential.log_loss(1.0, False)


def test_the_baseline_knows_only_the_labels_before() -> None:
    """It says 1/2, then 2/3, then 2/4: one more of each than was seen."""
    figures = quality([(0.5, True), (0.5, False), (0.5, False)])
    expected = -(math.log(1 / 2) + math.log(1 / 3) + math.log(1 / 2)) / 3

    assert pytest.approx(expected) == figures.baseline_log_loss


def test_cold_examples_count_as_labels_only() -> None:
    figures = quality([(None, True), (None, False), (0.7, True)])

    assert ("loan", 3, 1, 2) == (figures.model, figures.examples, figures.judged, figures.positives)
    assert pytest.approx((-math.log(0.7), -math.log(2 / 4))) == (figures.log_loss, figures.baseline_log_loss)


def test_where_there_is_nothing_to_compare_there_is_no_figure() -> None:
    empty, cold, one_sided = quality([]), quality([(None, True)]), quality([(0.5, True)])

    for figures in (empty, cold):
        nothing = (figures.auc, figures.log_loss, figures.baseline_log_loss, figures.calibration_error)
        assert (None, None, None, None, None, None) == (*nothing, figures.window_auc, figures.window_log_loss)
    assert (None, None) == (one_sided.auc, one_sided.window_auc)


@pytest.mark.parametrize(
    ("pairs", "error"),
    [
        ([(0.2, place % 5 == 0) for place in range(100)], 0.0),
        ([(0.2, place % 2 == 0) for place in range(100)], 0.3),
        ([(1.0, False)] * 10, 1.0),
        ([(0.0, False)] * 50 + [(1.0, True)] * 50, 0.0),
        # Two groups, each off by 0.1 in another direction: errors do not cancel.
        ([(0.4, place % 2 == 0) for place in range(50)] + [(0.6, place % 2 == 0) for place in range(50)], 0.1),
    ],
    ids=["calibrated", "too-low", "always-wrong", "certain-and-right", "both-ways"],
)
def test_calibration_error_is_the_mean_gap_between_said_and_seen(
    pairs: list[tuple[float | None, bool]], error: float
) -> None:
    assert pytest.approx(error, abs=1e-9) == quality(pairs).calibration_error


@given(judged)
def test_calibration_error_is_a_share(pairs: list[tuple[float, bool]]) -> None:
    error = quality(pairs).calibration_error

    assert error is not None
    assert 0.0 <= error <= 1.0 + 1e-9


def test_the_window_forgets_what_is_pooled() -> None:
    wrong, right = [(0.9, False), (0.1, True)], [(0.9, True), (0.1, False)]
    figures = quality(wrong * 100 + right * (prequential.WINDOW // 2))

    assert 1.0 == figures.window_auc
    assert figures.auc is not None
    assert figures.auc < 1.0


def oracle_average_precision(pairs: list[tuple[float, bool]]) -> float | None:
    """By definition: at each distinct score, falling, the recall it adds times the precision among those passed."""
    total = sum(label for _, label in pairs)
    if total in {0, len(pairs)}:
        return None
    area = recall_before = 0.0
    for bar in sorted({score for score, _ in pairs}, reverse=True):
        passed = [label for score, label in pairs if score >= bar]
        recall = sum(passed) / total
        area += (recall - recall_before) * sum(passed) / len(passed)
        recall_before = recall
    return area


def oracle_calibration_error(pairs: list[tuple[float, bool]]) -> float:
    """Bins that take whole groups of equal scores until they hold a tenth."""
    bins: list[list[tuple[float, bool]]] = [[]]
    for bar in sorted({score for score, _ in pairs}):
        if len(bins[-1]) * 10 >= len(pairs):
            bins.append([])
        bins[-1].extend(pair for pair in pairs if pair[0] == bar)
    return sum(abs(sum(score - label for score, label in each)) for each in bins) / len(pairs)


@given(judged)
def test_average_precision_steps_down_the_distinct_scores(pairs: list[tuple[float, bool]]) -> None:
    figures = quality(pairs)

    assert pytest.approx(oracle_average_precision(pairs)) == figures.pr_auc
    assert pytest.approx(oracle_average_precision(pairs)) == figures.window_pr_auc
    assert pytest.approx(oracle_average_precision(pairs)) == prequential.average_precision(pairs)


def test_average_precision_of_a_known_ranking() -> None:
    """The example of scikit-learn's page: 0.5 * 1 + 0.5 * 2/3."""
    assert pytest.approx(0.8333333) == quality([(0.1, False), (0.4, False), (0.35, True), (0.8, True)]).pr_auc


def test_average_precision_of_one_score_for_all_is_the_share_of_positives() -> None:
    assert pytest.approx(0.3) == quality([(0.5, place < 3) for place in range(10)]).pr_auc


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80))
def test_window_figures_are_exact_for_any_score(pairs: list[tuple[float, bool]]) -> None:
    figures = quality(pairs)

    assert pytest.approx(oracle_average_precision(pairs)) == figures.window_pr_auc
    assert pytest.approx(oracle_calibration_error(pairs), abs=1e-9) == figures.window_calibration_error


@given(st.permutations([(0.2, True)] * 3 + [(0.2, False)] * 12 + [(0.7, True)] * 5))
def test_calibration_error_does_not_depend_on_the_order_of_equal_scores(pairs: list[tuple[float, bool]]) -> None:
    assert pytest.approx(5 * 0.3 / 20) == prequential.calibration_error(pairs)


def test_brier_is_the_mean_squared_error() -> None:
    assert pytest.approx((0.1**2 + 0.2**2 + 0.5**2) / 3) == quality([(0.9, True), (0.2, False), (0.5, True)]).brier


def test_window_figures_cover_the_newest_examples_only() -> None:
    chance = random.Random(3)
    pairs = [(chance.random(), chance.random() < 0.3) for _ in range(2 * prequential.WINDOW + 137)]
    newest = pairs[-prequential.WINDOW :]
    figures = quality(pairs)

    assert pytest.approx(oracle_auc(newest)) == figures.window_auc
    assert pytest.approx(prequential.average_precision(newest)) == figures.window_pr_auc
    assert pytest.approx(oracle_calibration_error(newest)) == figures.window_calibration_error
    losses = [prequential.log_loss(score, label) for score, label in newest]
    assert pytest.approx(sum(losses) / len(losses)) == figures.window_log_loss


def test_the_window_has_its_own_baseline() -> None:
    """After as many negatives the baseline has learned to expect them: what it paid at first is no longer counted."""
    figures = quality([(0.5, True)] * 100 + [(0.5, False)] * 3 * prequential.WINDOW)

    assert figures.baseline_log_loss is not None
    assert figures.window_baseline_log_loss is not None
    assert figures.window_baseline_log_loss < figures.baseline_log_loss


def test_what_was_asked_is_judged_or_not() -> None:
    evaluation = Prequential("loan")
    for score in (None, 0.7, 0.2):
        evaluation.evaluate(score, label=True)
    evaluation.pass_over()
    figures = evaluation.quality()

    assert (3, 4, 2, 2) == (figures.examples, figures.asked, figures.judged, figures.unjudged)


def test_figures_are_computed_once_per_example() -> None:
    evaluation = Prequential("loan")
    evaluation.evaluate(0.7, label=True)
    first = evaluation.quality()

    assert evaluation.quality() is first
    evaluation.evaluate(0.2, label=False)
    assert 2 == evaluation.quality().judged
