"""One model's track: contestants that learn the same matured examples, and the contest for which one is served.

In go labelled examples in the order of their topic; out come decisions worth telling, and the standing that is
published. An example is judged by what was said when it was asked, then learned by every contestant.
"""

import hashlib
from math import log

from msgspec import structs

from needstream.models import contestants, logistic, prequential
from needstream.models.anomaly import AnomalyLearner
from needstream.models.blend import Blender
from needstream.models.calibration import HALF_LIFE, IDENTITY, Calibration, Calibrator
from needstream.models.contestants import Contestant, Exported
from needstream.models.drift import LossDrift
from needstream.models.guard import Guard
from needstream.models.promotion import Contest
from needstream.models.rules import Rules
from needstream.models.slices import Gap, SliceBook, SliceQuality
from needstream.models.standing import BLEND, LINE, Standing
from needstream.models.thresholds import Thresholds
from needstream.schemas.signals import LabelledExample, ModelDecision, ModelEvent, Quarantine
from needstream.schemas.times import parse_rfc3339

GAPS_EVERY = 500
"""Judged examples between two looks for gaps between slices."""

AWAITED_TIMES = 3
"""How many horizons' worth of labels count half in a calibration."""

_LEAST = 1e-5
"""The smallest probability that is recorded, but for rounding."""


