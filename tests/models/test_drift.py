"""Drift: a rise is found, a fall is not, a restart changes nothing, and moved inputs show before labels do."""

import base64
import math
import random
import struct
from collections.abc import Iterable

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river.drift import ADWIN

from needstream.models import drift
from needstream.models.drift import InputDrift, LossDrift, LossDriftFound
from needstream.models.pair import PairClassifier
from needstream.models.pair_model import BUCKETS, PairModel

FEATURES = ("visits", "amount", "idle_days")


def losses(count: int, mean: float, *, seed: int = 7) -> list[float]:
    """Losses of a wavering mean, all below the largest that counts."""
    chance = random.Random(seed)
    return [max(0.0, min(2.9, chance.gauss(mean, 0.3))) for _ in range(count)]


def finds(detector: LossDrift, shown: Iterable[float]) -> list[tuple[int, LossDriftFound]]:
    found = [(place, detector.observe(loss)) for place, loss in enumerate(shown)]
    return [(place, each) for place, each in found if each is not None]


def test_a_rise_of_the_loss_is_found_soon_and_once() -> None:
    found = finds(LossDrift(), [*losses(3000, 0.4), *losses(3000, 0.9, seed=8)])

    [(place, rise)] = found
    assert 3000 <= place < 3100
    assert pytest.approx(0.4, abs=0.05) == rise.before
    assert pytest.approx(0.9, abs=0.15) == rise.after
    assert 20 < rise.examples < 200


def test_a_fall_of_the_loss_is_no_drift() -> None:
    assert [] == finds(LossDrift(), [*losses(3000, 0.9), *losses(3000, 0.4, seed=8)])


def test_a_rise_after_a_fall_is_found() -> None:
    shown = [*losses(2000, 0.9), *losses(2000, 0.4, seed=8), *losses(2000, 0.9, seed=9)]

    [(place, _)] = finds(LossDrift(), shown)
    assert 4000 <= place < 4200


@pytest.mark.parametrize("seed", range(5))
def test_a_steady_loss_is_no_drift(seed: int) -> None:
    assert [] == finds(LossDrift(), losses(10_000, 0.5, seed=seed))


def test_losses_that_are_no_numbers_are_ignored() -> None:
    plain, disturbed = LossDrift(), LossDrift()
    for loss in losses(500, 0.4):
        plain.observe(loss)
        disturbed.observe(loss)
        for odd in (math.nan, math.inf, -math.inf):
            assert disturbed.observe(odd) is None

    assert plain.export() == disturbed.export()


def test_it_is_what_rivers_adwin_finds() -> None:
    shown = [*losses(1500, 0.9), *losses(1500, 0.4, seed=8), *losses(1500, 1.5, seed=9), *losses(900, 0.2, seed=3)]
    river, found, rises = ADWIN(), [], finds(LossDrift(), shown)
    for place, loss in enumerate(shown):
        river.update(loss / drift.LARGEST_LOSS)
        if river.drift_detected:
            found.append(place)

    risen = [place for place, _ in rises]
    assert 3 == len(found)
    assert [place for place in found if 3000 <= place < 4500] == risen


@pytest.mark.parametrize("stop", [0, 1, 5, 6, 31, 32, 1000, 1499, 1530, 2999])
def test_going_on_from_an_export_is_as_if_nothing_had_stopped(stop: int) -> None:
    shown = [*losses(1500, 0.4), *losses(1500, 0.9, seed=8)]
    whole, begun = LossDrift(), LossDrift()
    said = [whole.observe(loss) for loss in shown]
    before = [begun.observe(loss) for loss in shown[:stop]]
    resumed = LossDrift(msgspec.json.decode(msgspec.json.encode(begun.export()), type=str))

    assert begun.export() == resumed.export()
    assert said == before + [resumed.observe(loss) for loss in shown[stop:]]
    assert whole.export() == resumed.export()


@given(st.lists(st.floats(allow_nan=True), max_size=120), st.lists(st.floats(0, 3), max_size=120))
def test_any_losses_give_a_state_that_restores_exactly(odd: list[float], even: list[float]) -> None:
    begun = LossDrift()
    for loss in [*odd, *even]:
        begun.observe(loss)
    resumed = LossDrift(begun.export())

    assert begun.export() == resumed.export()
    assert [begun.observe(loss) for loss in losses(100, 2.5)] == [resumed.observe(loss) for loss in losses(100, 2.5)]


