"""The learner: the one writer of every model. Evaluate the recorded score, then learn, then publish.

Examples arrive when their horizon has passed, positives and negatives at the same age, so the
share of positives a model sees is the true one.
"""

from collections.abc import Iterable, Sequence

from needstream.models import linear, prequential
from needstream.models.online_model import OnlineModel
from needstream.models.recent_ids import RecentIds
from needstream.models.scorer import Scorer
from needstream.models.snapshots import feature_set
from needstream.schemas.signals import LabelledExample

PUBLISH_EVERY = 50
"""Examples between two publications of a model."""


class Learner:
    """Learns labelled examples into the models it owns and publishes them to a scorer."""

    def __init__(self, names: Sequence[str], features: tuple[str, ...], *, scorer: Scorer) -> None:
        self.features = features
        self.feature_set = feature_set(features)
        self._scorer = scorer
        self._models = {name: OnlineModel(name, features) for name in names}
        self._quality = {name: prequential.Prequential(name) for name in names}
        self._recent = RecentIds()

    def resume(self, exported: linear.LinearModel) -> None:
        """Go on from a published model instead of from nothing; one of other features is ignored."""
        if exported.name in self._models and exported.features == self.features:
            self._models[exported.name] = OnlineModel.restore(exported)
            self._scorer.publish(exported)

    def begin_anew(self, published: Iterable[linear.LinearModel]) -> None:
        """Go on from published models; what was learned since is forgotten and will be given again."""
        self._recent = RecentIds()
        for model in published:
            self.resume(model)

    def recall(self, example_ids: Iterable[str]) -> None:
        """Take note of examples that were learned before this learner began, oldest first."""
        self._recent.remember(example_ids)

    def knows(self, example: LabelledExample) -> bool:
        """Whether the example is for a model and features of this learner."""
        return example.model in self._models and example.feature_set == self.feature_set

    def learn(self, example: LabelledExample, *, offset: int | None = None) -> linear.LinearModel | None:
        """Evaluate and learn one example.

        Args:
            example: a prediction with its truth.
            offset: where the example stands on its topic; one at or before the newest learned of
                its model is a re-delivery and is ignored. None for examples without an offset.

        Returns:
            The model when it was published with this example, else None. An example of an unknown
            model or of other features is ignored, and one that was sent twice the second time.
        """
        model = self._models.get(example.model)
        if model is None or example.feature_set != self.feature_set:
            return None
        is_new = self._recent.is_new(example.example_id)
        if offset is not None:
            if offset <= model.learned_through:
                return None
            model.learned_through = offset
        if not is_new:
            return None
        self._quality[example.model].evaluate(example.score, example.label)
        model.learn(example.features, example.label)
        return None if model.examples % PUBLISH_EVERY else self.publish(example.model)

    def publish(self, name: str) -> linear.LinearModel:
        """Serve the model as it stands from now on, and return its numbers."""
        exported = self._models[name].export()
        self._scorer.publish(exported)
        return exported

    def export(self) -> list[linear.LinearModel]:
        """Every model as it stands, by name."""
        return [self._models[name].export() for name in sorted(self._models)]

    def quality(self) -> list[prequential.Quality]:
        """Prequential quality of every model, by name."""
        return [self._quality[name].quality() for name in sorted(self._quality)]
