"""Asks the same contestants again over the same examples, with the true delay of the labels and without any.

In go the questions of one model, out come the calibrated probabilities of a kind, and what a score and a lesson cost.
The order is that of a learner: an example is asked, later its label calibrates what was said, and then teaches.
"""

import time

import numpy as np
from msgspec import Struct

from needstream.models import contestants, linear
from needstream.models.calibration import HALF_LIFE, MIN_LABELS, Calibrator
from needstream.models.track import AWAITED_TIMES
from needstream.streams.evaluation.baselines import Questions, in_turn
from needstream.streams.evaluation.histories import Floats, History

_ONLY_RECORDED = ("batch", "blend")
"""Judged by what they said: one refits again and again, the other is a mean of the rest."""


class Cost(Struct, frozen=True, kw_only=True):
    """Processor time of one call, in microseconds, mean over the whole run."""

    score_us: float
    learn_us: float


class Rerun(Struct, frozen=True, kw_only=True):
    """What one kind said of every question."""

    kind: str
    said: Floats
    cost: Cost


def kinds(history: History) -> list[str]:
    """The contestants of the model that can be run again, the declared champion first."""
    named = dict.fromkeys((*history.kinds, *history.contestants))
    return [kind for kind in named if kind not in _ONLY_RECORDED and contestants.is_available(kind)]


def run(kind: str, asked: Questions, *, features: tuple[str, ...]) -> Rerun:
    """Ask a new contestant of a kind every question in turn, and tell it each label as soon as it is known."""
    contestant = contestants.begin(kind, "rerun", features=features)
    calibrator = Calibrator()
    rows, labels = asked.values.tolist(), asked.labels.tolist()
    said, raw = np.empty(asked.labels.size), [0.0] * asked.labels.size
    scoring = learning = lessons = warm_from = 0
    for place, told in in_turn(asked):
        began = time.process_time_ns()
        for each in told:
            # As in the stream: a cold contestant is not recorded, and is calibrated by what it says now.
            logit = raw[each] if each >= warm_from else contestant.logit(rows[each])
            calibrator.learn(logit, labels[each], half_life=max(HALF_LIFE, AWAITED_TIMES * (place - lessons)))
            contestant.learn(rows[each], labels[each])
        halfway = time.process_time_ns()
        if contestant.examples < MIN_LABELS:
            warm_from = place + 1
        raw[place] = contestant.logit(rows[place])
        said[place] = linear.sigmoid(calibrator.export().logit(raw[place]))
        scoring += time.process_time_ns() - halfway
        learning += halfway - began
        lessons += len(told)
    cost = Cost(score_us=scoring / max(1, said.size) / 1000, learn_us=learning / max(1, lessons) / 1000)
    return Rerun(kind=kind, said=said, cost=cost)
