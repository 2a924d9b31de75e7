"""How early the score was high: days from the first score over a threshold to what it warned of.

In goes a history, out come lead times of episodes. An episode of a need is a customer's run of positive predictions,
each within a horizon of the one before; the lead is to the first conversion after the score, taken for the middle of
the bracket in which it must lie, or for a decline to the end of the horizon. An episode of churn is a run of positive
predictions; the lead is to the customer's last own activity, and scores count from 60 days before that until the label
is certain.
"""

import numpy as np
from msgspec import Struct

from needstream.schemas.times import DAY_MS
from needstream.streams.evaluation import maturity
from needstream.streams.evaluation.histories import Flags, Floats, History

WARNING_MS = 60 * DAY_MS
BUDGET = 0.05
"""Share of the judged predictions that may be called, for the threshold that asks no pack."""


class LeadTime(Struct, frozen=True, kw_only=True):
    """Lead times at one threshold.

    Attributes:
        rule: where the threshold comes from.
        episodes: how many there were among customers with a judged prediction; ``reached`` of them had a score over it.
        called: judged predictions over the threshold, ``right`` of them positive.
        median_days, p10_days, p90_days: from the first such score to the end of the episode; negative after it.
        before_label_days: median from that score to the day on which the label was certain.
    """

    rule: str
    threshold: float
    episodes: int
    reached: int
    called: int
    right: int
    median_days: float | None
    p10_days: float | None
    p90_days: float | None
    before_label_days: float | None


class _Episode(Struct, frozen=True):
    """Predictions that could have warned, what each would have warned of, and when that was certain."""

    places: list[int]
    ends_ms: list[float]
    certain_ms: list[float]


def lead_times(history: History, judged: Flags) -> list[LeadTime]:
    """Lead times at the declared threshold and at the highest scores; none without a judged prediction."""
    if not judged.any():
        return []
    scores = np.where(judged, history.served, -1.0)
    highest = float(np.quantile(history.served[judged], 1 - BUDGET, method="higher"))
    episodes = _episodes(history, judged)
    rules = (("enter_score of the pack", history.enter_score), (f"highest {BUDGET:.0%} of the scores", highest))
    return [_at(rule, threshold, history=history, scores=scores, episodes=episodes) for rule, threshold in rules]


def _at(rule: str, threshold: float, *, history: History, scores: Floats, episodes: list[_Episode]) -> LeadTime:
    leads, before = [], []
    for episode in episodes:
        over = [at for at, place in enumerate(episode.places) if scores[place] >= threshold]
        if over:
            first_ms = int(history.asked_ms[episode.places[over[0]]])
            leads.append((episode.ends_ms[over[0]] - first_ms) / DAY_MS)
            before.append((episode.certain_ms[over[0]] - first_ms) / DAY_MS)
    called = scores >= threshold
    return LeadTime(
        rule=rule,
        threshold=threshold,
        episodes=len(episodes),
        reached=len(leads),
        called=int(called.sum()),
        right=int((called & history.labels).sum()),
        median_days=_quantile(leads, 0.5),
        p10_days=_quantile(leads, 0.1),
        p90_days=_quantile(leads, 0.9),
        before_label_days=_quantile(before, 0.5),
    )


def _quantile(days: list[float], share: float) -> float | None:
    return float(np.quantile(days, share)) if days else None


def _episodes(history: History, judged: Flags) -> list[_Episode]:
    seen_ms = maturity.brackets(history).middle_ms() if history.shows else None
    idle = _idle_ms(history)
    found = []
    for places in maturity.by_customer(history.customers):
        for run in _runs(history, places):
            if seen_ms is not None:
                asked = run
                ends_ms = certain_ms = seen_ms[run].tolist()
            else:
                end_ms = float(history.asked_ms[run[0]] - idle[run[0]])
                known_ms = end_ms + history.horizon_ms
                asked = [at for at in places if end_ms - WARNING_MS <= history.asked_ms[at] <= known_ms]
                ends_ms, certain_ms = [end_ms] * len(asked), [known_ms] * len(asked)
            if judged[asked].any():
                found.append(_Episode(asked, ends_ms, certain_ms))
    return found


def _runs(history: History, places: list[int]) -> list[list[int]]:
    """Runs of positive predictions of one customer."""
    runs: list[list[int]] = []
    is_open = False
    for place in places:
        if not history.labels[place]:
            is_open = False
            continue
        if is_open and history.asked_ms[place] - history.asked_ms[runs[-1][-1]] <= history.horizon_ms:
            runs[-1].append(place)
        else:
            runs.append([place])
        is_open = True
    return runs


def _idle_ms(history: History) -> Floats:
    """Milliseconds since the last own activity, 0 where the features do not tell."""
    named = [*(f"days_since.{fact}" for fact in history.facts), "idle_days"]
    for name in named:
        if name in history.features:
            idle: Floats = history.values[:, history.features.index(name)] * DAY_MS
            return idle
    return np.zeros(history.labels.size)
