"""A track judges what was said, learns the truth once, and goes on anywhere as if nothing had stopped."""

import random

import msgspec
import pytest

import training
from needstream.models import logistic
from needstream.models import standing as standings
from needstream.models import track as tracks
from needstream.models.rules import Rules
from needstream.models.track import Track
from needstream.schemas import pack

EXAMPLES = training.examples(900)
ALL = Rules(
    champion="pair",
    challengers=("replayed", "linear", "blend"),
    target=pack.Target(precision=0.6),
    watches=True,
)


def _said(place: int, served: float = 0.3, **fields: object) -> tracks.LabelledExample:
    values, label = EXAMPLES[place]
    example = training.labelled(values, label, score=served)
    return msgspec.structs.replace(example, **fields)


def _fed(track: Track, first: int, last: int, **fields: object) -> list[tracks.ModelDecision]:
    decisions = []
    for offset in range(first, last):
        track.pass_by(offset)
        decisions += track.learn(_said(offset, **fields))
    return decisions


@pytest.mark.parametrize("stop", [1, 50, 333])
def test_a_track_that_was_stopped_goes_on_as_if_it_had_not_been(stop: int) -> None:
    uninterrupted, first = (Track("loan", training.FEATURES, rules=ALL) for _ in range(2))
    _fed(uninterrupted, 0, 500)
    _fed(first, 0, stop)
    body = standings.encode(first.standing())
    second = Track("loan", training.FEATURES, rules=ALL, begin=standings.decode(body))
    for place in range(stop):
        second.recall(_said(place))
    _fed(second, stop, 500)

    assert standings.encode(uninterrupted.standing()) == standings.encode(second.standing())
    assert uninterrupted.quality() == second.quality()


def test_equal_examples_in_equal_order_give_equal_bytes() -> None:
    bodies = set()
    for _ in range(2):
        track = Track("loan", training.FEATURES, rules=ALL)
        _fed(track, 0, 300)
        bodies.add(standings.encode(track.standing()))

    assert 1 == len(bodies)


def test_a_challenger_that_is_better_becomes_champion_and_it_is_told_once() -> None:
    track = Track("loan", training.FEATURES, rules=ALL)
    decisions = []
    for place, (values, label) in enumerate(EXAMPLES):
        better = 0.9 if label else 0.1
        said = {"pair": 0.5, "linear": better, "replayed": 0.5, "blend": 0.5}
        example = msgspec.structs.replace(training.labelled(values, label, score=0.5), contestants=said)
        track.pass_by(place)
        decisions += track.learn(example)

    assert [("promoted", "linear", "pair")] == [(each.event, each.champion, each.previous) for each in decisions]
    assert "linear" == track.standing().champion
    assert decisions[0].figures["gain"] > decisions[0].figures["at_least"] > 0


def test_drift_of_the_loss_is_told() -> None:
    track = Track("loan", training.FEATURES, rules=Rules())
    wrong = [msgspec.structs.replace(_said(place), score=0.5 if place < 450 else 0.999) for place in range(900)]
    decisions = [
        decision for example in wrong for decision in track.learn(msgspec.structs.replace(example, label=False))
    ]

    assert "loss_drift" in {each.event for each in decisions}
    assert all(each.figures["after"] > each.figures["before"] for each in decisions)


def test_what_is_quarantined_is_neither_judged_nor_learned() -> None:
    track = Track("loan", training.FEATURES, rules=Rules())
    _fed(track, 0, 10, quarantine="suspected_bot")

    assert {"suspected_bot": 10} == track.quarantined
    assert (10, 0, 0) == (track.standing().version, track.standing().labels, track.quality().judged)


def test_corrected_feedback_learns_early_and_judges_at_the_horizon() -> None:
    track = Track("loan", training.FEATURES, rules=Rules(assumes=False))
    _fed(track, 0, 100, stage="assumed", label=False)
    assert (100, 0) == (track.standing().contestants["pair"].version, track.quality().judged)

    _fed(track, 100, 200, stage="final")
    assert (100, 100) == (track.standing().contestants["pair"].version, track.quality().judged)


