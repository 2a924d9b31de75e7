"""Contributions sum to what was said, and what is usual says next to nothing."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import training
from needstream.models.contributions import Explainer
from needstream.models.pair import PairClassifier

PAIR = PairClassifier("loan", training.FEATURES)
for example, truth in training.examples(600):
    PAIR.learn(example, truth)
EXPLAINER = Explainer(PAIR.export())

numbers = st.floats() | st.sampled_from([math.inf, math.nan, 1e300, -1e300, 5e-324, 0.0, 365.0])
vectors = st.lists(numbers, min_size=6, max_size=6)


@given(vectors)
def test_the_parts_sum_with_the_intercept_to_the_raw_logit(values: list[float]) -> None:
    explained = EXPLAINER.explain(values)

    assert pytest.approx(PAIR.logit(values), abs=1e-9) == explained.intercept + sum(
        part.logit for part in explained.parts
    )
    assert training.FEATURES == tuple(part.feature for part in explained.parts)


@given(vectors, st.integers(0, 7))
def test_the_strongest_come_first_for_and_against(values: list[float], count: int) -> None:
    explained = EXPLAINER.explain(values)
    speaking = [part.logit for part in explained.parts]

    assert sorted((logit for logit in speaking if logit > 0), reverse=True)[:count] == [
        part.logit for part in explained.strongest_for(count)
    ]
    assert sorted(logit for logit in speaking if logit < 0)[:count] == [
        part.logit for part in explained.strongest_against(count)
    ]


def test_what_the_bucketed_learner_adds_is_zero_on_average_over_what_was_learned() -> None:
    """With the buckets the examples fell in when they were learned."""
    model = PAIR.export()
    explained = Explainer(model)
    intercept = (
        model.intercept()
        + sum(
            weight * count / model.version
            for weight, count in zip(model.bucket_weights, model.bucket_counts, strict=True)
        )
        / 2
    )

    assert pytest.approx(intercept) == explained.explain([0.0] * 6).intercept


def test_a_feature_that_never_varied_says_nothing() -> None:
    constant = training.FEATURES.index("credit_score")

    assert 0.0 == EXPLAINER.explain([1.0] * 5 + [900.0]).parts[constant].logit


def test_what_tells_of_the_label_speaks_for_it() -> None:
    explained = EXPLAINER.explain([9.0, 100.0, 1.0, 3.5, 0.0, 0.0])

    assert {"count_7d.interest.loan", "balance"} == {part.feature for part in explained.strongest_for(2)}


def test_an_unlearned_pair_has_no_reasons() -> None:
    explained = Explainer(PairClassifier("loan", training.FEATURES).export()).explain([1.0] * 6)

    assert [] == explained.strongest_for(6) + explained.strongest_against(6)


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        EXPLAINER.explain([1.0])
