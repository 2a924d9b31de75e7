"""Metrics follow Prometheus' rules, count what was emitted, and never carry a customer."""

import re

from needstream.models.prequential import Quality
from needstream.schemas.dead_letters import DeadLetter, RejectReason
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

    shown.judge(
        [
            Quality(
                model="loan",
                examples=3,
                judged=1,
                positives=0,
                auc=None,
                log_loss=0.5,
                baseline_log_loss=0.7,
                calibration_error=None,
                window_auc=None,
                window_log_loss=0.5,
            )
        ]
    )

    sample = shown.registry.get_sample_value
    assert 3.0 == sample("needstream_model_examples", {"model": "loan"})
    assert 0.5 == sample("needstream_model_quality_ratio", {"model": "loan", "measure": "log_loss"})
    assert sample("needstream_model_quality_ratio", {"model": "loan", "measure": "auc"}) is None
