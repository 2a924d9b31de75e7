"""The learner: the one writer of every model. Evaluate the recorded score, then learn, then publish.

Examples arrive when their horizon has passed, positives and negatives at the same age, so the
share of positives a model sees is the true one.
"""

from collections.abc import Iterable, Mapping

from needstream.models import contestants, prequential
from needstream.models.guard import NEWEST
from needstream.models.recent_ids import REMEMBERED_EXAMPLES, RecentIds
from needstream.models.rules import Rules
from needstream.models.scorer import Scorer
from needstream.models.slices import SliceQuality
from needstream.models.snapshots import feature_set
from needstream.models.standing import Standing
from needstream.models.track import Track
from needstream.schemas.signals import LabelledExample, ModelDecision

PUBLISH_EVERY = 50
"""Examples between two publications of a model."""

RECALLED_OF_EACH = 2 * NEWEST
"""Examples of a model that are shown again: twice what a guard looks back on, as they do not come evenly."""


class Learner:
    """Learns labelled examples into the models it owns and publishes them to a scorer."""

    def __init__(
        self, rules: Mapping[str, Rules], features: tuple[str, ...], *, scorer: Scorer, publishes: bool = True
    ) -> None:
        """A learner of the models named.

        With ``publishes`` it serves a model every ``PUBLISH_EVERY`` examples of it by itself; without, whoever drives
        it does (``standing``, then ``serve``), perhaps from another thread than the one that learns.
        """
        self._publishes = publishes
        self.features = features
        self.feature_set = feature_set(features)
        self._rules = dict(rules)
        self._scorer = scorer
        self._tracks = {name: Track(name, features, rules=own) for name, own in self._rules.items()}
        self._recent = {name: RecentIds() for name in self._rules}

    def resume(self, standing: Standing) -> None:
        """Go on from a published standing instead of from nothing; one of other features is ignored."""
        rules = self._rules.get(standing.name)
        if rules is not None and standing.features == self.features:
            self._tracks[standing.name] = Track(standing.name, self.features, rules=rules, begin=standing)
            self.publish(standing.name)

    def begin_anew(self, published: Iterable[Standing]) -> None:
        """Go on from published standings; what was learned since is forgotten and will be given again."""
        self._recent = {name: RecentIds() for name in self._rules}
        for standing in published:
            self.resume(standing)

    def recalls(self) -> int | None:
        """How many of the newest examples it has to be shown when it goes on; None for every one there is.

        Judging the newest ones again needs some thousands of each model, and examples of several share a partition.
        """
        kinds = (kind for rules in self._rules.values() for kind in rules.kinds())
        if any(contestants.is_rebuilt(kind) for kind in kinds):
            return None
        return max(REMEMBERED_EXAMPLES, RECALLED_OF_EACH * len(self._rules))

    def recall(self, examples: Iterable[LabelledExample]) -> None:
        """Look again at examples that were learned before this learner began, oldest first."""
        for example in examples:
            track = self._track(example)
            if track is not None and self._recent[example.model].is_new(example.example_id):
                track.recall(example)

    def knows(self, example: LabelledExample) -> bool:
        """Whether the example is for a model and features of this learner."""
        return self._track(example) is not None

    def learn(self, example: LabelledExample, *, offset: int | None = None) -> list[ModelDecision]:
        """Evaluate and learn one example; now and then publish the model to the scorer.

        Args:
            example: a prediction with its truth.
            offset: where the example stands on its topic; one at or before the newest learned of
                its model is a re-delivery and is only recalled. None for examples without an offset.

        Returns:
            What was decided or noticed. An example of an unknown model or of other features is ignored, and one that
            was sent twice the second time.
        """
        track = self._track(example)
        if track is None:
            return []
        is_new = self._recent[example.model].is_new(example.example_id)
        if offset is not None:
            if track.has_passed(offset):
                if is_new:
                    track.recall(example)
                return []
            track.pass_by(offset)
        if not is_new:
            return []
        decisions = track.learn(example)
        if self._publishes and track.version % PUBLISH_EVERY == 0:
            self.publish(example.model)
        return decisions

    def publish(self, name: str) -> Standing:
        """Serve the model as it stands from now on, and return its numbers."""
        standing = self.standing(name)
        self._scorer.publish(standing)
        return standing

    def standing(self, name: str) -> Standing:
        """The model as it stands."""
        return self._tracks[name].standing()

    def serve(self, standing: Standing) -> None:
        """Serve a model as it stood."""
        self._scorer.publish(standing)

    def standings(self) -> list[Standing]:
        """Every model as it stands, by name."""
        return [self._tracks[name].standing() for name in sorted(self._tracks)]

    def quality(self) -> list[prequential.Quality]:
        """Prequential quality of every model, by name."""
        return [self._tracks[name].quality() for name in sorted(self._tracks)]

    def slices(self) -> list[SliceQuality]:
        """Quality and signal rate of every model by slice of the customers."""
        return [figures for name in sorted(self._tracks) for figures in self._tracks[name].slices()]

    def quarantined(self) -> dict[tuple[str, str], int]:
        """How many examples were kept from each model, by model and reason."""
        return {
            (name, reason): count
            for name, track in sorted(self._tracks.items())
            for reason, count in sorted(track.quarantined.items())
        }

    def _track(self, example: LabelledExample) -> Track | None:
        return self._tracks.get(example.model) if example.feature_set == self.feature_set else None
