"""Thresholds hold what they are chosen for, move slowly, and go on exactly where they stopped."""

import itertools
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needstream.models import linear, thresholds
from needstream.models.thresholds import ABSTAIN, Thresholds, ThresholdState
from needstream.schemas.pack import Costs, Target

HALF = Target(precision=0.5)


def stream(count: int, *, centre: float = -2.5, offset: float = 0.0, seed: int = 7) -> list[tuple[float, bool]]:
    """Scores with labels; honest ones unless the true logit is ``offset`` away."""
    chance = random.Random(seed)
    drawn = []
    for _ in range(count):
        logit = chance.gauss(centre, 1.5)
        drawn.append((linear.sigmoid(logit), chance.random() < linear.sigmoid(logit + offset)))
    return drawn


def shown(labels: list[tuple[float, bool]], target: Target = HALF) -> Thresholds:
    chosen = Thresholds(target)
    for score, label in labels:
        chosen.observe(score, label)
    return chosen


def followed(labels: list[tuple[float, bool]], target: Target) -> tuple[list[float | None], list[bool]]:
    """Every threshold as it stood, and the labels of those who passed it, looked at before they are learned."""
    chosen, stood, passed = Thresholds(target), [], []
    for score, label in labels:
        threshold = chosen.threshold()
        stood.append(threshold)
        if threshold is not None and score >= threshold:
            passed.append(label)
        chosen.observe(score, label)
    return stood, passed


@pytest.mark.parametrize("precision", [0.3, 0.5])
@pytest.mark.parametrize("offset", [-1.0, 0.0, 1.0], ids=["boastful", "honest", "modest"])
def test_the_stated_precision_holds_among_those_who_pass(precision: float, offset: float) -> None:
    """Whatever the scores are worth: they are only ranked."""
    _, passed = followed(stream(20_000, offset=offset), Target(precision=precision))

    assert 200 < len(passed)
    assert precision - 0.02 <= sum(passed) / len(passed)


def test_the_lowest_such_threshold_is_taken() -> None:
    """A threshold for each of a precision that is shown nearly everywhere is next to nothing."""
    modest = shown(stream(5000, offset=3.0), Target(precision=0.3)).threshold()
    honest = shown(stream(5000), Target(precision=0.3)).threshold()

    assert modest is not None
    assert honest is not None
    assert modest < 0.02 < honest < 0.3


@pytest.mark.parametrize(("alarm", "missed"), [(1, 1), (1, 4), (1, 20), (3, 1)])
def test_honest_scores_are_acted_upon_from_the_share_of_the_costs_that_a_false_alarm_has(
    alarm: float, missed: float
) -> None:
    costs = Costs(false_alarm=alarm, missed=missed)
    threshold = shown(stream(10_000), Target(costs=costs)).threshold()

    assert pytest.approx(alarm / (alarm + missed), abs=0.07) == threshold


def test_the_evidence_outweighs_the_formula_when_scores_are_not_honest() -> None:
    """A score of s is worth sigmoid(logit(s) + 1.5), and the least cost is where that is the formula's share."""
    threshold = shown(stream(10_000, offset=1.5), Target(costs=Costs(false_alarm=1, missed=1))).threshold()

    assert pytest.approx(linear.sigmoid(-1.5), abs=0.06) == threshold


@pytest.mark.parametrize("target", [Target(precision=0.3), Target(costs=Costs(false_alarm=1, missed=4))])
def test_too_few_labels_are_no_threshold(target: Target) -> None:
    labels = stream(thresholds.MIN_LABELS, centre=-1.0)

    assert shown(labels[:-1], target).threshold() is None
    assert shown(labels, target).threshold() is not None


def test_labels_of_one_class_are_no_threshold_however_many() -> None:
    assert shown([(0.1, False)] * 5000).threshold() is None
    assert shown([(0.9, True)] * 5000).threshold() is None


def test_a_precision_that_nobody_reaches_abstains_once_there_is_evidence() -> None:
    out_of_reach = Target(precision=0.95)
    labels = stream(3000)

    assert shown(labels[: thresholds.UNREACHABLE_AFTER - 1], out_of_reach).threshold() is None
    assert ABSTAIN == shown(labels, out_of_reach).threshold()


