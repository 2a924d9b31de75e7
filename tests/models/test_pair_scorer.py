"""All pairs at once say what each pair says, alone and in any batch."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import training
from needstream.models import linear
from needstream.models.calibration import Calibration
from needstream.models.pair import PairClassifier
from needstream.models.pair_scorer import PairScorer

SEEDS = (3, 5, 8)


def pair(seed: int, count: int = 300) -> PairClassifier:
    model = PairClassifier(f"need{seed}", training.FEATURES)
    for values, label in training.examples(count, seed):
        model.learn(values, label)
    return model


PAIRS = [*map(pair, SEEDS), pair(1, count=0), pair(2, count=1)]
SCORER = PairScorer([each.export() for each in PAIRS])
SEEN = [values for values, _ in training.examples(300, SEEDS[0])]

numbers = st.floats() | st.sampled_from([math.inf, math.nan, 1e300, -1e300, 5e-324, -0.0, 0.0, 1.0, 365.0])
vectors = st.lists(numbers, min_size=6, max_size=6) | st.sampled_from(SEEN)


@given(vectors)
def test_a_vector_scores_as_each_pair_says(values: list[float]) -> None:
    named = dict(zip(training.FEATURES, values, strict=True))

    assert pytest.approx([each.logit(values) for each in PAIRS], abs=1e-9) == SCORER.logits(values)
    assert pytest.approx([each.predict_proba_one(named)[True] for each in PAIRS], abs=1e-9) == SCORER.scores(values)


@given(st.lists(vectors, max_size=5), vectors, st.integers(0, 300))
def test_company_changes_no_bit_of_a_score(before: list[list[float]], values: list[float], more: int) -> None:
    batch = [*before, values, *SEEN[:more]]

    assert SCORER.logits(values) == SCORER.batch_logits(batch)[len(before)].tolist()
    assert SCORER.scores(values) == SCORER.batch_scores(batch)[len(before)].tolist()


def test_company_changes_no_bit_where_one_pair_is_alone() -> None:
    alone = PairScorer([PAIRS[0].export()])

    assert [alone.logits(values) for values in SEEN] == alone.batch_logits(SEEN).tolist()
    assert [SCORER.logits(values)[:1] for values in SEEN] == alone.batch_logits(SEEN).tolist()


@pytest.mark.parametrize("count", [1, 2, 127, 128, 129, 255, 256, 257, 258])
def test_every_vector_of_a_batch_has_its_row(count: int) -> None:
    batch = (SEEN * 2)[:count]

    assert [SCORER.logits(values) for values in batch] == SCORER.batch_logits(batch).tolist()


def test_no_vectors_have_no_scores() -> None:
    assert (0, len(PAIRS)) == SCORER.batch_scores([]).shape
    assert (1, 0) == PairScorer([]).batch_scores([[]]).shape
    assert [] == PairScorer([]).scores([])


@given(st.lists(numbers, min_size=6, max_size=6))
def test_squashing_an_array_is_squashing_each(values: list[float]) -> None:
    squashed = SCORER.squashed(values)

    assert linear.squashed(values) == pytest.approx(squashed.tolist(), rel=1e-15, abs=0)


def test_a_warm_calibration_is_part_of_the_score_and_not_of_the_raw_logit() -> None:
    line = Calibration(labels=1000, positives=100, slope=0.5, offset=0.25, gain=1000.0)
    plain = PAIRS[0].export()
    scorer = PairScorer([msgspec.structs.replace(plain, calibration=line), plain])
    raw = PAIRS[0].logit(SEEN[0])

    assert [raw, raw] == pytest.approx(scorer.logits(SEEN[0]), abs=1e-9)
    assert [linear.sigmoid(0.5 * raw + 0.25), linear.sigmoid(raw)] == pytest.approx(scorer.scores(SEEN[0]), abs=1e-9)


def test_pairs_of_different_features_are_refused() -> None:
    with pytest.raises(ValueError, match="different features"):
        PairScorer([PAIRS[0].export(), PairClassifier("other", ("balance",)).export()])


@pytest.mark.parametrize("values", [[], [1.0] * 5, [1.0] * 7])
def test_a_vector_of_another_length_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="one value for each of the 6 features"):
        SCORER.scores(values)
    with pytest.raises(ValueError, match="one value for each of the 6 features"):
        SCORER.batch_logits([[1.0] * 6, values])
