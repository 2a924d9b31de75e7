"""Every metric: name, labels, meaning; and the one place that turns emissions into counts.

Labels come from closed sets only (topics, reasons, gates, and the scenario and model names of the
pack); never a customer, an event or a session.

    needstream_records_total{topic}                      records read
    needstream_dead_letters_total{topic,reason}          records rejected
    needstream_dead_letter_ratio{topic}                  share of the newest records that was rejected
    needstream_duplicates_total                          events seen before
    needstream_late_events_total                         events behind their customer's clock
    needstream_shared_device_events_total                anonymous events of a device several customers use
    needstream_identity_waits_expired_total              customers who went on without a visitor's history
    needstream_erasures_total                            customers erased
    needstream_signals_total{kind,scenario}              need signals and alerts sent
    needstream_suppressed_total{gate}                    candidates stopped, by gate
    needstream_sessions_closed_total                     session windows closed
    needstream_examples_total{model,label}               labelled examples released
    needstream_expired_records_total{topic}              records removed before they were read, as found at the start
    needstream_fenced_writes_total                       snapshots of another worker that the owner overwrote
    needstream_batch_seconds                             one round: apply, send, store
    needstream_signal_latency_seconds                    record on the topic to its signal sent
    needstream_waiting_records{partition}                records held back for merge order
    needstream_watermark_timestamp_seconds{partition}    event time below which all is applied
    needstream_last_processed_timestamp_seconds          processing time of the newest round
    needstream_model_quality_ratio{model,measure}        prequential quality, pooled and windowed
    needstream_model_examples{model}                     matured examples judged
    needstream_model_champion{model,kind}                1 for the kind of contestant that is served, else 0
    needstream_model_enter_score{model}                  threshold chosen for the model's target
    needstream_model_decisions_total{model,event}        promotions, drift, gaps between slices
    needstream_quarantined_examples{model,reason}        examples kept from learning
    needstream_slice_ratio{model,slice,measure}          calibration gap, signal rate and AUC by slice of the customers
    needstream_predictions_total{model,verdict}          predictions to be judged: scored, cold or stale
    needstream_feature_drift_ratio{feature}              population stability index of a feature, before labels mature
    needstream_score_drift_ratio{model}                  the same of a model's scores
    needstream_snapshot_lag_seconds                      a model's snapshot on its topic to its being served
    needstream_build_info{version,pack}                  always 1
"""

from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from needstream.schemas import signals
from needstream.schemas.dead_letters import DeadLetter
from needstream.streams.model_metrics import ModelMetrics
from needstream.streams.pipeline import emissions

_LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The metrics of one worker in a registry of their own."""

    def __init__(self, version: str, pack: str, *, features: Sequence[str] = ()) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.records = Counter("needstream_records", "Records read.", ["topic"], registry=registry)
        self.dead_letters = Counter(
            "needstream_dead_letters", "Records rejected.", ["topic", "reason"], registry=registry
        )
        self.dead_letter_ratio = Gauge(
            "needstream_dead_letter_ratio", "Share of the newest records rejected.", ["topic"], registry=registry
        )
        self.duplicates = Counter("needstream_duplicates", "Events seen before.", registry=registry)
        self.late_events = Counter("needstream_late_events", "Events behind their customer's clock.", registry=registry)
        self.shared_device_events = Counter(
            "needstream_shared_device_events", "Anonymous events of a shared device.", registry=registry
        )
        self.identity_waits_expired = Counter(
            "needstream_identity_waits_expired", "Customers who went on without a history.", registry=registry
        )
        self.erasures = Counter("needstream_erasures", "Customers erased.", registry=registry)
        self.signals = Counter(
            "needstream_signals", "Need signals and alerts.", ["kind", "scenario"], registry=registry
        )
        self.suppressed = Counter("needstream_suppressed", "Candidates stopped.", ["gate"], registry=registry)
        self.sessions = Counter("needstream_sessions_closed", "Session windows closed.", registry=registry)
        self.examples = Counter("needstream_examples", "Labelled examples.", ["model", "label"], registry=registry)
        self.expired_records = Counter(
            "needstream_expired_records", "Records removed before they were read.", ["topic"], registry=registry
        )
        self.fenced_writes = Counter(
            "needstream_fenced_writes", "Snapshots of another worker that the owner overwrote.", registry=registry
        )
        self.batch = Histogram("needstream_batch_seconds", "One round.", registry=registry, buckets=_LATENCY_BUCKETS)
        self.latency = Histogram(
            "needstream_signal_latency_seconds",
            "Record on the topic to its signal sent.",
            registry=registry,
            buckets=_LATENCY_BUCKETS,
        )
        self.waiting = Gauge("needstream_waiting_records", "Records held back.", ["partition"], registry=registry)
        self.watermark = Gauge("needstream_watermark_timestamp_seconds", "Watermark.", ["partition"], registry=registry)
        self.last_processed = Gauge("needstream_last_processed_timestamp_seconds", "Newest round.", registry=registry)
        self.models = ModelMetrics(registry, features)
        self._by_kind: dict[type, Counter] = {
            emissions.SessionClosed: self.sessions,
            emissions.DuplicateEvent: self.duplicates,
            emissions.LateEvent: self.late_events,
            emissions.SharedDeviceEvent: self.shared_device_events,
            emissions.CustomerErased: self.erasures,
        }
        Info("needstream_build", "Version and pack.", registry=registry).info({"version": version, "pack": pack})

    def count(self, emitted: Iterable[emissions.Emission]) -> None:
        """Count what a round emitted: each counter is looked up once a round, not once an emission."""
        tally: Tally[tuple[Counter, tuple[str, ...]]] = Tally()
        by_kind = self._by_kind
        for emission in emitted:
            kind = type(emission)
            if kind in by_kind:
                tally[by_kind[kind], ()] += 1
            elif type(emission) is signals.LabelledExample:
                if emission.stage == "final":
                    tally[self.examples, (emission.model, "true" if emission.label else "false")] += 1
                    self.models.release(emission)
            elif type(emission) is emissions.PredictionMade:
                self.models.predict(emission, tally)
            elif type(emission) is signals.Decision:
                if emission.verdict == "suppressed":
                    tally[self.suppressed, (emission.gate,)] += 1
            elif type(emission) is signals.NeedSignal or type(emission) is signals.Alert:
                tally[self.signals, (emission.kind, emission.scenario)] += 1
        for (counter, labels), count in tally.items():
            (counter.labels(*labels) if labels else counter).inc(count)

    def reject(self, letters: Iterable[DeadLetter]) -> None:
        """Count rejected records."""
        for letter in letters:
            self.dead_letters.labels(letter.topic, letter.reason.value).inc()

    def forget(self, partition: int) -> None:
        """Show no more of a partition that was given up."""
        for gauge in (self.waiting, self.watermark):
            with suppress(KeyError):
                gauge.remove(str(partition))

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)
