"""What the models are worth, as metrics: one place that turns standings, quality and decisions into gauges.

Labels are the model names and features of the pack, the kinds of contestants, and slices with a closed alphabet.
"""

from collections import Counter as Tally
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from needstream.models.drift import InputDrift
from needstream.models.learner import Learner
from needstream.models.pair_model import PairModel
from needstream.models.prequential import Quality
from needstream.models.scorer import COLD_VERSION, STALE_VERSION
from needstream.models.slices import SliceQuality
from needstream.models.standing import Standing, kinds
from needstream.schemas.signals import LabelledExample, ModelDecision
from needstream.streams.pipeline.emissions import PredictionMade

LAG_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

MEASURES = (
    "auc",
    "pr_auc",
    "log_loss",
    "brier",
    "baseline_log_loss",
    "calibration_error",
    "window_auc",
    "window_pr_auc",
    "window_log_loss",
    "window_baseline_log_loss",
    "window_calibration_error",
)
_SAYS_NOTHING = frozenset({COLD_VERSION, STALE_VERSION})
SLICE_MEASURES = ("calibration_gap", "rate", "auc")


class ModelMetrics:
    """The metrics of the models of one worker."""

    def __init__(self, registry: CollectorRegistry, features: Sequence[str]) -> None:
        self._watch = InputDrift(features)
        labels = ["model", "measure"]
        self.quality = Gauge("needstream_model_quality_ratio", "Prequential quality.", labels, registry=registry)
        self.examples = Gauge("needstream_model_examples", "Matured examples judged.", ["model"], registry=registry)
        self.champion = Gauge(
            "needstream_model_champion", "Kind of contestant served.", ["model", "kind"], registry=registry
        )
        self.enter_score = Gauge("needstream_model_enter_score", "Chosen threshold.", ["model"], registry=registry)
        self.decisions = Counter(
            "needstream_model_decisions", "Promotions, drift, gaps.", ["model", "event"], registry=registry
        )
        self.quarantined = Gauge(
            "needstream_quarantined_examples", "Examples not learned.", ["model", "reason"], registry=registry
        )
        self.slices = Gauge(
            "needstream_slice_ratio", "Quality by slice.", ["model", "slice", "measure"], registry=registry
        )
        self.predictions = Counter(
            "needstream_predictions", "Predictions to be judged.", ["model", "verdict"], registry=registry
        )
        self.feature_drift = Gauge(
            "needstream_feature_drift_ratio", "Population stability of features.", ["feature"], registry=registry
        )
        self.score_drift = Gauge(
            "needstream_score_drift_ratio", "Population stability of scores.", ["model"], registry=registry
        )
        self.snapshot_lag = Histogram(
            "needstream_snapshot_lag_seconds", "Snapshot to served.", registry=registry, buckets=LAG_BUCKETS
        )

    def show(self, learner: Learner, standings: Iterable[Standing]) -> None:
        """Show where models stand that have learned, and what all are worth."""
        for standing in standings:
            for kind in kinds(standing):
                self.champion.labels(standing.name, kind).set(kind == standing.champion)
            if standing.enter_score is not None:
                self.enter_score.labels(standing.name).set(standing.enter_score)
        self.judge(learner.quality())
        self.slice(learner.slices())
        for (model, reason), count in learner.quarantined().items():
            self.quarantined.labels(model, reason).set(count)

    def judge(self, qualities: Iterable[Quality]) -> None:
        """Show the models' quality; what is not known yet is not shown."""
        for quality in qualities:
            self.examples.labels(quality.model).set(quality.examples)
            for measure in MEASURES:
                figure = getattr(quality, measure)
                if figure is not None:
                    self.quality.labels(quality.model, measure).set(figure)

    def slice(self, figures: Iterable[SliceQuality]) -> None:
        """Show quality and signal rate by slice of the customers."""
        for each in figures:
            for measure in SLICE_MEASURES:
                figure = getattr(each, measure)
                if figure is not None:
                    self.slices.labels(each.model, f"{each.attribute}={each.value}", measure).set(figure)

    def decide(self, decisions: Iterable[ModelDecision]) -> None:
        """Count what was decided or noticed."""
        for decision in decisions:
            self.decisions.labels(decision.model, decision.event).inc()

    def predict(self, made: PredictionMade, tally: Tally[tuple[Counter, tuple[str, ...]]]) -> None:
        """Add the predictions of one moment to a round's ``tally``, and watch what they were made from."""
        scores = {}
        for model, score in made.scores.items():
            scores[model] = score.probability
            verdict = score.version if score.version in _SAYS_NOTHING else "scored"
            tally[self.predictions, (model, verdict)] += 1
        self._watch.observe(made.features, scores)

    def release(self, example: LabelledExample) -> None:
        """Watch what was said of an example that has matured."""
        self._watch.matured(example.model, example.score)

    def compare(self, served: Iterable[Standing]) -> None:
        """Show how far this worker's newest predictions have moved from what the models learned from.

        Features are the same for all models, so the pair that has learned most speaks for all.
        """
        exported = (model for standing in served for model in standing.contestants.values())
        pairs = (model for model in exported if isinstance(model, PairModel))
        pair = max(pairs, key=lambda model: model.version, default=None)
        if pair is not None:
            for feature, index in self._watch.features(pair).items():
                self.feature_drift.labels(feature).set(index)
        for model, index in self._watch.scores().items():
            self.score_drift.labels(model).set(index)
