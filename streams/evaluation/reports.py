"""Puts together what there is to say about the models: the served score, what it is compared with, where it fails.

In go histories, out come frozen reports that hold no customer. The same histories give the same reports, but for costs.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import orjson
from msgspec import Struct
from msgspec.structs import replace

from needstream.models.slices import Gap, SliceQuality
from needstream.schemas.signals import ModelDecision
from needstream.schemas.times import duration_text, rfc3339
from needstream.streams.evaluation import baselines, lead_time, maturity, measures, reruns, slices
from needstream.streams.evaluation.histories import Flags, Floats, History
from needstream.streams.evaluation.lead_time import LeadTime
from needstream.streams.evaluation.maturity import Age
from needstream.streams.evaluation.measures import Bin, Figures, Window

SERVED = "served score"
NO_LEARN = "no-learn"
SCENARIOS = "scenarios only"
RECENCY = "recency"
_FEWEST = 50
_SAME = 5e-4


class Contender(Struct, frozen=True, kw_only=True):
    """One set of scores on the examples that the served score is judged on.

    Attributes:
        group: ``served``, ``contestant`` (recorded when asked) or ``baseline``.
        overlap: examples it was judged on; a contestant that joined late has fewer.
        window_auc, window_log_loss: means over the windows.
    """

    name: str
    group: str
    note: str
    figures: Figures
    window_auc: float | None
    window_log_loss: float | None
    windows: list[Window]


class DelayCost(Struct, frozen=True, kw_only=True):
    """The same contestant over the same examples, told each label when it was known, and told at once."""

    kind: str
    delayed: Figures
    at_once: Figures


class ScenarioRule(Struct, frozen=True, kw_only=True):
    """Saying yes when a scenario for it saw its condition within a horizon before the asking."""

    said_yes: int
    right: int
    precision: float | None
    recall: float | None
    auc: float | None


class ModelCost(Struct, frozen=True, kw_only=True):
    """Processor time of one contestant; measured, so never equal twice."""

    kind: str
    score_us: float
    learn_us: float


class ModelReport(Struct, frozen=True, kw_only=True):
    """Everything about one model.

    ``is_silent`` tells that the served score was there for too few examples; the others are then compared on the newer
    half of all examples. ``early`` is the class that can show before the end of the horizon, empty when neither can.
    """

    model: str
    kind: str
    horizon: str
    examples: int
    positives: int
    cold: int
    quarantined: dict[str, int]
    waiting: int | None
    first_asked: str
    last_asked: str
    is_silent: bool
    contenders: list[Contender]
    scenarios: ScenarioRule | None
    calibration: list[Bin]
    ages: list[Age]
    early: str
    delay: list[DelayCost]
    lead_times: list[LeadTime]
    slices: list[SliceQuality]
    gaps: list[Gap]
    events: list[ModelDecision]
    costs: list[ModelCost]


class Report(Struct, frozen=True, kw_only=True):
    """The whole evaluation; ``skipped`` names baselines whose package is not installed."""

    pack: str
    recorded_only: bool
    skipped: list[str]
    models: list[ModelReport]


def report(
    histories: list[History],
    *,
    pack: str,
    recorded_only: bool = False,
    on_model: Callable[[str], None] = lambda _: None,
) -> Report:
    """Judge every model.

    Args:
        histories: one per model.
        pack: name and version, to be shown.
        recorded_only: judge what was recorded, and train or run nothing again.
        on_model: told the name of each model before its turn.
    """
    skipped = [name for name, (package, _) in baselines.EXTERNAL.items() if not baselines.is_installed(package)]
    models = []
    for history in histories:
        on_model(history.model)
        models.append(_model(history, recorded_only=recorded_only))
    return Report(pack=pack, recorded_only=recorded_only, skipped=skipped, models=models)


def is_served(contender: Contender, model: ModelReport) -> bool:
    """Whether a contestant's answers were served throughout, uncalibrated, up to the 16 bits they are kept in."""
    first = model.contenders[0]
    if contender.group != "contestant" or first.group != "served" or contender.figures.judged != first.figures.judged:
        return False
    pairs = zip(contender.windows, first.windows, strict=True)
    return all(abs((mine.log_loss or 0.0) - (its.log_loss or 0.0)) < _SAME for mine, its in pairs)


