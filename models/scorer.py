"""The scorer: the newest published standing of every model, read-only for whoever scores."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from needstream.models import contributions, logistic
from needstream.models.anomaly_model import AnomalyModel
from needstream.models.pair_model import PairModel
from needstream.models.pair_scorer import PairScorer
from needstream.models.standing import BLEND, Standing

COLD_VERSION = "cold"
STALE_VERSION = "stale"
DECIMALS = 9
"""Scores are rounded, so that the order in which a processor adds up does not show."""

NEVER_MS = 2**62


class Readiness(Struct, frozen=True):
    """How many labels a model needs before it may speak, and how old its newest one may be."""

    min_labels: int
    min_positives: int
    stale_ms: int = NEVER_MS


class Score(Struct, frozen=True):
    """What one model says: a probability and the version that said it, or None from ``cold`` or ``stale``."""

    probability: float | None
    version: str


_COLD = Score(None, COLD_VERSION)
_STALE = Score(None, STALE_VERSION)


class Scorer:
    """Scores one feature vector with all models at once; a model with too few labels is cold.

    Publishing replaces one standing whole; a reader sees the old or the new one, never a mixture.
    """

    def __init__(self, readiness: Mapping[str, Readiness], *, is_pinned: bool = False) -> None:
        """A scorer of the models named; ``is_pinned`` when nobody learns, and no model grows stale for that."""
        self._is_pinned = is_pinned
        self._readiness = dict(readiness)
        self._published: dict[str, Standing] = {}
        self._cold = dict.fromkeys(self._readiness, _COLD)
        self._arrange()

    def publish(self, standing: Standing) -> bool:
        """Serve ``standing`` from now on; an older one than the served one is ignored (False)."""
        served = self._published.get(standing.name)
        if standing.name not in self._readiness or (served and served.version > standing.version):
            return False
        self._published[standing.name] = standing
        self._arrange()
        return True

    def warm(self, name: str) -> Standing | None:
        """The standing of a model if it has seen enough labels to speak."""
        standing = self._published.get(name)
        return standing if standing is not None and self._is_warm(standing) else None

    def any_warm(self) -> bool:
        """Whether any model may speak."""
        return bool(self._served.warm)

    def scores(self, values: Sequence[float], *, at_ms: int = 0) -> dict[str, Score]:
        """Every model's word on ``values`` (feature order) at an event time, by model name.

        Raises:
            ValueError: not one value per feature, and a model is warm.
        """
        answers, served = dict(self._cold), self._served
        if served.in_pairs:
            for standing, probability in zip(served.in_pairs, served.pairs.scores(values), strict=True):
                answers[standing.name] = self._answer(standing, probability, at_ms=at_ms)
        for standing in served.others:
            probability = logistic.sigmoid(standing.champion_logit(values))
            answers[standing.name] = self._answer(standing, probability, at_ms=at_ms)
        return answers

    def contestants(self, values: Sequence[float]) -> dict[str, dict[str, float]]:
        """What is to be recorded of every warm model, as probabilities by kind, by model name.

        That is what each contestant says, before calibration, and what the champion's line alone does.
        """
        return {
            standing.name: {
                kind: round(logistic.sigmoid(logit), DECIMALS) for kind, logit in standing.said(values).items()
            }
            for standing in self._served.warm
        }

    def enter_score(self, name: str) -> float | None:
        """The threshold chosen for a model's target, None where there is none yet."""
        standing = self._published.get(name)
        return standing.enter_score if standing else None

    def explain(self, name: str, values: Sequence[float]) -> contributions.Explanation | None:
        """The calibrated logit of a warm model's champion taken apart; None of a cold model."""
        standing = self.warm(name)
        if standing is None:
            return None
        models = standing.contestants
        # Trees know no mean; where a pair learns beside them, it tells what is usual.
        usual = next((model for model in models.values() if isinstance(model, PairModel)), None)
        if standing.blend is None or standing.champion != BLEND:
            return contributions.explain(models[standing.champion], values, usual=usual)
        shares = standing.blend.shares(tuple(models))
        members = [
            (shares[kind], contributions.explain(model, values, usual=usual, calibrated=False))
            for kind, model in models.items()
        ]
        return contributions.mixed(members, standing.blend.calibration)

    def unusual(self, values: Sequence[float]) -> float | None:
        """How unusual ``values`` are among all customers, 0 to 1; None while nobody can tell."""
        anomaly = self._served.anomaly
        return anomaly.unusual(values) if anomaly is not None else None

    def published(self) -> list[Standing]:
        """Every served standing, by name."""
        return [self._published[name] for name in sorted(self._published)]

    def _answer(self, standing: Standing, probability: float, *, at_ms: int) -> Score:
        if not self._is_pinned and at_ms - standing.newest_ms > self._readiness[standing.name].stale_ms:
            return _STALE
        return Score(round(probability, DECIMALS), f"{standing.name}-{standing.champion}-{standing.version}")

    def _is_warm(self, standing: Standing) -> bool:
        readiness = self._readiness[standing.name]
        # A champion that was declared anew has learned less than the track was given.
        examples, positives = standing.experience()
        labels, true = min(standing.labels, examples), min(standing.positives, positives)
        return labels >= readiness.min_labels and true >= readiness.min_positives

    def _arrange(self) -> None:
        warm = [standing for standing in self.published() if self._is_warm(standing)]
        models = (standing.anomaly for standing in self.published())
        # In one piece: who is scoring goes on with what it began with.
        self._served = _Served(warm, anomaly=next((model for model in models if model is not None), None))


class _Served:
    """The warm models laid out: those whose champion is a pair together, the others one by one."""

    def __init__(self, warm: list[Standing], *, anomaly: AnomalyModel | None) -> None:
        self.warm = warm
        self.in_pairs = [standing for standing in warm if _pair(standing) is not None]
        self.others = [standing for standing in warm if _pair(standing) is None]
        self.pairs = PairScorer(list(_pairs(self.in_pairs)))
        self.anomaly = anomaly


def _pair(standing: Standing) -> PairModel | None:
    model = standing.contestants.get(standing.champion)
    return model if isinstance(model, PairModel) else None


def _pairs(standings: Iterable[Standing]) -> Iterable[PairModel]:
    return (pair for standing in standings if (pair := _pair(standing)) is not None)
