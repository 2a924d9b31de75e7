"""A panel says what each of its models says, weighed."""

import pytest

import training
from needstream.models.forest import ForestContestant
from needstream.models.pair import PairClassifier
from needstream.models.panel import Panel, Word

LEARNERS = [PairClassifier("a", training.FEATURES), ForestContestant("b", training.FEATURES)]
for values, label in training.examples(300):
    for learner in LEARNERS:
        learner.learn(values, label)
PAIR, FOREST = (learner.export() for learner in LEARNERS)
LINEAR = training.trained(300).export()
PROBES = [values for values, _ in training.examples(20, seed=11)]


@pytest.mark.parametrize("values", PROBES)
def test_every_word_is_the_weighed_sum_of_its_parts(values: list[float]) -> None:
    words = [
        Word(((FOREST, 1.0),)),
        Word(((PAIR, 0.25), (FOREST, 0.5), (LINEAR, 0.25)), 1.5),
        Word(((LINEAR, 1.0),)).along(2.0, -1.0),
        Word(),
    ]
    said = {model: model.logit(values) for model in (PAIR, FOREST, LINEAR)}
    mixed = 0.25 * said[PAIR] + 0.5 * said[FOREST] + 0.25 * said[LINEAR] + 1.5

    expected = [said[FOREST], mixed, 2.0 * said[LINEAR] - 1.0, 0.0]
    assert expected == pytest.approx(Panel(words).logits(values).tolist(), abs=1e-9)


def test_trees_speak_without_pairs_beside_them() -> None:
    assert [FOREST.logit(PROBES[0])] == Panel([Word(((FOREST, 1.0),))]).logits(PROBES[0]).tolist()


def test_a_word_on_a_line_keeps_its_offset_on_it() -> None:
    assert Word(((LINEAR, 1.0),), 3.0) == Word(((LINEAR, 0.5),), 1.0).along(2.0, 1.0)


def test_a_panel_without_words_says_nothing() -> None:
    assert [] == Panel([]).logits(PROBES[0]).tolist()
