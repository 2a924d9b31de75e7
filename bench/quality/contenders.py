"""Who is asked: the models of needstream, and the rules that any model must beat.

Each learns what the harness gives it and says probabilities. Contenders that need a package of the ``bench``
extra stand in ``rivals``.
"""

from collections.abc import Sequence

from bench.quality.goals import SERVED
from bench.quality.harness import Said

from needstream.models import logistic
from needstream.models.pair import PairClassifier
from needstream.models.track import Rules, Track
from needstream.schemas.signals import LabelledExample

PUBLISHED_EVERY = 10
"""Labels between two standings; a learner publishes by the clock, which is oftener than that at these rates."""

_EPOCH = "2000-01-01T00:00:00Z"


class Tracked:
    """A model as it is served: the champion of a track, and what each contestant says.

    Every answer comes from a published standing, as a worker's does; one is published after every
    ``PUBLISHED_EVERY`` labels. Each question is a customer of its own.
    """

    def __init__(self, features: tuple[str, ...], rules: Rules) -> None:
        self._track = Track("model", features, rules=rules)
        self._standing = self._track.standing()
        self._learned = 0

    @property
    def champion(self) -> str:
        """Who is served now."""
        return self._standing.champion

    def say(self, values: Sequence[float]) -> Said:
        """The champion's calibrated probability as ``served``, and everybody's raw one under their own name."""
        said = {kind: logistic.sigmoid(logit) for kind, logit in self._standing.raw_logits(values).items()}
        return {SERVED: logistic.sigmoid(self._standing.champion_logit(values)), **said}

    def learn(self, values: Sequence[float], label: bool, *, said: Said) -> None:
        """Learn the matured example together with what was said of it."""
        self._learned += 1
        name = str(self._learned)
        example = LabelledExample(
            example_id=name,
            customer_id=name,
            model="model",
            features=tuple(values),
            feature_set="",
            score=said[SERVED],
            model_version="",
            label=label,
            predicted_at=_EPOCH,
            due_at=_EPOCH,
            contestants={kind: probability for kind, probability in said.items() if kind != SERVED},
        )
        self._track.learn(example)
        if self._learned % PUBLISHED_EVERY == 0:
            self._standing = self._track.standing()


class BaseRate:
    """Says the share of positives so far: it learns nothing else."""

    def __init__(self) -> None:
        self._labels = self._positives = 0

    def say(self, values: Sequence[float]) -> Said:
        """The share, with one imagined label of each class."""
        del values
        return {"base rate": (self._positives + 1) / (self._labels + 2)}

    def learn(self, values: Sequence[float], label: bool, *, said: Said) -> None:
        """Count the label."""
        del values, said
        self._labels += 1
        self._positives += label


class Recency:
    """The rule of thumb: how long it is since the last time, made a probability by a pair of that one feature."""

    def __init__(self, features: tuple[str, ...], recency: str) -> None:
        self._place = features.index(recency)
        self._model = PairClassifier("recency", (recency,))

    def say(self, values: Sequence[float]) -> Said:
        """The probability by recency alone."""
        return {"recency rule": self._model.score((values[self._place],))}

    def learn(self, values: Sequence[float], label: bool, *, said: Said) -> None:
        """Learn the one feature."""
        del said
        self._model.learn((values[self._place],), label)