def test_a_long_memory_stays_short_and_restores() -> None:
    """Ten years of a hundred labels a day are 15 rows of buckets."""
    begun = LossDrift()
    for loss in losses(100_000, 0.4):
        begun.observe(loss)

    assert len(begun.export()) < drift.LONGEST_STATE / 3
    assert begun.export() == LossDrift(begun.export()).export()


def learned_state() -> bytes:
    begun = LossDrift()
    for loss in losses(300, 0.4):
        begun.observe(loss)
    return base64.b64decode(begun.export())


def with_number(place: int, form: str, number: float) -> bytes:
    changed = bytearray(learned_state())
    struct.pack_into(form, changed, place, number)
    return bytes(changed)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(learned_state()[:-1], id="cut off"),
        pytest.param(learned_state() + b"x", id="too long"),
        pytest.param(learned_state()[:-128], id="a row is missing"),
        pytest.param(with_number(0, "<d", 0.9), id="another risk"),
        pytest.param(with_number(8, "<i", 0), id="a clock that divides by zero"),
        pytest.param(with_number(36, "<d", math.nan), id="a total that is no number"),
        pytest.param(with_number(52, "<d", 299.0), id="a width that is not what the rows hold"),
        pytest.param(with_number(68, "<i", -1), id="fewer than no buckets"),
        pytest.param(with_number(84, "<Q", 2**40), id="more rows than there are"),
        pytest.param(with_number(100, "<Q", 7), id="a row with more than it has room for"),
        pytest.param(with_number(108, "<Q", 2**40), id="a list longer than the text"),
        pytest.param(with_number(116, "<d", math.inf), id="a bucket that is no number"),
        pytest.param(base64.b64decode(LossDrift().export())[:-28], id="without the settings at its end"),
    ],
)
def test_a_state_that_no_losses_give_begins_anew(body: bytes) -> None:
    assert LossDrift().export() == LossDrift(base64.b64encode(body).decode()).export()


@pytest.mark.parametrize("text", ["%%%", "gASVAAAA", "ä", "A" * (drift.LONGEST_STATE + 4)])
def test_a_text_that_is_no_state_begins_anew(text: str) -> None:
    assert LossDrift().export() == LossDrift(text).export()


@given(st.integers(0, len(learned_state()) - 1), st.integers(1, 255))
def test_a_state_with_a_changed_byte_never_breaks_the_detector(place: int, change: int) -> None:
    body = bytearray(learned_state())
    body[place] ^= change
    resumed = LossDrift(base64.b64encode(bytes(body)).decode())
    for loss in losses(200, 0.4):
        resumed.observe(loss)

    assert resumed.export()


def rows(count: int, *, amount: float = 3.0, seed: int = 7) -> list[list[float]]:
    chance = random.Random(seed)
    return [
        [float(chance.randrange(8)), chance.lognormvariate(amount, 1.0), chance.expovariate(0.1)] for _ in range(count)
    ]


def pair(shown: list[list[float]]) -> PairModel:
    learner = PairClassifier("bank_card", FEATURES)
    for place, values in enumerate(shown):
        learner.learn(values, place % 10 == 0)
    return learner.export()


def watching(shown: list[list[float]], score: float | None = None) -> InputDrift:
    watch = InputDrift(FEATURES)
    for values in shown:
        watch.observe(values, {"bank_card": score})
    return watch


@pytest.mark.parametrize("seed", range(5))
def test_inputs_as_they_were_learned_are_stable(seed: int) -> None:
    found = watching(rows(1000, seed=seed + 100)).features(pair(rows(5000, seed=seed)))

    assert list(FEATURES) == list(found)
    assert max(found.values()) < 0.1


def test_a_feature_that_moved_is_named_and_the_others_are_not() -> None:
    found = watching(rows(1000, amount=4.0, seed=8)).features(pair(rows(3000)))

    assert ["amount"] == [name for name, index in found.items() if index > 0.25]
    assert max(found["visits"], found["idle_days"]) < 0.1


def test_a_rare_value_that_becomes_common_shows() -> None:
    chance = random.Random(4)

    def with_share(share: float) -> list[list[float]]:
        return [[1.0, 50.0 if chance.random() < share else 0.0, 1.0] for _ in range(2000)]

    assert watching(with_share(0.3)).features(pair(with_share(0.03)))["amount"] > 0.25


def test_what_never_varied_is_stable_and_finite() -> None:
    same = [[1.0, 0.0, 2.0]] * 1000

    assert dict.fromkeys(FEATURES, 0.0) == watching(same).features(pair(same))


