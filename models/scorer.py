"""The scorer: the newest published standing of every model, read-only for whoever scores."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from math import inf, log
from operator import ge

import numpy as np
from msgspec import Struct

from needstream.models import contributions, logistic
from needstream.models.anomaly_scorer import AnomalyScorer
from needstream.models.pair_model import PairModel
from needstream.models.pair_scorer import Floats
from needstream.models.panel import Panel, Word
from needstream.models.standing import BLEND, RECORDED, Standing

COLD_VERSION = "cold"
STALE_VERSION = "stale"
DECIMALS = 9
"""Scores are rounded, so that the order in which a processor adds up does not show."""

_DECIMAL = 10.0**DECIMALS

FINEST = 2.0**-16
"""The smallest difference between two probabilities that are recorded."""

NEVER_MS = 2**62


class Readiness(Struct, frozen=True):
    """How many labels a model needs before it may speak, how old its newest one may be, and from which score up.

    ``enter_score`` is the declared threshold, in whose place one may be chosen, ``enter_scores`` those that experts set
    for some customers.
    """

    min_labels: int
    min_positives: int
    stale_ms: int = NEVER_MS
    enter_score: float = 0.0
    enter_scores: tuple[float, ...] = ()

    def quiet_below(self, chosen: float | None) -> float:
        """The logit below which a model says nothing of anybody, with the threshold that was chosen.

        Calibration and the sigmoid rise, so logits compare as scores do; it is less by what scores are rounded.
        """
        entered = (self.enter_score if chosen is None else chosen, *self.enter_scores)
        least = min((score for score in entered if score < 1.0), default=1.0) - 2 / _DECIMAL
        if least <= 0.0:
            return -inf
        return log(least / (1.0 - least)) if least < 1.0 - 4 / _DECIMAL else inf


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
        self._served = _Served([], self._readiness, anomaly=None, is_pinned=is_pinned)

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

    def look(self, values: Sequence[float], *, at_ms: int = 0) -> "Sight":
        """Look at ``values`` (feature order) at an event time with every model at once.

        Raises:
            ValueError: not one value per feature, and a model is warm.
        """
        served = self._served
        return Sight(served, served.champions.logits(values), at_ms=at_ms)

    def sample(self, values: Sequence[float], *, at_ms: int = 0) -> "Sight":
        """Look as ``look`` does, and at what every contestant says as well; what they said is in ``recorded``.

        Raises:
            ValueError: not one value per feature, and a model is warm.
        """
        served = self._served
        return Sight(served, served.everybody.logits(values), at_ms=at_ms)

    def scores(self, values: Sequence[float], *, at_ms: int = 0) -> dict[str, Score]:
        """Every model's word on ``values`` (feature order) at an event time, by model name.

        Raises:
            ValueError: not one value per feature, and a model is warm.
        """
        return self.look(values, at_ms=at_ms).scores()

    def contestants(self, values: Sequence[float]) -> dict[str, dict[str, float]]:
        """What is to be recorded of every warm model, as probabilities by kind, by model name."""
        seen = self.sample(values)
        return {
            name: {kind: share for kind, share in zip(RECORDED, shares, strict=True) if share}
            for name, shares in zip(seen.warm(), seen.recorded().tolist(), strict=True)
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

    def _is_warm(self, standing: Standing) -> bool:
        readiness = self._readiness[standing.name]
        # A champion that was declared anew has learned less than the track was given.
        examples, positives = standing.experience()
        labels, true = min(standing.labels, examples), min(standing.positives, positives)
        return labels >= readiness.min_labels and true >= readiness.min_positives

    def _arrange(self) -> None:
        warm = [standing for standing in self.published() if self._is_warm(standing)]
        learned = next((standing.anomaly for standing in self.published() if standing.anomaly is not None), None)
        anomaly = self._served.anomaly
        if learned is None:
            anomaly = None
        elif anomaly is None or anomaly.model is not learned:
            anomaly = AnomalyScorer(learned)
        # In one piece: who is scoring goes on with what it began with.
        self._served = _Served(warm, self._readiness, anomaly=anomaly, is_pinned=self._is_pinned)


class _Served:
    """The warm models laid out: all that can be prepared before a vector is seen."""

    def __init__(
        self,
        warm: list[Standing],
        readiness: Mapping[str, Readiness],
        *,
        anomaly: AnomalyScorer | None,
        is_pinned: bool,
    ) -> None:
        self.warm = warm
        self.anomaly = anomaly
        self.names = tuple(readiness)
        self.place = {standing.name: place for place, standing in enumerate(warm)}
        self.versions = {standing.name: f"{standing.name}-{standing.champion}-{standing.version}" for standing in warm}
        self.fresh_until_ms = [
            NEVER_MS if is_pinned else standing.newest_ms + readiness[standing.name].stale_ms for standing in warm
        ]
        self.quiet_below = [readiness[standing.name].quiet_below(standing.enter_score) for standing in warm]
        self.champions = Panel([standing.champion_word() for standing in warm])

    @cached_property
    def everybody(self) -> Panel:
        """The words of the champions and behind them all that are recorded, as they stand in ``RECORDED``."""
        recorded = [words.get(kind, Word()) for words in self._words for kind in RECORDED]
        return Panel([*(standing.champion_word() for standing in self.warm), *recorded])

    @cached_property
    def bounds(self) -> tuple[Floats, Floats]:
        """Between what a probability is recorded, by model and kind: not quite 0 and 1, and 0 where nobody is asked."""
        asked = np.array([[float(kind in words) for kind in RECORDED] for words in self._words])
        return asked * FINEST, asked * (1.0 - FINEST)

    @cached_property
    def _words(self) -> list[dict[str, Word]]:
        return [standing.words() for standing in self.warm]


class Sight:
    """What every model says of one vector at one moment, worked out as far as it is asked for."""

    __slots__ = ("_at_ms", "_logits", "_probabilities", "_said", "_scores", "_served")

    def __init__(self, served: _Served, said: Floats, *, at_ms: int) -> None:
        self._served, self._said, self._at_ms = served, said, at_ms
        self._logits: list[float] = said[: len(served.warm)].tolist()
        self._probabilities: dict[str, float] | None = None
        self._scores: dict[str, Score] | None = None

    def warm(self) -> Iterable[str]:
        """The models that may speak, in the order of ``recorded``."""
        return self._served.place

    def audible(self) -> list[str]:
        """The models that may have something to say: those whose score reaches the lowest of their bars."""
        served, logits = self._served, self._logits
        if not any(map(ge, logits, served.quiet_below)):  # as it usually is
            return []
        heard = zip(served.place, logits, served.quiet_below, strict=True)
        return [name for name, logit, least in heard if logit >= least]

    def probability(self, name: str) -> float | None:
        """One model's score, rounded; None of one that is cold or stale."""
        served = self._served
        place = served.place.get(name)
        if place is None or self._at_ms > served.fresh_until_ms[place]:
            return None
        return round(logistic.sigmoid(self._logits[place]) * _DECIMAL) / _DECIMAL

    def score(self, name: str) -> Score:
        """One model's word."""
        probability = self.probability(name)
        if probability is None:
            return _STALE if name in self._served.place else _COLD
        return Score(probability, self._served.versions[name])

    def probabilities(self) -> dict[str, float]:
        """Every model's score, rounded, by its name; without those that are cold or stale."""
        if self._probabilities is None:
            served, at_ms = self._served, self._at_ms
            said = zip(served.place, logistic.sigmoids(self._logits), served.fresh_until_ms, strict=True)
            self._probabilities = {
                name: round(probability * _DECIMAL) / _DECIMAL
                for name, probability, fresh_until_ms in said
                if at_ms <= fresh_until_ms
            }
        return self._probabilities

    def scores(self) -> dict[str, Score]:
        """Every model's word, by its name."""
        if self._scores is None:
            said, versions = self.probabilities(), self._served.versions
            self._scores = {
                name: Score(said[name], versions[name]) if name in said else _STALE if name in versions else _COLD
                for name in self._served.names
            }
        return self._scores

    def recorded(self) -> Floats:
        """What is to be recorded of every warm model: probabilities by model, and by kind in the order of ``RECORDED``.

        That is what each contestant says, before calibration, and what the champion's line alone does, ``FINEST`` away
        from 0 and 1; 0 where the model has no such contestant. Of a ``sample``.
        """
        served = self._served
        shares = self._said[len(served.warm) :].reshape(-1, len(RECORDED)) * 0.5
        # The sigmoid, written so that nothing overflows.
        np.tanh(shares, out=shares)
        shares += 1.0
        shares *= 0.5 * _DECIMAL
        np.rint(shares, out=shares)
        shares /= _DECIMAL
        if served.warm:
            least, most = served.bounds
            np.maximum(shares, least, out=shares)
            np.minimum(shares, most, out=shares)
        return shares

    def levels(self) -> bytes:
        """What is to be recorded as whole multiples of ``FINEST``, two bytes each, the lower one first."""
        return np.rint(self.recorded() / FINEST).astype("<u2").tobytes()
