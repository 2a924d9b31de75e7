"""The one writer of every model: evaluate, learn, publish."""

import math

import msgspec
import pytest

import training
from needstream.models.learner import PUBLISH_EVERY, Learner
from needstream.models.recent_ids import REMEMBERED_EXAMPLES
from needstream.models.rules import Rules
from needstream.models.scorer import Readiness, Scorer
from training import labelled

EXAMPLES = training.examples(3 * PUBLISH_EVERY)


@pytest.fixture
def scorer() -> Scorer:
    return Scorer({name: Readiness(min_labels=1, min_positives=1) for name in ("loan", "card")})


@pytest.fixture
def learner(scorer: Scorer) -> Learner:
    return Learner({"loan": Rules(), "card": Rules()}, training.FEATURES, scorer=scorer)


def test_it_judges_the_recorded_score_and_not_what_it_would_say_now(learner: Learner) -> None:
    for values, label in EXAMPLES:
        learner.learn(labelled(values, label, score=0.75))
    expected = [-math.log(0.75 if label else 0.25) for _, label in EXAMPLES]
    loan = learner.quality()[1]

    assert ("loan", len(EXAMPLES), len(EXAMPLES)) == (loan.model, loan.examples, loan.judged)
    assert pytest.approx(sum(expected) / len(expected)) == loan.log_loss


def test_an_example_of_another_width_is_quarantined_and_teaches_nothing(learner: Learner) -> None:
    learner.learn(labelled([1.0], label=True, score=0.9))

    assert {("loan", "impossible"): 1} == learner.quarantined()
    assert (0, 0) == (learner.quality()[1].judged, learner.standings()[1].labels)


def test_what_it_learns_is_what_the_model_alone_would(learner: Learner) -> None:
    for values, label in EXAMPLES:
        learner.learn(labelled(values, label))

    assert training.standing_of(len(EXAMPLES)).contestants == learner.standings()[1].contestants


def test_models_learn_apart_from_each_other(learner: Learner) -> None:
    for place, (values, label) in enumerate(EXAMPLES):
        learner.learn(labelled(values, label, model="card" if place % 3 else "loan"))

    assert [("card", 100), ("loan", 50)] == [(model.name, model.version) for model in learner.standings()]


def test_it_publishes_every_so_many_examples(learner: Learner, scorer: Scorer) -> None:
    published = []
    for values, label in EXAMPLES:
        learner.learn(labelled(values, label))
        published += [standing.version for standing in scorer.published()]

    assert {PUBLISH_EVERY, 2 * PUBLISH_EVERY, 3 * PUBLISH_EVERY} == set(published)
    assert PUBLISH_EVERY == published.count(PUBLISH_EVERY)


def test_an_unknown_model_is_ignored(learner: Learner) -> None:
    assert [] == learner.learn(labelled(EXAMPLES[0][0], label=True, model="mortgage"))
    assert [0, 0] == [figures.examples for figures in learner.quality()]


def test_an_example_of_other_features_is_ignored(scorer: Scorer) -> None:
    learner = Learner({"loan": Rules()}, training.FEATURES[::-1], scorer=scorer)

    assert [] == learner.learn(labelled(EXAMPLES[0][0], label=True, score=0.5))
    assert (0, 0) == (learner.quality()[0].examples, learner.standings()[0].version)


def test_resuming_a_published_model_is_as_if_nothing_had_stopped(learner: Learner, scorer: Scorer) -> None:
    learner.resume(training.standing_of(70))
    for values, label in EXAMPLES[70:]:
        learner.learn(labelled(values, label))

    assert training.standing_of(len(EXAMPLES)).contestants == learner.standings()[1].contestants
    assert [3 * PUBLISH_EVERY] == [model.version for model in scorer.published()]


def test_a_resumed_model_is_served_at_once(learner: Learner, scorer: Scorer) -> None:
    learner.resume(training.standing_of(70))

    assert "loan-pair-70" == scorer.scores(EXAMPLES[0][0])["loan"].version


def test_a_model_of_other_features_or_name_is_not_resumed(scorer: Scorer) -> None:
    learner = Learner({"loan": Rules()}, training.FEATURES[::-1], scorer=scorer)
    learner.resume(training.standing_of(70))
    learner.resume(training.standing_of(70, name="card"))

    assert ([0], []) == ([model.version for model in learner.standings()], scorer.published())


def test_a_redelivered_example_is_learned_once(learner: Learner) -> None:
    """Offsets of one model rise; what stands at or before the newest learned one has been learned."""
    for offset in (3, 4, 4, 3, 9, 3, 9):
        values, label = EXAMPLES[offset]
        learner.learn(labelled(values, label, score=0.5), offset=offset)

    assert (3, 3) == (learner.standings()[1].version, learner.quality()[1].judged)


def test_a_restart_goes_on_behind_the_newest_learned_offset(learner: Learner, scorer: Scorer) -> None:
    for offset, (values, label) in enumerate(EXAMPLES[:60]):
        learner.learn(labelled(values, label), offset=offset)
    restarted = Learner({"loan": Rules(), "card": Rules()}, training.FEATURES, scorer=scorer)
    for exported in learner.standings():
        restarted.resume(exported)
    for offset, (values, label) in enumerate(EXAMPLES):
        restarted.learn(labelled(values, label), offset=offset)

    assert len(EXAMPLES) == restarted.standings()[1].version
    assert training.standing_of(len(EXAMPLES)).contestants == restarted.standings()[1].contestants


def test_models_have_offsets_of_their_own(learner: Learner) -> None:
    values, label = EXAMPLES[0]
    learner.learn(labelled(values, label), offset=9)
    learner.learn(labelled(values, label, model="card"), offset=2)

    assert [1, 1] == [model.version for model in learner.standings()]


def test_it_publishes_when_told(learner: Learner, scorer: Scorer) -> None:
    learner.learn(labelled(*EXAMPLES[0]))

    assert learner.publish("loan") == scorer.published()[0]


def test_it_knows_the_examples_it_would_learn(learner: Learner, scorer: Scorer) -> None:
    example = labelled(*EXAMPLES[0])
    of_others = Learner({"loan": Rules()}, training.FEATURES[::-1], scorer=scorer)

    assert (True, False, False) == (
        learner.knows(example),
        learner.knows(labelled(*EXAMPLES[0], model="mortgage")),
        of_others.knows(example),
    )


def test_a_flood_for_one_model_does_not_make_another_forget_what_it_learned(learner: Learner) -> None:
    first = labelled(*EXAMPLES[0])
    learner.learn(first, offset=0)
    for place in range(REMEMBERED_EXAMPLES + 1):
        learner.recall(
            [msgspec.structs.replace(first, model="card", example_id=f"{place}", quarantine="suspected_bot")]
        )
    learner.learn(first, offset=90_000)

    assert 1 == learner.standings()[1].version