def test_a_model_that_has_become_better_speaks_again() -> None:
    silent, better = stream(3000, offset=-2.0), stream(6000, offset=1.0, seed=8)
    stood, passed = followed(silent + better, Target(precision=0.6))

    assert ABSTAIN == stood[2999]
    assert 0.6 < sum(passed) / len(passed)
    assert (stood[-1] or ABSTAIN) < ABSTAIN


@pytest.mark.parametrize("target", [HALF, Target(precision=0.7), Target(costs=Costs(false_alarm=1, missed=4))])
def test_it_does_not_flap(target: Target) -> None:
    """It moves at reviews only, by a bounded step, and in a steady stream it seldom turns back."""
    stood, _ = followed(stream(20_000, seed=3), target)
    decided = [threshold for threshold in stood if threshold is not None]
    moves = [later - earlier for earlier, later in itertools.pairwise(decided) if later != earlier]
    turns = sum((earlier > 0) != (later > 0) for earlier, later in itertools.pairwise(moves))

    assert max((abs(move) for move in moves if ABSTAIN not in decided), default=0.0) <= 0.016
    assert len(moves) <= 40
    assert turns <= 8


def test_one_more_label_hardly_moves_it() -> None:
    labels = stream(5000)
    before = shown(labels).threshold()
    after = shown([*labels, *[(0.9, False)] * 10]).threshold()

    assert before is not None
    assert pytest.approx(before, abs=0.016) == after


scores = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5, *thresholds.EDGES[:3]])
targets = st.floats(0.05, 0.95).map(lambda share: Target(precision=share)) | st.tuples(
    st.floats(0.1, 50), st.floats(0.1, 50)
).map(lambda costs: Target(costs=Costs(false_alarm=costs[0], missed=costs[1])))


@given(targets, st.lists(st.tuples(scores, st.booleans()), max_size=400), st.integers(0, 400))
def test_going_on_from_an_export_is_as_if_nothing_had_stopped(
    target: Target, labels: list[tuple[float, bool]], stop: int
) -> None:
    whole = [*stream(150, centre=-1.0), *labels]
    text = msgspec.json.encode(shown(whole[:stop], target).export())
    resumed = Thresholds(target, msgspec.json.decode(text, type=ThresholdState))
    for score, label in whole[stop:]:
        resumed.observe(score, label)

    assert shown(whole, target).export() == resumed.export()


def test_going_on_is_exact_across_halvings() -> None:
    whole = stream(2 * thresholds.HALF_LIFE + 500)
    text = msgspec.json.encode(shown(whole[:7777]).export())
    resumed = Thresholds(HALF, msgspec.json.decode(text, type=ThresholdState))
    for score, label in whole[7777:]:
        resumed.observe(score, label)

    assert shown(whole).export() == resumed.export()


def test_the_state_stays_small_and_what_is_old_is_forgotten() -> None:
    state = shown(stream(60_000)).export()

    assert len(msgspec.json.encode(state)) < 10_000
    held = (sum(state.negatives_at) + sum(state.positives_at)) / state.weight
    assert held < 1.5 * thresholds.HALF_LIFE


def test_another_target_chooses_anew_from_the_same_labels() -> None:
    state = shown(stream(5000), Target(precision=0.7)).export()
    bolder = Thresholds(Target(precision=0.3), state).threshold()

    assert shown(stream(5000), Target(precision=0.3)).threshold() == pytest.approx(bolder, abs=0.05)


@pytest.mark.parametrize("target", [Target(), Target(precision=0.5, costs=Costs(false_alarm=1, missed=1))])
def test_a_target_states_one_of_the_two(target: Target) -> None:
    with pytest.raises(ValueError, match="for a precision or for costs"):
        Thresholds(target)


@given(st.floats(0, 1))
def test_a_score_passes_a_threshold_exactly_when_its_bin_does(score: float) -> None:
    place = thresholds.bin_of(score)

    assert thresholds.EDGES[place] <= score <= thresholds.EDGES[place + 1]
    assert score < thresholds.EDGES[place + 1] or score == 1.0
