"""No label too early, none leaked: what a prediction was made from, and what became of it, recomputed from the log."""

import random

import stories
from needstream.models.learner import Learner
from needstream.models.scorer import Scorer
from needstream.schemas import state as states
from needstream.schemas import times
from needstream.schemas.signals import LabelledExample
from needstream.streams.pipeline import classifier, labels
from needstream.streams.pipeline.inputs import Tick
from needstream.streams.pipeline.occasions import Knowledge, Occasion
from needstream.streams.pipeline.step import step


def test_no_label_is_released_before_its_horizon_and_the_allowed_lateness(crowd):
    lateness_ms = crowd.definitions.allowed_lateness_ms
    run = crowd.run()
    released = 0
    for arrival in crowd.log:
        known = len(run.emissions)
        run.feed([arrival])
        newest_ms = run.partition.watermark.newest_ms
        for emission in run.emissions[known:]:
            if isinstance(emission, LabelledExample):
                released += 1
                assert times.parse_rfc3339(emission.due_at) + lateness_ms <= newest_ms

    assert released > 1000


def test_positives_and_negatives_are_released_at_the_same_age(crowd):
    run = crowd.run().feed(crowd.log).finish()
    ages = {True: set(), False: set()}
    for example in run.of(LabelledExample):
        ages[example.label].add(times.parse_rfc3339(example.due_at) - times.parse_rfc3339(example.predicted_at))

    assert ages[True] == ages[False] == {3 * times.HOUR_MS}


def test_features_of_a_prediction_equal_a_recomputation_from_earlier_events_alone(few):
    run = few.run().feed(few.log).finish()
    knowledge = Knowledge(few.definitions, few.scorer)
    histories = _histories(few)
    for message in run.received:
        histories[message.key].append(message)
        histories[message.key].sort(key=stories.merge_order)
    recomputed = 0
    for example in list(run.of(LabelledExample))[::7]:
        made_ms = times.parse_rfc3339(example.predicted_at)
        state = None
        for arrival in histories[example.customer_id]:
            if arrival.at_ms < made_ms:
                state = state or states.new_customer(arrival.key, arrival.at_ms)
                state, _ = step(state, arrival, knowledge=knowledge)
        state, _ = step(state, Tick(made_ms - 1), knowledge=knowledge)
        occasion = Occasion(state, made_ms, "", few.definitions, few.scorer)

        assert labels.feature_values(occasion) == example.features
        recomputed += 1

    assert recomputed > 20


def test_labels_equal_a_recomputation_from_the_facts_within_the_horizon(crowd):
    _assert_labels_follow_from_the_log(crowd)


def test_labels_of_a_simulated_population_equal_a_recomputation(few):
    _assert_labels_follow_from_the_log(few)


def test_a_model_learns_nothing_from_shuffled_labels(population, lived):
    """A feature that gave the label away would rank shuffled labels no better than chance; so must all others."""
    examples = list(lived.of(LabelledExample))
    areas = []
    for seed in range(4):
        chance = random.Random(seed)
        names = sorted({example.model for example in examples})
        learner = Learner(
            names, population.definitions.pack.features, scorer=Scorer(population.definitions.readiness())
        )
        shuffled = {name: [each.label for each in examples if each.model == name] for name in names}
        for drawn in shuffled.values():
            chance.shuffle(drawn)
        for example in examples:
            score = learner._models[example.model].score(example.features)
            label = shuffled[example.model].pop()
            learner._quality[example.model].evaluate(score, label)
            learner._models[example.model].learn(example.features, label)
        areas += [(each.positives, each.auc) for each in learner.quality() if each.auc is not None]

    weight = sum(positives for positives, _ in areas)
    assert abs(sum(positives * area for positives, area in areas) / weight - 0.5) < 0.06


def _assert_labels_follow_from_the_log(scene):
    run = scene.run().feed(scene.log).finish()
    happened = {key: _facts(history, scene.definitions) for key, history in _histories(scene).items()}
    models = {model.declared.name: model for model in scene.definitions.models}
    examples = list(run.of(LabelledExample))
    for example in examples:
        model = models[example.model]
        first_ms, last_ms = times.parse_rfc3339(example.predicted_at), times.parse_rfc3339(example.due_at)
        wanted = model.declared.converts_on or model.declared.absence_of
        seen = any(
            first_ms <= at_ms <= last_ms and (fact in wanted or f"{fact.partition('.')[0]}.*" in wanted)
            for fact, at_ms in happened[example.customer_id]
        )

        assert (seen is model.label_when_seen) == example.label

    assert {True, False} == {example.label for example in examples}


def _histories(scene):
    """Each customer's events once, in merge order."""
    histories = {}
    seen = set()
    for arrival in sorted(scene.log, key=stories.merge_order):
        if (arrival.key, arrival.event.event_id) not in seen:
            seen.add((arrival.key, arrival.event.event_id))
            histories.setdefault(arrival.key, []).append(arrival)
    return histories


def _facts(history, definitions):
    return [(fact, arrival.at_ms) for arrival in history for fact in classifier.classify(arrival.event, definitions)]
