"""Scoring with all published models at once."""

import msgspec
import pytest

import training
from needstream.models import scorer
from needstream.models.scorer import Readiness, Score, Scorer

PROBES = [
    *(values for values, _ in training.examples(60, seed=11)),
    *([value] * 6 for value in (-1e300, 1e300, float("nan"), float("-inf"), 0.0)),
]
NAMES = ("loan", "card", "churn")


def serving(*counts: int) -> Scorer:
    """A scorer that serves models of so many examples, each of another history."""
    serves = Scorer({name: Readiness(min_labels=50, min_positives=5) for name in NAMES})
    for name, count in zip(NAMES, counts, strict=False):
        serves.publish(training.trained(count, name=name, seed=len(name)).export())
    return serves


def test_scores_are_what_each_model_says_by_itself() -> None:
    serves = serving(400, 300, 200)
    models = {
        name: training.trained(count, name=name, seed=len(name))
        for name, count in zip(NAMES, (400, 300, 200), strict=True)
    }

    for values in PROBES:
        said = serves.scores(values)
        assert {name: f"{name}-{model.examples}" for name, model in models.items()} == {
            name: score.version for name, score in said.items()
        }
        for name, model in models.items():
            assert pytest.approx(model.score(values), abs=1e-9) == said[name].probability
            assert pytest.approx(model.export().score(values), abs=1e-9) == said[name].probability


def test_scores_have_nine_decimals() -> None:
    probability = serving(400).scores(PROBES[0])["loan"].probability

    assert probability is not None
    assert round(probability, scorer.DECIMALS) == probability


def test_a_model_with_too_few_labels_has_no_score() -> None:
    said = serving(49, 50).scores(PROBES[0])

    assert (Score(None, "cold"), "card-50", Score(None, "cold")) == (said["loan"], said["card"].version, said["churn"])


def test_a_model_with_too_few_positives_has_no_score() -> None:
    serves = serving()
    serves.publish(msgspec.structs.replace(training.trained(100).export(), positives=4))

    assert (False, None, Score(None, "cold")) == (
        serves.any_warm(),
        serves.warm("loan"),
        serves.scores(PROBES[0])["loan"],
    )


def test_before_any_model_is_published_every_score_is_cold() -> None:
    assert dict.fromkeys(NAMES, Score(None, "cold")) == serving().scores(PROBES[0])


def test_an_older_version_is_ignored_and_the_same_is_taken_again() -> None:
    older, newer = training.trained(60).export(), training.trained(80).export()
    serves = serving()

    assert [True, False, True] == [serves.publish(newer), serves.publish(older), serves.publish(newer)]
    assert newer == serves.warm("loan")
    assert [newer] == serves.published()


def test_a_newer_version_replaces_the_older() -> None:
    serves = serving(60)
    serves.publish(training.trained(80, seed=len("loan")).export())

    assert "loan-80" == serves.scores(PROBES[0])["loan"].version


def test_a_model_nobody_declared_is_ignored() -> None:
    serves = serving()

    assert (False, []) == (serves.publish(training.trained(80, name="unknown").export()), serves.published())


def test_scoring_changes_nothing() -> None:
    serves = serving(400, 300)
    before = (serves.published(), serves.scores(PROBES[0]))
    for values in PROBES:
        serves.scores(values)

    assert before == (serves.published(), serves.scores(PROBES[0]))


def test_extreme_values_have_a_score() -> None:
    said = serving(400).scores([float("nan"), float("inf"), -1e308, 1e308, 0.0, -0.0])["loan"].probability

    assert said is not None
    assert 0.0 <= said <= 1.0
