import math
import struct
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stories
from needstream.models.linear import LinearModel
from needstream.models.scorer import FINEST, Readiness, Scorer
from needstream.models.standing import Standing
from needstream.models.trees import TreesModel
from needstream.schemas import pack as packs
from needstream.schemas import state as states
from needstream.schemas.parts import Balance
from needstream.schemas.times import DAY_MS, MINUTE_MS
from needstream.streams.packs import loader
from needstream.streams.pipeline import keeping, labels, timers
from needstream.streams.pipeline.occasions import Occasion

BANK = loader.load("bank")
FEATURES = BANK.pack.features
MADE_MS = 100 * DAY_MS
DUE_MS = MADE_MS + 14 * DAY_MS
LATENESS_MS = 15 * MINUTE_MS


def _predicted(definitions=BANK, state=None):
    state = state or stories.new_customer()
    _remember(state, definitions)
    return state


def _remember(state, definitions, scorer=None):
    occasion = Occasion(state, MADE_MS, "", definitions, scorer or Scorer(definitions.readiness()))
    return labels.remember(occasion, labels.sample(occasion))


def _labels(state, at_ms, definitions=BANK):
    return {each.model: each.label for each in labels.resolve(state, at_ms, definitions=definitions)}


def _changed(model, definitions=BANK, **fields):
    """The pack with that one model only, some of its fields replaced."""
    (declared,) = (each for each in definitions.pack.models if each.name == model)
    return stories.changed(definitions, models=(msgspec.structs.replace(declared, **fields),))


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


HALVED = _changed("churn", absence_of=(), declines=packs.Decline(feature="balance", to=0.5, from_at_least=100.0))
READ_MS = MADE_MS + 30 * DAY_MS + 1


def _with_balance(amount, state=None):
    state = state or stories.new_customer()
    state.balance = Balance("EUR", round(amount * 100), 0, 0, 1, 0.0, 0, 0, 0)
    return state


@pytest.mark.parametrize(("later", "label"), [(500.0, True), (500.01, False), (0.0, True), (2_000.0, False)])
def test_a_decline_is_a_reading_at_or_below_the_share_of_what_it_was(later, *, label):
    state = _predicted(HALVED, _with_balance(1_000.0))
    _with_balance(later, state)

    assert {} == _labels(state, READ_MS, HALVED)
    assert {"churn": label} == _labels(state, READ_MS - 1 + LATENESS_MS, HALVED)


def test_a_decline_is_read_when_the_horizon_ends_and_not_when_it_is_released():
    state = _predicted(HALVED, _with_balance(1_000.0))

    assert READ_MS == timers.next_due_ms(state)
    labels.resolve(_with_balance(400.0, state), READ_MS, definitions=HALVED)
    assert READ_MS - 1 + LATENESS_MS == timers.next_due_ms(state)
    assert {"churn": True} == _labels(_with_balance(1_000.0, state), READ_MS - 1 + LATENESS_MS, HALVED)


def test_a_decline_is_read_at_its_release_where_nothing_may_be_late():
    time = msgspec.structs.replace(BANK.pack.time, allowed_lateness="0s")
    definitions = stories.changed(HALVED, time=time)
    state = _predicted(definitions, _with_balance(1_000.0))

    assert {"churn": True} == _labels(_with_balance(500.0, state), READ_MS - 1, definitions)


def test_a_reading_that_stays_is_a_decline_to_all_of_it_in_any_precision():
    whole = _changed("churn", absence_of=(), declines=packs.Decline(feature="balance", to=1.0, from_at_least=0.01))
    state = _predicted(whole, _with_balance(0.7))
    labels.resolve(state, READ_MS, definitions=whole)

    assert {"churn": True} == _labels(state, READ_MS + LATENESS_MS, whole)


@pytest.mark.parametrize(("balance", "asked"), [(99.99, False), (100.0, True)])
def test_who_has_too_little_to_fall_from_is_not_asked_about(balance, *, asked):
    both = stories.changed(HALVED, models=(*HALVED.pack.models, BANK.pack.models[0]))
    state = _predicted(both, _with_balance(balance))

    (prediction,) = states.opened(state)
    assert asked is ("churn" in prediction.asks)
    assert "loan" in prediction.asks


def test_a_prediction_that_asks_nothing_is_not_remembered():
    state = _predicted(HALVED, _with_balance(1.0))

    assert ([], {}) == (state.predictions, state.timers)


def test_a_decline_waits_through_a_restart_between_reading_and_release():
    state = _predicted(HALVED, _with_balance(1_000.0))
    state = states.restore(states.snapshot(_with_balance(400.0, state)))
    labels.resolve(state, READ_MS, definitions=HALVED)
    state = states.restore(states.snapshot(_with_balance(1_000.0, state)))

    assert {"churn": True} == _labels(state, READ_MS - 1 + LATENESS_MS, HALVED)


EARLY = _changed("card", feedback="assumed_negative")


def _mark(state, fact, *, at_ms, definitions=EARLY):
    """What a step does: mark, then say what the mark corrects."""
    assumed = labels.assumptions(state, definitions)
    labels.mark(state, fact, at_ms=at_ms, definitions=definitions)
    return labels.corrections(state, assumed, definitions=definitions)


def test_with_corrected_feedback_a_negative_is_said_at_once_a_conversion_when_it_happens_and_the_truth_at_the_horizon():
    state = stories.new_customer()
    said = [
        *_remember(state, EARLY),
        *_mark(state, "apply.card", at_ms=MADE_MS + 5),
        *labels.resolve(state, DUE_MS + LATENESS_MS, definitions=EARLY),
    ]

    assert [("assumed", False), ("converted", True), ("final", True)] == [(each.stage, each.label) for each in said]
    assert 3 == len({each.example_id for each in said}) == state.released
    assert 1 == len({(each.features, each.predicted_at, each.due_at, each.model_version) for each in said})


