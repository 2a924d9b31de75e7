"""Calibration: identity until it knows better, honest afterwards, monotone always, exact across restarts."""

import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needstream.models import calibration, linear
from needstream.models.calibration import IDENTITY, Calibration, Calibrator


def stream(count: int, *, slope: float = 1.0, offset: float = 0.0, seed: int = 7) -> list[tuple[float, bool]]:
    """Raw logits with labels whose true logit is ``slope * raw + offset``."""
    chance = random.Random(seed)
    drawn = []
    for _ in range(count):
        raw = chance.gauss(-1.5, 1.5)
        drawn.append((raw, chance.random() < linear.sigmoid(slope * raw + offset)))
    return drawn


def learned(labels: list[tuple[float, bool]], onto: Calibration = IDENTITY) -> Calibrator:
    calibrator = Calibrator(onto)
    for raw, label in labels:
        calibrator.learn(raw, label)
    return calibrator


def error(scored: list[tuple[float, bool]]) -> float:
    """Expected calibration error over ten bins of equal mass."""
    ranked, count = sorted(scored), len(scored)
    bins = [ranked[place * count // 10 : (place + 1) * count // 10] for place in range(10)]
    return sum(abs(sum(score for score, _ in each) - sum(label for _, label in each)) for each in bins) / count


@pytest.mark.parametrize(("slope", "offset"), [(0.5, -1.0), (1.5, 1.5), (0.7, 0.0), (1.0, -2.0)])
def test_a_crooked_score_becomes_an_honest_one(slope: float, offset: float) -> None:
    """Every example is scored before its label is learned."""
    calibrator, raws, scores = Calibrator(), [], []
    for raw, label in stream(6000, slope=slope, offset=offset):
        raws.append((linear.sigmoid(raw), label))
        scores.append((linear.sigmoid(calibrator.export().logit(raw)), label))
        calibrator.learn(raw, label)

    assert 0.05 < error(raws[3000:])
    assert error(scores[3000:]) < 0.03


def test_a_score_that_is_honest_already_is_left_alone() -> None:
    calibrator = Calibrator()
    served = set()
    for raw, label in stream(6000):
        calibrator.learn(raw, label)
        served.add(calibrator.export().line())

    assert all(abs(slope - 1.0) < 0.02 and abs(offset) < 0.02 for slope, offset in served)


def test_too_few_labels_are_identity() -> None:
    crooked = stream(calibration.MIN_LABELS, offset=2.0)

    assert (1.0, 0.0) == learned(crooked[:-1]).export().line()
    assert (1.0, 0.0) != learned(crooked).export().line()


def test_labels_of_one_class_are_identity_however_many() -> None:
    assert (1.0, 0.0) == learned([(-1.0, False)] * 5000).export().line()


def test_what_changes_is_followed() -> None:
    changed = learned([*stream(4000, offset=-2.0), *stream(4000, offset=1.0, seed=8)]).export()

    assert pytest.approx(1.0, abs=0.3) == changed.offset


extremes = st.sampled_from([math.nan, math.inf, -math.inf, 1e300, -1e300, 50.0, -50.0, 0.0])
labels = st.lists(st.tuples(extremes | st.floats(-15, 15), st.booleans()), max_size=300)


@given(labels)
def test_no_labels_turn_the_ranking_or_leave_the_bounds(shown: list[tuple[float, bool]]) -> None:
    line = learned([*stream(300, offset=2.0), *shown]).export()
    said = [line.logit(raw) for raw in (-30.0, -3.0, -0.1, 0.0, 0.1, 3.0, 30.0)]

    assert sorted(set(said)) == said
    assert line == msgspec.json.decode(msgspec.json.encode(line), type=Calibration)
    assert calibration.is_definite(line)


def test_one_label_moves_the_line_by_a_bounded_step() -> None:
    before = learned(stream(500))
    slope, offset = before.export().slope, before.export().offset
    before.learn(-1e300, label=True)

    assert calibration.LONGEST_STEP + 1e-12 >= abs(before.export().slope - slope)
    assert calibration.LONGEST_STEP + 1e-12 >= abs(before.export().offset - offset)


def test_a_raw_score_that_is_no_number_is_not_learned() -> None:
    assert learned(stream(50)).export() == learned([*stream(50), (math.nan, True), (math.inf, False)]).export()


@pytest.mark.parametrize("stop", [0, 1, 199, 200, 777])
def test_going_on_from_an_export_is_as_if_nothing_had_stopped(stop: int) -> None:
    shown = stream(1000, offset=1.0)
    text = msgspec.json.encode(learned(shown[:stop]).export())
    resumed = learned(shown[stop:], onto=msgspec.json.decode(text, type=Calibration))

    assert learned(shown).export() == resumed.export()
