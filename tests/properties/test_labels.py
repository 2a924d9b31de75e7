"""No label too early, none leaked: what a prediction was made from, and what became of it, recomputed from the log."""

import random
import statistics
from collections import defaultdict

import msgspec
import pytest

import stories
from builders import click, ms, transaction
from needstream.models import prequential
from needstream.models.pair import PairClassifier
from needstream.models.scorer import Scorer
from needstream.schemas import pack as packs
from needstream.schemas import state as states
from needstream.schemas import times
from needstream.schemas.signals import LabelledExample
from needstream.streams.pipeline import classifier, labels
from needstream.streams.pipeline.inputs import Tick
from needstream.streams.pipeline.occasions import Knowledge, Occasion
from needstream.streams.pipeline.step import step


@pytest.fixture(scope="session")
def rules(crowd):
    """The busy crowd judged by every label rule and both kinds of feedback, within hours."""
    spending = packs.Decline(feature="monthly.tx.card_payment", to=0.9985, from_at_least=1.0)
    models = (
        _model(crowd, "need", converts_on=("apply.loan", "tx.fx_remittance")),
        _model(crowd, "corrected", converts_on=("apply.loan", "tx.fx_remittance"), feedback="assumed_negative"),
        _model(crowd, "absent", absence_of=("tx.transfer_in",)),
        _model(crowd, "corrected_absent", absence_of=("tx.transfer_in",), feedback="assumed_negative"),
        _model(crowd, "balance_falls", declines=packs.Decline(feature="balance", to=0.5, from_at_least=100.0)),
        _model(crowd, "spending_falls", declines=spending),
    )
    return _judged_by(crowd, models)


@pytest.fixture(scope="session")
def judged(rules):
    """Their whole run."""
    return rules.run().feed(rules.log).finish()


def test_no_label_is_released_before_its_horizon_and_the_allowed_lateness(crowd):
    assert _released_late_enough(crowd).keys() == {model.declared.name for model in crowd.definitions.models}


def test_no_label_of_any_rule_is_released_before_its_horizon_and_the_allowed_lateness(rules):
    released = _released_late_enough(rules)

    assert min(released.values()) > 100
    assert released.keys() == {model.declared.name for model in rules.definitions.models}


def test_positives_and_negatives_are_released_at_the_same_age(crowd, judged):
    ages = {True: set(), False: set()}
    for example in [*crowd.run().feed(crowd.log).finish().of(LabelledExample), *_final(judged)]:
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


def test_labels_of_every_rule_equal_a_recomputation(rules):
    _assert_labels_follow_from_the_log(rules, every=5)


@pytest.mark.parametrize("seed", range(2))
def test_what_happens_after_the_horizon_changes_no_label_though_the_release_still_waits(rules, judged, seed):
    """Everything that any rule waits for, just after a moment when horizons end, and late by less than is allowed."""
    chance = random.Random(seed)
    lateness_ms = rules.definitions.allowed_lateness_ms
    dues = defaultdict(set)
    for example in _final(judged):
        dues[example.customer_id].add(times.parse_rfc3339(example.due_at))
    ends = {customer_id: chance.choice(sorted(moments)) for customer_id, moments in sorted(dues.items())}
    added = [
        event
        for customer_id, due_ms in ends.items()
        for event in _everything(customer_id, [due_ms + 1, due_ms + chance.randrange(2, lateness_ms)])
    ]
    log = stories.delayed([*rules.log, *stories.arrivals(*added)], lateness_ms, seed=seed)
    changed = {each.example_id: each for each in _final(rules.run().feed(log).finish())}
    compared = [each for each in _final(judged) if times.parse_rfc3339(each.due_at) <= ends[each.customer_id]]

    assert len(compared) > 200
    assert compared == [changed[each.example_id] for each in compared]
    assert len(changed) > len(compared)


@pytest.mark.parametrize(
    ("balance_at", "converted_at", "label"),
    [
        ("2025-03-01T11:00:00.000Z", "2025-03-01T11:00:00.000Z", True),
        ("2025-03-01T14:00:00.000Z", "2025-03-01T14:00:00.000Z", True),
        ("2025-03-01T14:00:00.001Z", "2025-03-01T14:00:00.001Z", False),
        ("2025-03-01T14:14:59.000Z", "2025-03-01T14:14:59.000Z", False),
    ],
)
def test_what_happens_in_the_moment_of_a_prediction_is_its_future_and_so_is_the_last_moment_of_the_horizon(
    rules, balance_at, converted_at, label
):
    """The prediction is made an hour after the first activity, at eleven; its horizon ends at two."""
    story = [
        transaction(at="2025-03-01T10:00:00Z", balance_after="1000.00"),
        transaction(at=balance_at, balance_after="400.00"),
        transaction("fx_remittance", at=converted_at),
        click(at="2025-03-01T14:14:59.500Z", customer="c2"),
    ]
    run = rules.run().feed(stories.arrivals(*story)).finish(until="2025-03-01T15:00:00Z")
    made = [each for each in _final(run) if each.predicted_at == "2025-03-01T11:00:00.000Z"]
    found = {each.model: each.label for each in made}
    balances = {each.features[rules.definitions.pack.features.index("balance")] for each in made}

    assert {1000.0} == balances
    assert (label, label, label) == (found["balance_falls"], found["need"], found["corrected"])


