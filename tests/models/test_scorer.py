"""Scoring with all published models at once."""

import math
import struct
from math import log

import msgspec
import pytest

import training
from needstream.models import logistic, scorer
from needstream.models.rules import Rules
from needstream.models.scorer import Readiness, Score, Scorer
from needstream.schemas.pack import Contestant
from needstream.schemas.times import DAY_MS

PROBES = [
    *(values for values, _ in training.examples(60, seed=11)),
    *([value] * 6 for value in (-1e300, 1e300, float("nan"), float("-inf"), 0.0)),
]
NAMES = ("loan", "card", "churn")


def serving(*counts: int, rules: Rules | None = None) -> Scorer:
    """A scorer that serves models of so many examples, each of another history."""
    serves = Scorer({name: Readiness(min_labels=50, min_positives=5) for name in NAMES})
    for name, count in zip(NAMES, counts, strict=False):
        serves.publish(training.standing_of(count, name=name, seed=len(name), rules=rules))
    return serves


@pytest.mark.parametrize("champion", ["pair", "replayed", "linear"])
def test_scores_are_what_each_champion_says_by_itself(champion: Contestant) -> None:
    serves = serving(400, 300, rules=Rules(champion=champion))

    for values in PROBES:
        said = serves.scores(values)
        assert [f"loan-{champion}-400", f"card-{champion}-300", "cold"] == [score.version for score in said.values()]
        for standing in serves.published():
            model = standing.contestants[champion]
            expected = logistic.sigmoid(model.calibration.logit(model.logit(values)))
            assert pytest.approx(expected, abs=1e-9) == said[standing.name].probability


def test_champions_of_different_kinds_are_served_side_by_side() -> None:
    serves = serving(400)
    serves.publish(
        training.standing_of(300, name="card", rules=Rules(champion="linear", challengers=("pair", "blend")))
    )
    serves.publish(
        training.standing_of(200, name="churn", rules=Rules(champion="blend", challengers=("pair", "linear")))
    )

    said = serves.scores(PROBES[0])
    versions = ["loan-pair-400", "card-linear-300", "churn-blend-200"]
    assert versions == [score.version for score in said.values()]
    for standing in serves.published():
        expected = logistic.sigmoid(standing.champion_logit(PROBES[0]))
        assert pytest.approx(expected, abs=1e-9) == said[standing.name].probability


def test_what_is_recorded_is_every_contestants_word_and_the_champions_line() -> None:
    serves = serving(400, rules=Rules(champion="linear", challengers=("pair", "blend")))
    (standing,) = serves.published()
    said = serves.contestants(PROBES[0])["loan"]
    model = standing.contestants["linear"]

    assert ["blend", "line", "linear", "pair"] == sorted(said)
    assert pytest.approx(logistic.sigmoid(model.logit(PROBES[0])), abs=1e-9) == said["linear"]
    line = logistic.sigmoid(model.calibration.untempered(model.logit(PROBES[0])))
    assert pytest.approx(line, abs=1e-9) == said["line"]


def test_a_blend_that_has_judged_nobody_says_the_mean_of_the_others_logits() -> None:
    said = serving(200, rules=Rules(champion="blend", challengers=("pair", "linear"))).contestants(PROBES[0])["loan"]
    logits = [log(said[kind] / (1 - said[kind])) for kind in ("pair", "linear")]

    assert pytest.approx(logistic.sigmoid(sum(logits) / 2), abs=1e-7) == said["blend"]


def test_a_sample_scores_as_a_look_does() -> None:
    serves = serving(400, 300, rules=Rules(champion="pair", challengers=("linear", "blend")))

    for values in PROBES:
        assert serves.look(values).scores() == serves.sample(values).scores()


@pytest.mark.parametrize("values", PROBES)
def test_a_model_says_the_same_alone_and_among_all(values: list[float]) -> None:
    seen = serving(400, 300).look(values)

    assert {name: seen.probability(name) for name in seen.warm()} == seen.probabilities()


@pytest.mark.parametrize("values", PROBES)
def test_what_is_recorded_is_never_quite_certain(values: list[float]) -> None:
    recorded = serving(400, rules=Rules(champion="linear", challengers=("pair", "blend"))).sample(values).recorded()
    asked = [share for share in recorded[0].tolist() if share]

    assert 4 == len(asked)
    assert scorer.FINEST <= min(asked) <= max(asked) <= 1 - scorer.FINEST


def test_levels_are_what_is_recorded_in_two_bytes_each() -> None:
    seen = serving(400, 300, rules=Rules(champion="linear", challengers=("pair", "blend"))).sample(PROBES[0])
    shares = [share for shares in seen.recorded().tolist() for share in shares]

    assert [round(share / scorer.FINEST) for share in shares] == [*struct.unpack(f"<{len(shares)}H", seen.levels())]