def test_what_has_moved_back_is_stable_again() -> None:
    model = pair(rows(5000))
    watch = watching([*rows(drift.WINDOW, amount=5.0, seed=8), *rows(drift.WINDOW, seed=9)])

    assert max(watch.features(model).values()) < 0.1


def test_too_few_on_either_side_say_nothing() -> None:
    enough = rows(drift.FEWEST)

    assert {} == watching(enough[1:]).features(pair(enough))
    assert {} == watching(enough).features(pair(enough[1:]))
    assert list(FEATURES) == list(watching(enough).features(pair(enough)))


def test_features_are_found_by_name() -> None:
    learner = PairClassifier("bank_card", ("idle_days", "unheard_of", "amount"))
    for visits, amount, idle_days in rows(3000):
        learner.learn([idle_days, visits, amount], label=False)
    found = watching(rows(1000, seed=8)).features(learner.export())

    assert ["idle_days", "amount"] == list(found)
    assert max(found.values()) < 0.1


numbers = st.floats() | st.sampled_from([0.0, 1.0, 2.0, -1.0, 1e12, 1e300, -1e300, math.nan, math.inf])


@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=30))
def test_buckets_are_those_of_the_pair(shown: list[tuple[float, float, float]]) -> None:
    """A pair with these means and deviations counts the values; the index against its counts is then none."""
    model = pair([*rows(600), *map(list, shown)])
    learner = PairClassifier.restore(model)
    watched = [list(values) for values in shown] * drift.FEWEST
    counts = np.zeros((len(FEATURES), BUCKETS), dtype=int)
    for values in shown:
        # One more example moves the moments, so the place is taken from a pair as it was.
        places = [int(place) for place in learner_places(learner, values)]
        for feature, place in enumerate(places):
            counts[feature, place] += drift.FEWEST
    counted = msgspec.structs.replace(
        model, bucket_counts=tuple(counts.ravel().tolist()), version=len(shown) * drift.FEWEST
    )
    watch = watching(watched[: len(shown) * (drift.WINDOW // len(shown))])

    assert dict.fromkeys(FEATURES, 0.0) == pytest.approx(watch.features(counted), abs=1e-12)


def learner_places(learner: PairClassifier, values: Iterable[float]) -> list[int]:
    """Which bucket weight of each feature a score uses: the one whose change changes the logit."""
    model = learner.export()
    values = list(values)
    flat = msgspec.structs.replace(model, weights=(0.0,) * len(FEATURES), buckets_intercept=0.0)
    places = []
    for feature in range(len(FEATURES)):
        marks = [0.0] * len(model.bucket_weights)
        marks[feature * BUCKETS : (feature + 1) * BUCKETS] = [float(place) for place in range(BUCKETS)]
        marked = PairClassifier.restore(msgspec.structs.replace(flat, bucket_weights=tuple(marks)))
        places.append(round(marked.logits(values)[1]))
    return places


def test_a_wrong_number_of_values_is_refused() -> None:
    with pytest.raises(ValueError, match="2 values given for 3 features"):
        InputDrift(FEATURES).observe([1.0, 2.0], {})


def scored(made: Iterable[float | None], matured: Iterable[float | None]) -> dict[str, float]:
    watch = InputDrift(())
    for score in made:
        watch.observe((), {"bank_card": score})
    for score in matured:
        watch.matured("bank_card", score)
    return watch.scores()


def scores(count: int, centre: float, *, seed: int = 7) -> list[float]:
    chance = random.Random(seed)
    return [1 / (1 + math.exp(-chance.gauss(centre, 1.0))) for _ in range(count)]


def test_scores_like_the_matured_ones_are_stable() -> None:
    assert scored(scores(1000, -3.0), scores(1000, -3.0, seed=8))["bank_card"] < 0.1


def test_scores_that_moved_show() -> None:
    assert scored(scores(1000, -2.0), scores(1000, -3.0, seed=8))["bank_card"] > 0.25


def test_scores_of_models_with_too_few_are_not_compared() -> None:
    few, enough = scores(drift.FEWEST - 1, -3.0), scores(drift.FEWEST, -3.0)

    assert {} == scored(few, enough)
    assert {} == scored(enough, few)
    assert {"bank_card": 0.0} == scored(enough, enough)


def test_what_is_no_score_is_not_counted() -> None:
    odd = [None, math.nan, math.inf, -0.1, 1.1]

    assert {} == scored(odd * drift.FEWEST, odd * drift.FEWEST)
    assert {"bank_card": 0.0} == scored([0.0, 1.0] * drift.FEWEST, [0.0, 1.0] * drift.FEWEST)
