"""The figures are exact, and are missing rather than wrong."""

import numpy as np
import pytest

from needstream.models import prequential
from needstream.streams.evaluation import measures


def scored(*pairs: tuple[float, bool]) -> tuple[measures.Floats, measures.Flags]:
    return np.array([score for score, _ in pairs]), np.array([label for _, label in pairs])


MIXED = scored((0.1, False), (0.4, True), (0.4, False), (0.8, True), (0.9, False))


def test_ties_count_half_in_the_area() -> None:
    # Of the six pairs 0.4 beats one and ties with one, 0.8 beats two.
    assert (1 + 0.5 + 2) / 6 == measures.roc_auc(*MIXED)


def test_average_precision_takes_ties_as_one_step() -> None:
    # Recall rises by a half at 0.8 (one of two right) and by a half at 0.4 (two of four right).
    assert 0.5 * 0.5 + 0.5 * 0.5 == measures.average_precision(*MIXED)


def test_a_share_of_a_label_counts_in_part_for_either_class() -> None:
    # A whole positive above a whole negative wins; in quarters, 9 of 16 parts win, 6 tie and 1 loses: (9 + 6 / 2) / 16.
    scores = np.array([0.2, 0.6])

    assert 1.0 == measures.roc_auc(scores, np.array([0.0, 1.0]))
    assert 12 / 16 == pytest.approx(measures.roc_auc(scores, np.array([0.25, 0.75])))


def test_one_class_alone_has_no_area() -> None:
    told = measures.figures(*scored((0.2, False), (0.3, False)))

    assert (None, None, None, 2, 0) == (told.auc, told.auc_error, told.pr_auc, told.judged, told.positives)


def test_losses_are_those_of_the_running_evaluation() -> None:
    scores, labels = scored((0.0, True), (0.3, False), (1.0, True))

    expected = [
        prequential.log_loss(score, label) for score, label in zip(scores.tolist(), labels.tolist(), strict=True)
    ]
    assert expected == pytest.approx(measures.losses(scores, labels).tolist())


def test_a_mere_ranking_has_no_probabilities_to_judge() -> None:
    told = measures.figures(np.array([-3.0, 40.0]), np.array([False, True]), is_probability=False)

    assert (1.0, None, None, None) == (told.auc, told.log_loss, told.brier, told.calibration_error)


def test_calibration_bins_have_equal_mass() -> None:
    scores = np.linspace(0.0, 0.99, 100)
    told = measures.reliability(scores, scores > 0.5)

    assert [10] * 10 == [each.judged for each in told]


def test_honest_scores_have_no_calibration_error() -> None:
    scores, labels = np.full(100, 0.2), np.arange(100) % 5 == 0

    assert 0.0 == pytest.approx(measures.calibration_error(scores, labels))


def test_rare_positives_make_wide_windows() -> None:
    asked, labels = np.arange(2000, dtype=np.int64), np.arange(2000) % 100 == 0

    assert [slice(0, 1000), slice(1000, 2000)] == measures.cut(asked, labels)


def test_no_more_than_twenty_windows_cover_everything_once() -> None:
    cuts = measures.cut(np.arange(5003, dtype=np.int64), np.arange(5003) % 2 == 0)

    assert 20 == len(cuts)
    assert list(range(5003)) == [place for cut in cuts for place in range(cut.start, cut.stop)]


def test_the_error_of_an_area_shrinks_with_the_positives() -> None:
    errors = [measures.auc_error(0.8, positives=positives, negatives=1000) or 0.0 for positives in (5, 50, 500)]

    assert sorted(errors, reverse=True) == errors