def test_corrected_feedback_learns_the_true_share_of_positives() -> None:
    """Every example comes once as assumed, and once more when it turned out wrong."""
    track = Track("loan", ("nothing",), rules=Rules(assumes=False))
    for place in range(6000):
        example = training.labelled([0.0], place % 5 == 0)
        identity = {"feature_set": "", "customer_id": f"c{place}"}
        for number, (stage, label) in enumerate((("assumed", False), ("converted", True))):
            if label is False or example.label:
                told = {"stage": stage, "label": label, "example_id": f"{place}-{number}"}
                track.learn(msgspec.structs.replace(example, **told, **identity))

    model = track.standing().contestants["pair"]
    assert pytest.approx(0.2, abs=0.06) == model.score([0.0])


def test_of_an_absence_it_is_the_positive_that_is_assumed() -> None:
    early = tracks._correction(1.0, label=True, assumed=True)
    corrected = tracks._correction(1.0, label=False, assumed=True)

    assert early < 1 < corrected


def test_a_contestant_that_cannot_learn_here_does_not_take_part() -> None:
    kinds = Rules(champion="pair", challengers=("linear", "nonesuch")).kinds()  # type: ignore[arg-type]

    assert ("pair", "linear") == kinds


def test_another_declared_champion_is_served_and_the_contest_begins_anew() -> None:
    begun = training.standing_of(300, rules=Rules(champion="pair", challengers=("linear",)))
    changed = Rules(champion="linear", challengers=("pair",))

    standing = Track("loan", training.FEATURES, rules=changed, begin=begun).standing()

    assert ("pair", "linear") == (begun.champion, standing.champion)
    assert begun.contestants == standing.contestants
    assert tracks.readied(begun, changed) == standing


def test_a_threshold_of_another_target_is_not_served() -> None:
    track = Track("loan", training.FEATURES, rules=Rules(target=pack.Target(precision=0.6)))
    for place in range(900):
        track.learn(_said(place, served=0.9 if EXAMPLES[place][1] else 0.2))
    chosen = track.standing()

    assert chosen.enter_score is not None
    assert tracks.readied(chosen, Rules()).enter_score is None


def test_a_forest_is_served_as_it_was_until_it_has_learned_as_much_again() -> None:
    rules = Rules(champion="pair", challengers=("forest",))
    begun = Track("loan", training.FEATURES, rules=rules)
    _fed(begun, 0, 60)
    before = begun.standing()
    resumed = Track("loan", training.FEATURES, rules=rules, begin=before)
    for place in range(30, 59):
        resumed.recall(_said(place))
    assert before.contestants["forest"] == resumed.standing().contestants["forest"]

    _fed(resumed, 60, 100)
    assert 69 == resumed.standing().contestants["forest"].version


def test_a_champion_whose_line_sets_it_right_is_not_replaced_by_one_that_knows_nothing() -> None:
    """Raw, the champion loses to the constant; what is served of it does not, once its line has learned."""
    chance = random.Random(3)
    track = Track("loan", training.FEATURES, rules=Rules(champion="pair", challengers=("linear",)))
    decisions = []
    for place in range(3000):
        truth = chance.choice([-2.0, 2.0])
        label = chance.random() < logistic.sigmoid(truth)
        values, _ = EXAMPLES[place % len(EXAMPLES)]
        said = {"pair": logistic.sigmoid(truth - 2.2), "linear": 0.5}
        served = said["pair"] if place < 300 else logistic.sigmoid(truth)
        told = {"contestants": said, "example_id": str(place), "customer_id": f"c{place}", "score": served}
        told["model_version"] = "loan-pair-1"
        decisions += track.learn(msgspec.structs.replace(training.labelled(values, label), **told))

    assert [] == decisions
    assert "pair" == track.standing().champion


def test_the_line_of_a_new_champion_has_to_earn_its_trust_where_it_is_served() -> None:
    track = Track("loan", training.FEATURES, rules=Rules(champion="pair", challengers=("linear",)))
    promoted = []
    for place in range(2000):
        values, _ = EXAMPLES[place % len(EXAMPLES)]
        label = place % 3 == 0
        said = {"pair": 0.5, "linear": 0.65 if label else 0.35}
        told = {"contestants": said, "example_id": str(place), "customer_id": f"c{place}", "score": 0.5}
        promoted += track.learn(msgspec.structs.replace(training.labelled(values, label), **told))
        if promoted:
            break

    assert ["linear"] == [each.champion for each in promoted]
    assert track.standing().contestants["linear"].calibration.trust() < 0.5