def encoded(told: Report) -> bytes:
    """JSON of the part of a report that is equal for equal input: everything but the costs. Six places are kept."""
    return orjson.dumps(_rounded(msgspec.to_builtins(told)))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items() if key != "costs"}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def _model(history: History, *, recorded_only: bool) -> ModelReport:
    judged = ~np.isnan(history.served)
    is_silent = _is_too_few(history, judged)
    shown = np.arange(history.labels.size) >= history.labels.size // 2 if is_silent else judged
    judge = _Judge(history, shown)
    contenders = [] if is_silent else [judge.contender(SERVED, history.served, group="served")]
    contenders += [
        judge.contender(kind, said, group="contestant", note="recorded, before calibration")
        for kind, said in history.contestants.items()
    ]
    contenders += _baselines(history, judge, recorded_only=recorded_only)
    delay, costs = ([], []) if recorded_only else _delay(history, shown)
    served = history.served[judged]
    figures, gaps = ([], []) if is_silent else slices.book(history, judged)
    return ModelReport(
        model=history.model,
        kind=history.kind,
        horizon=duration_text(history.horizon_ms),
        examples=int(history.labels.size),
        positives=int(history.labels.sum()),
        cold=int((~judged).sum()),
        quarantined=history.quarantined,
        waiting=history.waiting,
        first_asked=rfc3339(int(history.asked_ms[0])),
        last_asked=rfc3339(int(history.asked_ms[-1])),
        is_silent=is_silent,
        contenders=contenders,
        scenarios=_scenario_rule(history, shown) if history.has_scenarios else None,
        calibration=[] if is_silent else measures.reliability(served, history.labels[judged]),
        ages=[] if is_silent or not history.facts else maturity.by_age(history, judged),
        early=_early(history),
        delay=delay,
        lead_times=[] if is_silent else lead_time.lead_times(history, judged),
        slices=figures,
        gaps=gaps,
        events=list(history.events),
        costs=costs,
    )


def _early(history: History) -> str:
    if not history.facts:
        return ""
    return "positives" if history.shows else "negatives"


def _is_too_few(history: History, judged: Flags) -> bool:
    positives = int(history.labels[judged].sum())
    return int(judged.sum()) < _FEWEST or positives in {0, int(judged.sum())}


class _Judge:
    """Judges any scores on the same examples and the same windows."""

    def __init__(self, history: History, shown: Flags) -> None:
        self._shown = shown
        self._labels = history.labels[shown]
        self._asked_ms = history.asked_ms[shown]
        self._cuts = measures.cut(self._asked_ms, self._labels)

    def contender(
        self, name: str, scores: Floats, *, group: str = "baseline", note: str = "", is_probability: bool = True
    ) -> Contender:
        """The figures of one set of scores, which may be NaN where nothing was said."""
        here = scores[self._shown]
        known = ~np.isnan(here)
        figures = measures.figures(here[known], self._labels[known], is_probability=is_probability)
        windows = []
        for cut in self._cuts:
            asked = np.flatnonzero(known[cut]) + cut.start
            if asked.size:
                whole = slice(0, int(asked.size))
                windows += measures.windows(
                    here[asked],
                    self._labels[asked],
                    asked_ms=self._asked_ms[asked],
                    cuts=[whole],
                    is_probability=is_probability,
                )
        return Contender(
            name=name,
            group=group,
            note=note,
            figures=figures,
            window_auc=measures.mean([each.auc for each in windows]),
            window_log_loss=measures.mean([each.log_loss for each in windows]),
            windows=windows,
        )


def _baselines(history: History, judge: _Judge, *, recorded_only: bool) -> list[Contender]:
    asked = baselines.questions(history)
    share = judge.contender(NO_LEARN, baselines.no_learn(asked), note="share of positives so far")
    # Its ranking only tells whether positives became more or fewer: no area is shown for it.
    unranked = replace(share.figures, auc=None, auc_error=None, pr_auc=None)
    windows = [replace(window, auc=None, pr_auc=None) for window in share.windows]
    found = [replace(share, figures=unranked, window_auc=None, windows=windows)]
    recent = baselines.recency(history)
    if recent is not None:
        note = f"ranked by {recent[0]}"
        found.append(judge.contender(RECENCY, recent[1], note=note, is_probability=False))
    if history.has_scenarios:
        rule = history.recognised.astype(np.float64)
        note = "a scenario within a horizon before"
        found.append(judge.contender(SCENARIOS, rule, note=note, is_probability=False))
    if not recorded_only:
        found += [
            judge.contender(name, said(asked), note="same delay of labels")
            for name, (package, said) in baselines.EXTERNAL.items()
            if baselines.is_installed(package)
        ]
    return found


def _delay(history: History, shown: Flags) -> tuple[list[DelayCost], list[ModelCost]]:
    asked, labels = baselines.questions(history), history.labels[shown]
    delay, costs = [], []
    for kind in reruns.kinds(history):
        late = reruns.run(kind, asked, features=history.features)
        at_once = reruns.run(kind, asked.at_once(), features=history.features)
        figures = [measures.figures(each.said[shown], labels) for each in (late, at_once)]
        delay.append(DelayCost(kind=kind, delayed=figures[0], at_once=figures[1]))
        costs.append(ModelCost(kind=kind, score_us=late.cost.score_us, learn_us=late.cost.learn_us))
    return delay, costs


def _scenario_rule(history: History, shown: Flags) -> ScenarioRule:
    yes, labels = history.recognised[shown], history.labels[shown]
    right, said_yes, positives = int((yes & labels).sum()), int(yes.sum()), int(labels.sum())
    return ScenarioRule(
        said_yes=said_yes,
        right=right,
        precision=right / said_yes if said_yes else None,
        recall=right / positives if positives else None,
        auc=measures.roc_auc(yes.astype(np.float64), labels),
    )