def test_corrected_feedback_changes_no_final_example(judged):
    expected = _told(judged, "need"), _told(judged, "absent")

    assert expected == (_told(judged, "corrected"), _told(judged, "corrected_absent"))
    assert min(len(told) for told in expected) > 100


def test_an_assumption_comes_with_its_prediction_a_correction_once_and_only_where_it_was_wrong(rules, judged):
    said = defaultdict(list)
    for example in judged.of(LabelledExample):
        said[example.model, example.customer_id, example.predicted_at].append((example.stage, example.label))
    courses = defaultdict(set)
    for (model, _, _), course in said.items():
        if course[-1][0] == "final":
            courses[model].add(tuple(course))

    assert {(("assumed", False), ("final", False)), (("assumed", False), ("converted", True), ("final", True))} == (
        courses["corrected"]
    )
    assert {(("assumed", True), ("final", True)), (("assumed", True), ("converted", False), ("final", False))} == (
        courses["corrected_absent"]
    )
    assert all(len(course) == 1 for model in ("need", "absent", "balance_falls") for course in courses[model])
    assert len({each.example_id for each in judged.of(LabelledExample)}) == len(list(judged.of(LabelledExample)))


def test_a_correction_is_said_with_the_event_that_makes_it(rules):
    """The prediction is made at eleven."""
    story = stories.arrivals(
        transaction(at="2025-03-01T10:00:00Z"), transaction("fx_remittance", at="2025-03-01T11:30:00Z")
    )
    run = rules.run().feed(story[:1])
    run.advance(stories.ALL)
    run.tick(ms("2025-03-01T11:29:00Z"))
    before = [(each.stage, each.label) for each in run.of(LabelledExample) if each.model == "corrected"]
    run.feed(story[1:]).advance(stories.ALL)
    after = [(each.stage, each.label) for each in run.of(LabelledExample) if each.model == "corrected"]

    assert [("assumed", False)] == before
    assert [("assumed", False), ("converted", True)] == after


def test_what_a_visitor_did_corrects_when_the_visitor_turns_out_to_be_the_customer(rules):
    story = [
        transaction(at="2025-03-01T10:00:00Z"),
        click("form_step", at="2025-03-01T12:00:00Z", customer=None, anonymous="a1", form="loan_application"),
        click(
            "form_step",
            at="2025-03-01T12:01:00Z",
            customer=None,
            anonymous="a1",
            form="loan_application",
            step="submitted",
        ),
        click("identify", at="2025-03-01T12:10:00Z", anonymous="a1"),
        click(at="2025-03-01T12:30:00Z"),
    ]
    run = rules.run().feed(stories.arrivals(*story)).finish(until="2025-03-01T18:00:00Z")
    said = [
        (each.stage, each.label)
        for each in run.of(LabelledExample)
        if each.model == "corrected" and each.predicted_at == "2025-03-01T11:00:00.000Z"
    ]

    assert [("assumed", False), ("converted", True), ("final", True)] == said


@pytest.mark.parametrize("seed", range(3))
def test_pending_predictions_of_every_rule_survive_crashes_anywhere(rules, judged, seed):
    run = rules.run()

    assert stories.crashing(run, rules.log, chance=random.Random(seed)) > 3
    assert judged.remembered() == run.remembered()
    assert stories.said(judged.emissions) == stories.said(run.emissions)


@pytest.mark.parametrize("seed", range(2))
def test_labels_of_every_rule_do_not_depend_on_the_order_of_arrival(rules, judged, seed):
    log = stories.delayed(rules.log, rules.definitions.allowed_lateness_ms, seed=seed)

    assert [*judged.of(LabelledExample)] == [*rules.run().feed(log).finish().of(LabelledExample)]