class Track:
    """Evaluates and learns the examples of one model. Mutable and not thread-safe: one writer owns each."""

    def __init__(self, name: str, features: tuple[str, ...], *, rules: Rules, begin: Standing | None = None) -> None:
        """A track that goes on where ``begin`` stood.

        Contestants whose memory is examples have to be shown the newest ones again (``recall``).
        """
        self.name, self.features, self.rules = name, features, rules
        kinds = rules.kinds()
        self._contestants: dict[str, Contestant] = {}
        self._calibrators: dict[str, Calibrator] = {}
        self._before: dict[str, Exported] = {}
        for kind in kinds:
            exported = begin.contestants.get(kind) if begin else None
            if kind != BLEND:
                self._contestants[kind] = (
                    contestants.resume(kind, exported) if exported else contestants.begin(kind, name, features=features)
                )
            if exported and contestants.is_rebuilt(kind):
                self._before[kind] = exported
            known = begin.blend if begin and kind == BLEND else exported
            self._calibrators[kind] = Calibrator(known.calibration if known else IDENTITY)
        self._blender = Blender(begin.blend if begin else None) if BLEND in kinds else None
        # Another declared champion than before has the word; what the contest knew is of the old one.
        goes_on = begin is not None and begin.declared == kinds[0] and begin.champion in kinds
        champion, state = (begin.champion, begin.contest) if begin and goes_on else (kinds[0], None)
        self._contest = Contest(kinds, champion=champion, rule=rules.promotion, state=state)
        self._thresholds = Thresholds(rules.target, begin.thresholds if begin else None) if rules.target else None
        self._drift = LossDrift(begin.loss_drift if begin else "")
        self._watcher: AnomalyLearner | None = None
        if rules.watches:
            watched = begin.anomaly if begin else None
            self._watcher = AnomalyLearner.restore(watched) if watched else AnomalyLearner(features)
        self._guard = Guard(features, horizon_ms=rules.horizon_ms)
        self._quality = prequential.Prequential(name)
        self._slices = SliceBook(name)
        self._gaps = set(begin.gaps if begin else ())
        self._version, self._labels, self._positives = 0, 0, 0
        self._learned_through, self._first_ms, self._newest_ms = -1, 0, 0
        if begin is not None:
            self._version, self._labels, self._positives = begin.version, begin.labels, begin.positives
            self._learned_through = begin.learned_through
            self._first_ms, self._newest_ms = begin.first_ms, begin.newest_ms
        self.quarantined: dict[str, int] = {}

    @property
    def version(self) -> int:
        """How many examples were taken in."""
        return self._version

    def has_passed(self, offset: int) -> bool:
        """Whether the example at an offset was taken in already."""
        return offset <= self._learned_through

    def pass_by(self, offset: int) -> None:
        """Take note that the topic was read through an offset."""
        self._learned_through = offset

    def recall(self, example: LabelledExample) -> None:
        """Look again at an example that was learned before this track began, oldest first."""
        if self._refusal(example):
            self._pass_over(example)
            return
        if example.stage == "final":
            self._quality.evaluate(example.score, example.label)
            self._slices.observe(example.slices, example.score, label=example.label, reached=self._reached(example))
        if self._teaches(example):
            for contestant in self._contestants.values():
                contestant.recall(example.features, example.label)

    def learn(self, example: LabelledExample) -> list[ModelDecision]:
        """Judge and learn one example that was not given before.

        Returns:
            What was decided or noticed with it.
        """
        self._version += 1
        reason = self._refusal(example)
        if reason:
            self.quarantined[reason] = self.quarantined.get(reason, 0) + 1
            self._pass_over(example)
            return []
        decisions = self._judge(example) if example.stage == "final" else []
        if self._teaches(example):
            self._teach(example)
        return decisions

    def standing(self) -> Standing:
        """The track as it stands, as numbers."""
        calibrated = {kind: calibrator.export() for kind, calibrator in self._calibrators.items()}
        return Standing(
            name=self.name,
            features=self.features,
            version=self._version,
            labels=self._labels,
            positives=self._positives,
            learned_through=self._learned_through,
            first_ms=self._first_ms,
            newest_ms=self._newest_ms,
            champion=self._contest.champion,
            declared=self.rules.kinds()[0],
            contestants={
                kind: self._exported(kind, contestant, calibrated=calibrated[kind])
                for kind, contestant in self._contestants.items()
            },
            blend=self._blender.export(calibrated=calibrated[BLEND]) if self._blender else None,
            contest=self._contest.export(),
            thresholds=self._thresholds.export() if self._thresholds else None,
            enter_score=self._thresholds.threshold() if self._thresholds else None,
            loss_drift=self._drift.export(),
            gaps=tuple(sorted(self._gaps)),
            anomaly=self._watcher.export() if self._watcher else None,
        )

    def quality(self) -> prequential.Quality:
        """Prequential quality of the recorded scores."""
        return self._quality.quality()

    def slices(self) -> list[SliceQuality]:
        """Quality and signal rate by slice of the customers."""
        return self._slices.figures()

    def _pass_over(self, example: LabelledExample) -> None:
        if example.stage == "final":
            self._quality.pass_over()

    def _refusal(self, example: LabelledExample) -> Quarantine:
        return self._guard.judge(example) if len(example.features) == len(self.features) else "impossible"

    def _exported(self, kind: str, contestant: Contestant, *, calibrated: Calibration) -> Exported:
        """What a contestant says; one that is built anew is served as it was until it has learned as much again."""
        before = self._before.get(kind)
        if before is not None and contestant.examples < before.version:
            return structs.replace(before, calibration=calibrated)
        return contestant.export(calibrated=calibrated)

    def _judge(self, example: LabelledExample) -> list[ModelDecision]:
        self._labels += 1
        self._positives += example.label
        due_ms = parse_rfc3339(example.due_at)
        self._first_ms = self._first_ms or due_ms
        self._newest_ms = max(self._newest_ms, due_ms)
        self._quality.evaluate(example.score, example.label)
        self._slices.observe(example.slices, example.score, label=example.label, reached=self._reached(example))
        if example.score is not None and self._thresholds is not None:
            self._thresholds.observe(example.score, example.label)
        promoted = self._compare(example)
        self._calibrate(example)
        self._trust(example)
        return [*promoted, *self._look_for_drift(example), *self._look_for_gaps(example)]

    def _compare(self, example: LabelledExample) -> list[ModelDecision]:
        """Compare what was said: of the champion what was served, of the others what nobody had set right."""
        losses = {kind: prequential.log_loss(said, example.label) for kind, said in example.contestants.items()}
        if example.score is not None and self._was_served(self._contest.champion, example):
            losses[self._contest.champion] = prequential.log_loss(example.score, example.label)
        promotion = self._contest.observe(losses)
        if promotion is None:
            return []
        # These know the scores of the one that stepped back; and the line of the new one was never served.
        self._calibrators[promotion.champion].distrust()
        self._drift = LossDrift()
        if self.rules.target is not None:
            self._thresholds = Thresholds(self.rules.target)
        detail = f"{promotion.champion} has the lower matured log loss, {promotion.previous} steps back"
        figures = promotion.figures()
        return [self._decision(example, "promoted", detail=detail, previous=promotion.previous, figures=figures)]

    def _look_for_drift(self, example: LabelledExample) -> list[ModelDecision]:
        if example.score is None:
            return []
        found = self._drift.observe(prequential.log_loss(example.score, example.label))
        if found is None:
            return []
        figures = {"before": found.before, "after": found.after, "compared": float(found.examples)}
        return [self._decision(example, "loss_drift", detail="the matured log loss rose", figures=figures)]

    def _look_for_gaps(self, example: LabelledExample) -> list[ModelDecision]:
        if self._labels % GAPS_EVERY:
            return []
        gaps = {(gap.attribute, gap.value, gap.measure): gap for gap in self._slices.gaps()}
        new = [gap for name, gap in sorted(gaps.items()) if name not in self._gaps]
        self._gaps = set(gaps)
        return [self._decision(example, "slice_gap", detail=_detail(gap), figures=_figures(gap)) for gap in new]

    def _decision(
        self,
        example: LabelledExample,
        event: ModelEvent,
        *,
        detail: str,
        previous: str = "",
        figures: dict[str, float],
    ) -> ModelDecision:
        identity = "\n".join((event, self.name, example.example_id, detail)).encode()
        return ModelDecision(
            decision_id=hashlib.blake2b(identity, digest_size=16).hexdigest(),
            model=self.name,
            event=event,
            champion=self._contest.champion,
            previous=previous or self._contest.champion,
            detail=detail,
            examples=self._labels,
            figures=figures,
            event_time=example.due_at,
        )

    def _teaches(self, example: LabelledExample) -> bool:
        return (example.stage == "final") is (self.rules.assumes is None)

    def _teach(self, example: LabelledExample) -> None:
        values, label, assumed = example.features, example.label, self.rules.assumes
        for contestant in self._contestants.values():
            weight = 1.0 if assumed is None else _correction(contestant.logit(values), label=label, assumed=assumed)
            contestant.learn(values, label, weight=weight)
        if self._watcher is not None and example.stage != "converted":
            self._watcher.learn(values)

    def _calibrate(self, example: LabelledExample) -> None:
        """Learn the lines from what was said when asked; where nothing was, from what would be said now.

        The champion's line is judged by what it said itself: one that followed a phase which has passed did harm.
        """
        half_life, said = self._half_life(example), example.contestants
        logits = {
            kind: _logit(said[kind]) if kind in said else contestant.logit(example.features)
            for kind, contestant in self._contestants.items()
        }
        if self._blender is not None:
            logits[BLEND] = _logit(said[BLEND]) if BLEND in said else self._blender.export().logit(logits)
        for kind, logit in logits.items():
            was_served = LINE in said and self._was_served(kind, example)
            line = _logit(said[LINE]) if was_served else None
            self._calibrators[kind].learn(logit, example.label, line=line, half_life=half_life)

    def _was_served(self, kind: str, example: LabelledExample) -> bool:
        return example.model_version.startswith(f"{self.name}-{kind}-")

    def _trust(self, example: LabelledExample) -> None:
        """Learn whom to trust from what was really said: a contestant that has learned since would flatter itself."""
        said = example.contestants
        if self._blender is not None and all(kind in said for kind in self._contestants):
            self._blender.learn({kind: _logit(said[kind]) for kind in self._contestants}, example.label)

    def _half_life(self, example: LabelledExample) -> float:
        """Labels after which calibration forgets half: some times those that come within a horizon."""
        horizon_ms = parse_rfc3339(example.due_at) - parse_rfc3339(example.predicted_at)
        known_ms = self._newest_ms - self._first_ms
        awaited = self._labels * horizon_ms / known_ms if known_ms > 0 else 0.0
        return max(HALF_LIFE, AWAITED_TIMES * awaited)

    def _reached(self, example: LabelledExample) -> bool:
        chosen = self._thresholds.threshold() if self._thresholds else None
        return example.score is not None and example.score >= (self.rules.enter_score if chosen is None else chosen)


def _logit(share: float) -> float:
    """The logit of a recorded probability, which is kept from 0 and 1."""
    bounded = min(1.0 - _LEAST, max(_LEAST, share))
    return log(bounded / (1.0 - bounded))


def _correction(logit: float, *, label: bool, assumed: bool) -> float:
    """The weight of an early label (fake negative weighting; Ktena et al., 2019).

    Every example is learned once with the assumed label and, where that turns out wrong, once more with the other one:
    the weights make the expected gradient that of the true labels.
    """
    wrong = logistic.sigmoid(-logit if assumed else logit)
    return (1.0 - wrong) * (1.0 + wrong) if label is assumed else 1.0 + wrong


def _detail(gap: Gap) -> str:
    return f"{gap.measure} of {gap.attribute} {gap.value} is worse than that of the others"


def _figures(gap: Gap) -> dict[str, float]:
    return {
        "here": gap.here,
        "elsewhere": gap.elsewhere,
        "deviations": gap.deviations,
        "compared": float(gap.examples),
    }


def readied(standing: Standing, rules: Rules) -> Standing:
    """A standing as these rules serve it: its champion if they still have it, a threshold for their own target."""
    return Track(standing.name, standing.features, rules=rules, begin=standing).standing()
