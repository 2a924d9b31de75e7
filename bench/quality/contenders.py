"""Who is asked: the models of needstream, and the rules that any model must beat.

Each learns what the harness gives it and says probabilities. Contenders that need a package of the ``bench``
extra stand in ``rivals``.
"""

from collections.abc import Sequence

from bench.quality.goals import BASE_RATE, SERVED
from bench.quality.harness import Said
from bench.quality.task import Question

from needstream.models import logistic
from needstream.models.pair import PairClassifier
from needstream.models.rules import Rules
from needstream.models.standing import LINE
from needstream.models.track import Track
from needstream.schemas.signals import LabelledExample
from needstream.schemas.times import rfc3339

PUBLISHED_EVERY = 10
"""Labels between two standings; a learner publishes by the clock, which is oftener than that at these rates."""

SHIPPED = Rules(champion="pair", challengers=("linear", "blend"))
"""What the packs declare of every model."""

_LINE = "line of the champion"


class Tracked:
    """A model as it is served: the champion of a track, and what each contestant says.

    Every answer comes from a published standing, as a worker's does; one is published after every
    ``PUBLISHED_EVERY`` labels. Each question is a customer of its own.
    """

    def __init__(self, features: tuple[str, ...], rules: Rules, *, suffix: str = "") -> None:
        """A track of its own; ``suffix`` ends the name of each of its lines."""
        self._track = Track("model", features, rules=rules)
        self._standing = self._track.standing()
        self._suffix = suffix
        self._learned = 0

    @property
    def champion(self) -> str:
        """Who is served now."""
        return self._standing.champion

    def say(self, values: Sequence[float]) -> Said:
        """The champion's calibrated probability as ``served``, and everybody's raw one under their own name."""
        said = {kind: logistic.sigmoid(logit) for kind, logit in self._standing.said(values).items()}
        line = said.pop(LINE)
        named = {SERVED: logistic.sigmoid(self._standing.champion_logit(values)), **said, _LINE: line}
        return Said({f"{line}{self._suffix}": share for line, share in named.items()}, self.champion)

    def learn(self, question: Question, *, said: Said) -> None:
        """Learn the matured example together with what was said of it, and by whom."""
        self._learned += 1
        name = str(self._learned)
        contestants = {line.removesuffix(self._suffix): share for line, share in said.lines.items()}
        score, line = contestants.pop(SERVED), contestants.pop(_LINE)
        example = LabelledExample(
            example_id=name,
            customer_id=name,
            model="model",
            features=question.values,
            feature_set="",
            score=score,
            model_version=f"model-{said.served_by}-0",
            label=question.label,
            predicted_at=rfc3339(round(question.at * 1000)),
            due_at=rfc3339(round(question.due * 1000)),
            contestants=contestants | {LINE: line},
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
        return Said({BASE_RATE: (self._positives + 1) / (self._labels + 2)})

    def learn(self, question: Question, *, said: Said) -> None:
        """Count the label."""
        del said
        self._labels += 1
        self._positives += question.label


class Recency:
    """The rule of thumb: how long it is since the last time, made a probability by a pair of that one feature."""

    def __init__(self, features: tuple[str, ...], recency: str) -> None:
        self._place = features.index(recency)
        self._model = PairClassifier("recency", (recency,))

    def say(self, values: Sequence[float]) -> Said:
        """The probability by recency alone."""
        return Said({"recency rule": self._model.score((values[self._place],))})

    def learn(self, question: Question, *, said: Said) -> None:
        """Learn the one feature."""
        del said
        self._model.learn((question.values[self._place],), question.label)
