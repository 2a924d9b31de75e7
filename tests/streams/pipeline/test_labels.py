import pytest
from hypothesis import given
from hypothesis import strategies as st

import stories
from needstream.models.scorer import Scorer
from needstream.schemas.times import DAY_MS, MINUTE_MS
from needstream.streams.packs import loader
from needstream.streams.pipeline import labels
from needstream.streams.pipeline.occasions import Occasion

BANK = loader.load("bank")
MADE_MS = 100 * DAY_MS
DUE_MS = MADE_MS + 14 * DAY_MS
LATENESS_MS = 15 * MINUTE_MS


def _predicted(definitions=BANK):
    state = stories.new_customer()
    occasion = Occasion(state, MADE_MS, "", definitions, Scorer(definitions.readiness()))
    labels.remember(occasion, labels.outlook(occasion))
    return state


def _labels(state, at_ms, definitions=BANK):
    return {each.model: each.label for each in labels.resolve(state, at_ms, definitions=definitions)}


@pytest.mark.parametrize(
    ("at_ms", "label"), [(MADE_MS - 1, False), (MADE_MS, True), (DUE_MS, True), (DUE_MS + 1, False)]
)
def test_both_ends_of_the_horizon_count(at_ms, *, label):
    state = _predicted()
    labels.mark(state, "apply.card", at_ms=at_ms, definitions=BANK)

    assert label is _labels(state, DUE_MS + LATENESS_MS)["card"]


def test_nothing_is_released_before_the_allowed_lateness_has_passed():
    state = _predicted()

    assert {} == _labels(state, DUE_MS + LATENESS_MS - 1)
    assert {"loan", "wealth", "card", "insurance", "remittance"} == set(_labels(state, DUE_MS + LATENESS_MS))


def test_a_positive_is_not_released_earlier_than_a_negative():
    state = _predicted()
    labels.mark(state, "apply.card", at_ms=MADE_MS + 1, definitions=BANK)

    assert {} == _labels(state, DUE_MS)


def test_churn_is_the_absence_of_activity():
    quiet, active = _predicted(), _predicted()
    labels.mark(active, "customer.activity", at_ms=MADE_MS + 30 * DAY_MS, definitions=BANK)
    due_ms = MADE_MS + 30 * DAY_MS + LATENESS_MS

    assert _labels(quiet, due_ms)["churn"]
    assert not _labels(active, due_ms)["churn"]


def test_each_prediction_is_judged_once():
    state = _predicted()
    _labels(state, MADE_MS + 40 * DAY_MS)

    assert ({}, []) == (_labels(state, MADE_MS + 80 * DAY_MS), state.predictions)


def test_predictions_of_another_feature_list_end_without_an_example():
    state = _predicted()
    other = stories.changed(BANK, features=BANK.pack.features[:-1])

    assert {} == _labels(state, MADE_MS + 40 * DAY_MS, other)
    assert [] == state.predictions


def test_predictions_of_a_model_that_is_gone_end_without_an_example():
    state = _predicted()
    other = stories.changed(BANK, models=BANK.pack.models[:1])

    assert {"loan"} == set(_labels(state, MADE_MS + 40 * DAY_MS, other))


FLOATS = st.floats(width=32, allow_nan=False)


@given(st.lists(st.one_of(st.just(0.0), FLOATS), max_size=70))
def test_vectors_are_kept_without_loss(values):
    kept = labels.packed(tuple(values))

    assert tuple(values) == labels.unpacked(kept, len(values))
    assert len(kept) == (len(values) + 7) // 8 + 4 * sum(value != 0 for value in values)