def test_a_correction_is_said_once():
    state = stories.new_customer()
    _remember(state, EARLY)

    assert ["converted"] == [each.stage for each in _mark(state, "apply.card", at_ms=MADE_MS + 5)]
    assert [] == _mark(state, "apply.card", at_ms=MADE_MS + 6)


def test_a_correction_is_not_repeated_after_a_restart():
    state = stories.new_customer()
    _remember(state, EARLY)
    _mark(state, "apply.card", at_ms=MADE_MS + 5)
    restored = states.restore(states.snapshot(state))

    assert [] == _mark(restored, "apply.card", at_ms=MADE_MS + 6)


@pytest.mark.parametrize("at_ms", [MADE_MS - 1, DUE_MS + 1])
def test_nothing_outside_the_horizon_corrects(at_ms):
    state = stories.new_customer()
    _remember(state, EARLY)

    assert [] == _mark(state, "apply.card", at_ms=at_ms)


def test_of_an_absence_the_absence_is_assumed_and_activity_corrects_it():
    early = _changed("churn", feedback="assumed_negative")
    state = stories.new_customer()
    said = [
        *_remember(state, early),
        *_mark(state, "customer.activity", at_ms=MADE_MS + 5, definitions=early),
        *labels.resolve(state, READ_MS + LATENESS_MS, definitions=early),
    ]

    assert [("assumed", True), ("converted", False), ("final", False)] == [(each.stage, each.label) for each in said]


def test_without_the_option_nothing_is_said_before_the_horizon():
    state = stories.new_customer()

    assert [] == _remember(state, BANK)
    assert [] == _mark(state, "apply.card", at_ms=MADE_MS + 5, definitions=BANK)


def test_assumptions_of_another_feature_list_are_not_corrected():
    state = stories.new_customer()
    _remember(state, EARLY)
    other = stories.changed(EARLY, features=BANK.pack.features[:-1])

    assert [] == _mark(state, "apply.card", at_ms=MADE_MS + 5, definitions=other)


def test_an_example_says_which_slices_the_customer_belonged_to_at_its_release():
    state = _predicted()
    state.traits.tier, state.traits.channel = "gold", "app"
    example = labels.resolve(state, DUE_MS + LATENESS_MS, definitions=BANK)[0]

    assert {"tier": "gold", "channel": "app"} == example.slices


@pytest.mark.parametrize(
    ("until_ms", "reason"), [(DUE_MS + LATENESS_MS, ""), (DUE_MS + LATENESS_MS + 1, "suspected_bot")]
)
def test_the_examples_of_a_suspected_bot_are_released_in_quarantine(until_ms, reason):
    state = _predicted()
    state.suspect_until_ms = until_ms
    released = labels.resolve(state, DUE_MS + LATENESS_MS, definitions=BANK)

    assert 5 == len(released)
    assert {reason} == {each.quarantine for each in released}


def _constant(probability):
    """A linear model that says the same of everybody."""
    nothing = (0.0,) * len(FEATURES)
    return LinearModel(
        name="card",
        version=1,
        positives=1,
        features=FEATURES,
        means=nothing,
        variances=nothing,
        weights=nothing,
        squares=nothing,
        intercept=math.log(probability / (1 - probability)),
    )


def test_what_every_contestant_said_comes_back_with_the_example():
    said = {
        "linear": _constant(0.25),
        "forest": TreesModel(name="card", version=1, positives=1, features=FEATURES, combine="mean", base=0.0),
    }
    speaking = Scorer({name: Readiness(min_labels=0, min_positives=0) for name in BANK.readiness()})
    speaking.publish(Standing(name="card", features=FEATURES, champion="linear", contestants=said))
    state = stories.new_customer()
    _remember(state, BANK, speaking)
    released = {each.model: each.contestants for each in labels.resolve(state, DUE_MS + LATENESS_MS, definitions=BANK)}

    assert {"line": 0.25, "linear": 0.25, "forest": 0.5} == released["card"]
    assert {} == released["loan"]


FLOATS = st.floats(width=32, allow_nan=False)


@given(st.lists(st.one_of(st.just(0.0), FLOATS), max_size=70))
def test_vectors_are_kept_without_loss(values):
    kept = keeping.packed(tuple(values))

    assert tuple(values) == keeping.unpacked(kept, len(values))
    assert len(kept) == (len(values) + 7) // 8 + 4 * sum(value != 0 for value in values)


KEPT = ("line", "pair", "replayed", "linear", "forest", "batch", "blend")
"""Stored states depend on this order: kinds are appended, none is moved or removed."""


def _kept(said):
    (kept,) = keeping.said_packed(struct.pack("<7H", *(round(said.get(kind, 0.0) / FINEST) for kind in KEPT)))
    return kept


@given(st.dictionaries(st.sampled_from(KEPT), st.floats(FINEST, 1 - FINEST)))
def test_what_contestants_said_is_kept_in_two_bytes_each(said):
    kept = _kept(said)
    read = keeping.said_unpacked(kept)

    assert said.keys() == read.keys()
    assert all(0 < read[kind] < 1 and abs(read[kind] - said[kind]) <= 2**-16 for kind in said)
    assert len(kept) == 1 + 2 * len(said)


def test_contestants_are_kept_in_an_order_that_never_changes():
    levels = dict(zip(KEPT, (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875), strict=True))

    assert bytes.fromhex("7f 0020 0040 0060 0080 00a0 00c0 00e0") == _kept(levels)
    assert set(KEPT) == {"line", *get_args(packs.Contestant)}