@pytest.mark.parametrize(
    ("enter_scores", "margin", "expected"), [((), 0.0, ["loan"]), ((), 1e-6, []), ((0.0,), 1e-6, ["loan"])]
)
def test_a_model_is_audible_from_the_lowest_of_its_bars_up(
    enter_scores: tuple[float, ...], margin: float, expected: list[str]
) -> None:
    probability = serving(400).scores(PROBES[0])["loan"].probability or 0.0
    serves = Scorer({"loan": Readiness(50, 5, enter_score=probability + margin, enter_scores=enter_scores)})
    serves.publish(training.standing_of(400, seed=len("loan")))

    assert expected == serves.look(PROBES[0]).audible()


@pytest.mark.parametrize("certain", [1.0, 1.5])
def test_a_model_that_no_threshold_suits_is_never_audible(certain: float) -> None:
    assert math.inf == Readiness(50, 5, enter_score=0.5).quiet_below(certain)


def test_a_threshold_that_was_chosen_takes_the_place_of_the_declared_one() -> None:
    readiness = Readiness(50, 5, enter_score=0.5)

    assert readiness.quiet_below(0.25) < readiness.quiet_below(None) < readiness.quiet_below(0.75)


def test_a_model_whose_newest_label_is_too_old_abstains() -> None:
    serves = Scorer({"loan": Readiness(min_labels=1, min_positives=1, stale_ms=DAY_MS)})
    standing = training.standing_of(60)
    serves.publish(standing)
    at_ms = standing.newest_ms + DAY_MS

    assert "loan-pair-60" == serves.scores(PROBES[0], at_ms=at_ms)["loan"].version
    assert Score(None, "stale") == serves.scores(PROBES[0], at_ms=at_ms + 1)["loan"]


@pytest.mark.parametrize("champion", ["pair", "linear", "blend"])
def test_an_explanation_sums_to_the_logit_that_is_served(champion: Contestant) -> None:
    others = tuple(kind for kind in ("pair", "linear", "blend") if kind != champion)
    serves = serving(400, rules=Rules(champion=champion, challengers=others))

    for values in PROBES:
        explained = serves.explain("loan", values)
        assert explained is not None
        logit = explained.intercept + sum(part.logit for part in explained.parts)
        assert pytest.approx(logistic.sigmoid(logit), abs=1e-9) == serves.scores(values)["loan"].probability


def test_a_cold_model_explains_nothing() -> None:
    assert serving(10).explain("loan", PROBES[0]) is None


def test_scores_have_nine_decimals() -> None:
    probability = serving(400).scores(PROBES[0])["loan"].probability

    assert probability is not None
    assert round(probability, scorer.DECIMALS) == probability


def test_a_model_with_too_few_labels_has_no_score() -> None:
    said = serving(49, 50).scores(PROBES[0])

    assert (Score(None, "cold"), "card-pair-50", Score(None, "cold")) == (
        said["loan"],
        said["card"].version,
        said["churn"],
    )


def test_a_model_with_too_few_positives_has_no_score() -> None:
    serves = serving()
    serves.publish(msgspec.structs.replace(training.standing_of(100), positives=4))

    assert (False, None, Score(None, "cold")) == (
        serves.any_warm(),
        serves.warm("loan"),
        serves.scores(PROBES[0])["loan"],
    )


def test_before_any_model_is_published_every_score_is_cold() -> None:
    assert dict.fromkeys(NAMES, Score(None, "cold")) == serving().scores(PROBES[0])


def test_an_older_version_is_ignored_and_the_same_is_taken_again() -> None:
    older, newer = training.standing_of(60), training.standing_of(80)
    serves = serving()

    assert [True, False, True] == [serves.publish(newer), serves.publish(older), serves.publish(newer)]
    assert newer == serves.warm("loan")
    assert [newer] == serves.published()


def test_a_newer_version_replaces_the_older() -> None:
    serves = serving(60)
    serves.publish(training.standing_of(80, seed=len("loan")))

    assert "loan-pair-80" == serves.scores(PROBES[0])["loan"].version


def test_a_model_nobody_declared_is_ignored() -> None:
    serves = serving()

    assert (False, []) == (serves.publish(training.standing_of(80, name="unknown")), serves.published())


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


def test_a_champion_that_has_hardly_learned_is_cold_however_many_labels_the_track_has() -> None:
    standing = training.standing_of(400, rules=Rules(champion="pair", challengers=("linear",)))
    fresh = training.standing_of(10, rules=Rules(champion="linear")).contestants["linear"]
    changed = msgspec.structs.replace(standing, champion="linear", contestants=standing.contestants | {"linear": fresh})
    serves = serving()
    serves.publish(changed)

    assert Score(None, "cold") == serves.scores(PROBES[0])["loan"]


def test_pinned_models_do_not_grow_stale() -> None:
    serves = Scorer({"loan": Readiness(min_labels=1, min_positives=1, stale_ms=DAY_MS)}, is_pinned=True)
    standing = training.standing_of(60)
    serves.publish(standing)

    assert "loan-pair-60" == serves.scores(PROBES[0], at_ms=standing.newest_ms + 900 * DAY_MS)["loan"].version
