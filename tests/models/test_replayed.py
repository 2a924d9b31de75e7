"""The replayed pair: what a pair says that rehearses past examples, a restart that nobody notices."""

import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

import training
from needstream.models import pair_model, replayed
from needstream.models.pair import PairClassifier
from needstream.models.replayed import ReplayedPair

# Values as examples carry them: in single precision.
EXAMPLES = [(array("f", values).tolist(), label) for values, label in training.examples(400)]
PROBES = [values for values, _ in training.examples(40, seed=11)]


@pytest.fixture(autouse=True)
def short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that 400 examples go around the ring several times."""
    monkeypatch.setattr(replayed, "MEMORY", 60)


def learned(count: int) -> ReplayedPair:
    model = ReplayedPair("loan", training.FEATURES)
    for values, label in EXAMPLES[:count]:
        model.learn(values, label)
    return model


def restarted(model: ReplayedPair, stop: int, *, shown: int) -> ReplayedPair:
    """As a learner resumes it: from its text, and shown the newest examples again."""
    resumed = ReplayedPair.restore(pair_model.decode(pair_model.encode(model.export())))
    for values, label in EXAMPLES[max(0, stop - shown) : stop]:
        resumed.recall(values, label)
    return resumed


@pytest.mark.parametrize("shown", [60, 75, 400])
@pytest.mark.parametrize("stop", [0, 1, 2, 59, 60, 61, 150, 399, 400])
def test_going_on_after_a_restart_is_as_if_nothing_had_stopped(stop: int, shown: int) -> None:
    """Bit for bit, if at least what fits into the memory is shown again."""
    uninterrupted, stopped = learned(0), learned(0)
    for place, (values, label) in enumerate(EXAMPLES):
        if place == stop:
            stopped = restarted(stopped, stop, shown=shown)
        uninterrupted.learn(values, label)
        stopped.learn(values, label)

    assert pair_model.encode(uninterrupted.export()) == pair_model.encode(stopped.export())


def test_what_is_shown_again_counts_once() -> None:
    plain = PairClassifier("loan", training.FEATURES)
    for values, label in EXAMPLES:
        plain.learn(values, label)
    model, expected = learned(400).export(), plain.export()

    assert (400, expected.positives) == (model.version, model.positives)
    assert expected.means == model.means
    assert expected.variances == model.variances
    assert expected.bucket_counts == model.bucket_counts
    assert expected.weights != model.weights


def test_each_new_example_comes_with_some_of_the_newest_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    numbered = {tuple(values): place for place, (values, _) in enumerate(EXAMPLES)}
    monkeypatch.setattr(PairClassifier, "rehearse", lambda _, values, label: shown.append(numbered[tuple(values)]))
    model = ReplayedPair("loan", training.FEATURES)
    for place, (values, label) in enumerate(EXAMPLES):
        before = len(shown)
        model.learn(values, label)
        again = shown[before:]
        assert all(max(0, place - 60) <= past < place for past in again)
        assert len(again) == (replayed.REPLAYED if place else 0)

    assert len(set(shown)) > len(EXAMPLES) * 0.6


def test_a_pair_rehearses_with_the_moments_it_has() -> None:
    """Rehearsing is a step of learning without the counting: right after learning the deviations are the same."""
    model = PairClassifier("loan", training.FEATURES)
    for values, label in EXAMPLES[:50]:
        model.learn(values, label)
    before = model.export()
    model.rehearse(*EXAMPLES[49])
    after = model.export()

    assert (before.version, before.means, before.variances) == (after.version, after.means, after.variances)
    assert before.bucket_counts == after.bucket_counts
    label = EXAMPLES[49][1]
    assert (before.logit(EXAMPLES[49][0]) < after.logit(EXAMPLES[49][0])) is label


def test_its_numbers_say_what_it_says() -> None:
    model = learned(300)

    assert [model.logit(probe) for probe in PROBES] == [model.export().logit(probe) for probe in PROBES]
    assert ("loan", 300, model.export().positives) == (model.name, model.examples, model.positives)


extremes = st.sampled_from([math.nan, math.inf, -math.inf, 1e300, -1e300, 1.7e308, 5e-324, 0.0, 1.0])
rows = st.lists(extremes | st.floats(), min_size=6, max_size=6)


@given(st.lists(st.tuples(rows, st.booleans()), min_size=1, max_size=15))
def test_no_value_poisons_it(poison: list[tuple[list[float], bool]]) -> None:
    model = learned(20)
    for values, label in [*poison, *EXAMPLES[:20]]:
        model.learn(values, label)

    assert model.export() == pair_model.decode(pair_model.encode(model.export()))


@pytest.mark.parametrize("values", [[1.0], [1.0] * 7, []])
def test_a_vector_of_another_length_is_refused(values: list[float]) -> None:
    model = learned(10)
    with pytest.raises(ValueError, match="values for the 6 features of model 'loan'"):
        model.learn(values, label=True)
    model.learn(*EXAMPLES[10])

    assert learned(11).export() == model.export()