def test_nothing_is_learned_from_shuffled_labels_though_there_is_much_to_learn(population):
    """A feature that gave the label away would rank shuffled labels no better than chance; so must all others."""
    declines = packs.Decline(feature="monthly.tx.card_payment", to=0.92, from_at_least=1.0)
    models = (
        _model(population, "is_paid", converts_on=("tx.salary",), horizon="7d"),
        _model(population, "is_not_paid", absence_of=("tx.salary",), horizon="7d"),
        _model(population, "spends_less", declines=declines, horizon="7d"),
    )
    scene = _judged_by(population, models, sample_every="1d")
    examples = list(scene.run().feed(scene.log).finish().of(LabelledExample))
    features = scene.definitions.pack.features
    for model in models:
        asked = [each for each in examples if each.model == model.name]
        values, truth = [each.features for each in asked], [each.label for each in asked]
        areas = [_area(features, values, _shuffled(truth, seed)) for seed in range(4)]

        assert abs(statistics.mean(areas) - 0.5) < 0.03, model.name
        assert _area(features, values, truth) > 0.62, model.name


def _area(features, vectors, truth):
    """Each vector is scored before its label is learned; the first fifth is practice."""
    pair = PairClassifier("m", features)
    scored = []
    for values, label in zip(vectors, truth, strict=True):
        scored.append((pair.score(values), label))
        pair.learn(values, label)
    return prequential.roc_auc(scored[len(scored) // 5 :])


def _shuffled(truth, seed):
    return random.Random(seed).sample(truth, len(truth))


def _model(scene, name, *, horizon="3h", **rule):
    declared = scene.definitions.pack.models[0]
    rule = {"converts_on": (), **rule}
    return msgspec.structs.replace(declared, name=name, horizon=horizon, **rule)


def _judged_by(scene, models, **times_changed):
    time = msgspec.structs.replace(scene.definitions.pack.time, **times_changed)
    definitions = stories.changed(scene.definitions, models=models, time=time)
    return type(scene)(definitions, scene.log, scorer=Scorer(definitions.readiness()))


def _final(run):
    return [each for each in run.of(LabelledExample) if each.stage == "final"]


def _told(run, model):
    """What the final examples of a model say, whatever it is called."""
    return [
        (each.customer_id, each.predicted_at, each.features, each.label) for each in _final(run) if each.model == model
    ]


def _everything(customer_id, moments):
    for at_ms in moments:
        said = {"at": times.rfc3339(at_ms), "customer": customer_id}
        yield click("form_step", **said, form="loan_application", step="submitted")
        yield transaction("fx_remittance", **said, balance_after="0.01")
        yield transaction("transfer_in", **said, balance_after="0.02")
        yield transaction(**said, amount="9000.00", balance_after="90000.00")


def _released_late_enough(scene):
    """Feeds record by record and watches every release; how many there were of each model."""
    lateness_ms = scene.definitions.allowed_lateness_ms
    run = scene.run()
    released = defaultdict(int)
    for arrival in scene.log:
        known = len(run.emissions)
        run.feed([arrival])
        newest_ms = run.partition.watermark.newest_ms
        for emission in run.emissions[known:]:
            if isinstance(emission, LabelledExample) and emission.stage == "final":
                released[emission.model] += 1
                assert times.parse_rfc3339(emission.due_at) + lateness_ms <= newest_ms
    return released


def _assert_labels_follow_from_the_log(scene, *, every=1):
    run = scene.run().feed(scene.log).finish()
    histories = _histories(scene)
    happened = {key: _facts(history, scene.definitions) for key, history in histories.items()}
    models = {model.declared.name: model for model in scene.definitions.models}
    found = defaultdict(set)
    for place, example in enumerate(_final(run)):
        model = models[example.model]
        if model.fall is not None and place % every:
            continue
        first_ms, last_ms = times.parse_rfc3339(example.predicted_at), times.parse_rfc3339(example.due_at)
        if model.fall is None:
            wanted = model.declared.converts_on or model.declared.absence_of
            seen = any(
                first_ms <= at_ms <= last_ms and (fact in wanted or f"{fact.partition('.')[0]}.*" in wanted)
                for fact, at_ms in happened[example.customer_id]
            )
            assert (seen is model.label_when_seen) == example.label
        else:
            declines = model.declared.declines
            before = example.features[scene.definitions.pack.features.index(declines.feature)]
            state = _lived_until(scene, histories[example.customer_id], last_ms)
            later = model.fall.reading(state, last_ms)
            assert before >= declines.from_at_least
            assert (later <= declines.to * before) == example.label
        found[example.model].add(example.label)

    assert {True, False} in found.values()
    assert all(labels == {True, False} for name, labels in found.items() if models[name].fall)


def _lived_until(scene, history, until_ms):
    """A customer's state from the events through a moment, since the last erasure among them."""
    knowledge = Knowledge(scene.definitions, scene.scorer)
    state = None
    for arrival in history:
        if arrival.at_ms <= until_ms:
            state = state or states.new_customer(arrival.key, arrival.at_ms)
            state, _ = step(state, arrival, knowledge=knowledge)
            if state.customer_id != arrival.key:
                state = None
    return state


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
    return [
        (fact, arrival.at_ms) for arrival in history for fact in classifier.classify(arrival.event, definitions).facts
    ]
