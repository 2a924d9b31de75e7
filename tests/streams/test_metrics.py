"""Metrics follow Prometheus' rules, count what was emitted, and never carry a customer."""

import re

import msgspec
import pytest

import training
from needstream.models.learner import Learner
from needstream.models.prequential import Prequential
from needstream.models.rules import Rules
from needstream.models.scorer import Score, Scorer
from needstream.schemas.dead_letters import DeadLetter, RejectReason
from needstream.schemas.signals import ModelDecision
from needstream.streams import metrics
from needstream.streams.pipeline import emissions


def _metrics() -> metrics.Metrics:
    return metrics.Metrics("0", "bank-1.0.0")


def test_every_metric_is_listed_where_a_reader_looks_for_it() -> None:
    families = {family.name for family in _metrics().registry.collect()}
    listed = {
        name.removesuffix("_total").removesuffix("_info")
        for name in re.findall(r"^    (needstream_\w+)", metrics.__doc__ or "", re.MULTILINE)
    }

    assert families == listed


def test_labels_are_never_a_customer_an_event_or_a_session() -> None:
    allowed = {"topic", "reason", "kind", "scenario", "gate", "model", "label", "measure", "partition"}
    allowed |= {"event", "verdict", "slice", "feature"}
    used = {
        label
        for collector in list(_metrics().registry._collector_to_names)
        for label in getattr(collector, "_labelnames", ())
    }

    assert used <= allowed


def test_facts_are_counted() -> None:
    counted = _metrics()

    counted.count([emissions.DuplicateEvent("e"), emissions.LateEvent("e", 5), emissions.SessionClosed("c", 0, 1, 2)])
    counted.reject(
        [
            DeadLetter(
                topic="clickstream.v1",
                partition=0,
                offset=1,
                reason=RejectReason.EMPTY,
                field="",
                detail="",
                remedy="",
                key=None,
                value=b"",
            )
        ]
    )

    sample = counted.registry.get_sample_value
    assert 1.0 == sample("needstream_duplicates_total")
    assert 1.0 == sample("needstream_late_events_total")
    assert 1.0 == sample("needstream_sessions_closed_total")
    labels = {"topic": "clickstream.v1", "reason": "deserialization_empty"}
    assert 1.0 == sample("needstream_dead_letters_total", labels)


def test_quality_that_is_not_known_yet_is_not_shown() -> None:
    shown = _metrics()

    judged = Prequential("loan")
    judged.evaluate(None, label=False)
    judged.evaluate(0.5, label=True)
    shown.models.judge([judged.quality()])

    sample = shown.registry.get_sample_value
    assert 2.0 == sample("needstream_model_examples", {"model": "loan"})
    assert pytest.approx(0.6931, abs=1e-4) == sample(
        "needstream_model_quality_ratio", {"model": "loan", "measure": "log_loss"}
    )
    assert sample("needstream_model_quality_ratio", {"model": "loan", "measure": "auc"}) is None


def test_what_models_decide_and_whom_they_serve_is_shown() -> None:
    shown = _metrics()
    rules = Rules(champion="linear", challengers=("pair", "blend"))
    learner = Learner({"loan": rules}, training.FEATURES, scorer=Scorer({}))
    for values, label in training.examples(300):
        example = training.labelled(values, label, score=0.4)
        learner.learn(msgspec.structs.replace(example, slices={"tier": "premium"}))
    learner.learn(msgspec.structs.replace(example, example_id="another", quarantine="suspected_bot"))
    shown.models.show(learner, learner.standings())
    told = {"model": "loan", "event": "loss_drift", "champion": "pair", "previous": "pair", "detail": "", "examples": 1}
    shown.models.decide([ModelDecision(decision_id="d", **told, figures={}, event_time="")])

    sample = shown.registry.get_sample_value
    kinds = [
        sample("needstream_model_champion", {"model": "loan", "kind": kind}) for kind in ("pair", "linear", "blend")
    ]
    assert [0.0, 1.0, 0.0] == kinds
    assert 1.0 == sample("needstream_model_decisions_total", {"model": "loan", "event": "loss_drift"})
    assert 1.0 == sample("needstream_quarantined_examples", {"model": "loan", "reason": "suspected_bot"})
    labels = {"model": "loan", "slice": "tier=premium", "measure": "rate"}
    assert sample("needstream_slice_ratio", labels) is not None


def test_what_is_predicted_from_is_compared_with_what_was_learned_from() -> None:
    shown = metrics.Metrics("0", "bank", features=training.FEATURES)
    standing = training.standing_of(600)
    for values, _ in training.examples(600, seed=3):
        moved = [values[0] + 50, *values[1:]]
        shown.count([emissions.PredictionMade(tuple(moved), {"loan": Score(0.5, "loan-pair-1")})])
    shown.models.compare([standing])

    sample = shown.registry.get_sample_value
    moved_by = sample("needstream_feature_drift_ratio", {"feature": training.FEATURES[0]})
    assert moved_by is not None
    assert moved_by > 0.25
    assert 600 == sample("needstream_predictions_total", {"model": "loan", "verdict": "scored"})
