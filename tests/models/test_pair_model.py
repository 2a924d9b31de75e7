"""A pair as plain numbers: its text comes back as it was, and what no pair can be is refused."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import training
from needstream.models import linear, pair_model
from needstream.models.calibration import Calibrator
from needstream.models.pair import PairClassifier
from needstream.models.pair_model import BUCKETS, PairModel


def exported(count: int = 300) -> PairModel:
    model, calibrator = PairClassifier("loan", training.FEATURES), Calibrator()
    for values, label in training.examples(count):
        calibrator.learn(model.logit(values), label)
        model.learn(values, label)
    return model.export(calibrated=calibrator.export())


MODEL = exported()
BODY = pair_model.encode(MODEL)
LINEAR_BODY = linear.encode(training.trained(20).export())


def said(**changes: Any) -> bytes:
    return msgspec.json.encode(msgspec.to_builtins(MODEL) | changes)


def test_equal_models_have_equal_bytes_and_bytes_are_the_model() -> None:
    assert MODEL == pair_model.decode(BODY)
    assert BODY == pair_model.encode(exported())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"means": []}, "unequal length"),
        ({"weights": [0.0] * 7}, "unequal length"),
        ({"bucket_weights": [0.0] * BUCKETS}, "21 entries per feature"),
        ({"bucket_counts": [0] * 6}, "21 entries per feature"),
        ({"bucket_counts": [1] * 6 * BUCKETS}, "do not sum to its examples"),
        ({"features": ["balance"] * 6}, "names a feature twice"),
        ({"features": "loan"}, "Expected `array`"),
        ({"weights": ["0.5"] * 6}, "Expected `float`"),
        ({"variances": [-1.0] * 6}, ">= 0.0"),
        ({"squares": [-1e-300] * 6}, ">= 0.0"),
        ({"means": [1e300] * 6}, "<= 1000000.0"),
        ({"bucket_weights": [-1e7] * 6 * BUCKETS}, ">= -1000000.0"),
        ({"weights_intercept": 1e9}, "<= 1000000.0"),
        ({"version": -1}, ">= 0"),
        ({"positives": 301}, "more positives than examples"),
        ({"calibration": {"slope": 0.0}}, r">= 0\.2"),
        ({"calibration": {"labels": 1, "positives": 2}}, "more positives than labels"),
        ({"calibration": {"curvature": [1.0, 5.0, 1.0]}}, "curvature that no labels give"),
        ({"calibration": None}, "Expected `object`"),
        ({"kind": "linear"}, "Invalid value 'linear'"),
        ({"kind": "forest"}, "Invalid value 'forest'"),
        ({"kind": 1}, "Expected `str`"),
    ],
)
def test_numbers_no_pair_can_have_are_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        pair_model.decode(said(**changes))


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"null"])
@pytest.mark.parametrize("field", ["buckets_intercept", "weights", "means", "variances", "squares", "bucket_weights"])
def test_numbers_that_are_not_finite_are_refused(field: str, number: bytes) -> None:
    numbers = msgspec.to_builtins(MODEL)[field]
    forged = msgspec.Raw(number) if field == "buckets_intercept" else [msgspec.Raw(number), *numbers[1:]]

    with pytest.raises(ValueError, match=r"malformed|out of range|Expected `float`"):
        pair_model.decode(said(**{field: forged}))


def test_a_linear_model_and_a_pair_are_told_apart() -> None:
    with pytest.raises(ValueError, match="Invalid value 'linear'"):
        pair_model.decode(LINEAR_BODY)
    with pytest.raises(ValueError, match="Invalid value 'pair'"):
        linear.decode(BODY)


def test_the_numbers_say_what_the_pair_says() -> None:
    """Bit for bit, so that a learner and a scorer never disagree."""
    pair = PairClassifier.restore(MODEL)
    probes = [values for values, _ in training.examples(200, seed=11)]

    assert [pair.logit(values) for values in probes] == [MODEL.logit(values) for values in probes]
    assert [pair.score(values) for values in probes] == [MODEL.score(values) for values in probes]


@pytest.mark.parametrize("values", [[], [1.0] * 5, [1.0] * 7])
def test_a_vector_of_another_length_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="zip"):
        MODEL.logit(values)


@given(st.binary(max_size=200))
def test_no_bytes_are_a_model_by_accident(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        pair_model.decode(body)


def test_a_model_of_the_widest_pack_fits_sixty_four_kilobytes_with_every_number_at_its_longest() -> None:
    chance, width = random.Random(7), 35
    longest = [-chance.random() * 1e-5 for _ in range(width * BUCKETS)]
    examples = BUCKETS * 10**11
    model = PairModel(
        name="remittance",
        version=examples,
        positives=examples,
        features=tuple(f"count_30d.interest.insurance.{place}" for place in range(width)),
        means=tuple(longest[:width]),
        variances=tuple(-number for number in longest[:width]),
        weights=tuple(longest[:width]),
        squares=tuple(-number for number in longest[:width]),
        bucket_weights=tuple(longest),
        bucket_counts=(10**11,) * (width * BUCKETS),
        weights_intercept=longest[0],
        buckets_intercept=longest[1],
    )

    assert model == pair_model.decode(pair_model.encode(model))
    assert len(pair_model.encode(model)) < 48 * 1024
