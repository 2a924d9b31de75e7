"""How well emitted signals match what was planted: recall, precision, near misses, lead time of churn alerts.

Inputs: the rows of truth.jsonl, and signals from output files or as values.  Only scenario signals are judged;
signals of the online models (scenario ``model.<need>``) are set against the latent needs and merely reported.
"""

import collections
import dataclasses
import pathlib
import statistics
from collections.abc import Iterable, Sequence
from typing import Final

from needstream.simulation import emitted, timeline, truth
from needstream.simulation.emitted import Signal

MODEL_PREFIX: Final = "model."
WARNING_MS: Final = 60 * timeline.DAY_MS
"""A churn alert counts as a warning this long before the customer is gone."""

_TOPIC_OF_KIND: Final = {
    "need": emitted.NEED_SIGNALS,
    "latent": emitted.NEED_SIGNALS,
    "churn": emitted.CHURN_ALERTS,
    "churner": emitted.CHURN_ALERTS,
    "care": emitted.ALERTS,
    "risk": emitted.ALERTS,
}


@dataclasses.dataclass(slots=True)
class ScenarioScore:
    """The score of one scenario."""

    expected: int = 0
    found: int = 0
    """Expected rows with a signal of this scenario in their window."""
    signals: int = 0
    matched: int = 0
    """Signals within the window of an expected row of their customer; the others are false alarms."""
    wrong_need: int = 0
    """Matched signals that name another need than the one planted."""
    near_misses: int = 0
    near_misses_fired: int = 0
    suppressed: dict[str, int] = dataclasses.field(default_factory=dict)
    """Expected rows without a signal that were seen but stopped, by gate; needs the decisions."""

    @property
    def recall(self) -> float | None:
        """Share of the expected rows that were found; None without any."""
        return self.found / self.expected if self.expected else None

    @property
    def precision(self) -> float | None:
        """Share of the signals that were right; None without any, and where nothing of the kind was planted.

        What nobody planted can only be counted: whether somebody is unusual has no truth.
        """
        is_judged = self.expected or self.near_misses
        return self.matched / self.signals if self.signals and is_judged else None

    @property
    def false_alarms(self) -> int:
        """Signals nothing was planted for."""
        return self.signals - self.matched


@dataclasses.dataclass(slots=True)
class ModelScore:
    """Latent needs of one kind against the signals of its model; reported, not judged."""

    latent: int = 0
    found: int = 0
    converting: int = 0
    converting_found: int = 0
    signals: int = 0
    during_latent: int = 0
    """Signals while the customer had the need."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LeadTime:
    """Days from the first churn alert within 60 days before the end to the churner's last sign of life."""

    churners: int
    warned: int
    only_afterwards: int
    """Churners with no alert before they were gone, but one after."""
    median_days: float | None
    p10_days: float | None
    p90_days: float | None
    slow_weeks: int
    slow_weeks_alerted: int
    """Customers with a few slow weeks who were taken for churners in them."""

    @property
    def warned_share(self) -> float | None:
        """Share of the churners with an alert in time; None without churners."""
        return self.warned / self.churners if self.churners else None


@dataclasses.dataclass(frozen=True, slots=True)
class Scorecard:
    """Everything there is to say about one run."""

    scenarios: dict[str, ScenarioScore]
    models: dict[str, ModelScore]
    lead_time: LeadTime
    without_consent: int
    """Signals of a kind the customer did not consent to."""
    to_bots: int

    def as_dict(self) -> dict[str, object]:
        """Return the scorecard as plain values for JSON; shares are rounded to four places."""
        return {
            "scenarios": {
                name: {
                    **dataclasses.asdict(score),
                    "false_alarms": score.false_alarms,
                    "recall": _rounded(score.recall),
                    "precision": _rounded(score.precision),
                }
                for name, score in self.scenarios.items()
            },
            "models": {name: dataclasses.asdict(score) for name, score in self.models.items()},
            "churn_lead_time": {
                **dataclasses.asdict(self.lead_time),
                "warned_share": _rounded(self.lead_time.warned_share),
            },
            "without_consent": self.without_consent,
            "to_bots": self.to_bots,
        }


def score(
    planted: Iterable[truth.Planted], signals: Iterable[Signal], *, suppressed: Iterable[Signal] = ()
) -> Scorecard:
    """Compare signals with planted truth; ``suppressed`` decisions tell why expected signals are missing."""
    rows = list(planted)
    ordered = sorted(signals, key=lambda signal: signal.event_time_ms)
    judged = [signal for signal in ordered if not signal.scenario.startswith(MODEL_PREFIX)]
    stopped = [signal for signal in suppressed if not signal.scenario.startswith(MODEL_PREFIX)]
    return Scorecard(
        scenarios=_score_scenarios(rows, judged, stopped=stopped),
        models=_score_models(rows, ordered),
        lead_time=_lead_time(rows, ordered),
        without_consent=_count_without_consent(rows, ordered),
        to_bots=_count_to_bots(rows, ordered),
    )


def score_directory(truth_path: pathlib.Path, output: pathlib.Path) -> Scorecard:
    """Compare the files of an output folder with a truth file."""
    return score(truth.read(truth_path), emitted.read_signals(output), suppressed=emitted.read_suppressed(output))


def _score_scenarios(
    rows: Sequence[truth.Planted], signals: Sequence[Signal], *, stopped: Sequence[Signal]
) -> dict[str, ScenarioScore]:
    scores: dict[str, ScenarioScore] = collections.defaultdict(ScenarioScore)
    by_row_key = _by_key(signals)
    stopped_by_key = _by_key(stopped)
    expected_rows: dict[tuple[str, str], list[truth.Planted]] = collections.defaultdict(list)
    for row in rows:
        if row.scenario is None:
            continue
        key = (row.customer_id, row.scenario)
        tally = scores[row.scenario]
        has_fired = any(_within(row, signal) for signal in by_row_key[key])
        if row.expected:
            expected_rows[key].append(row)
            tally.expected += 1
            tally.found += has_fired
            if not has_fired:
                gate = next((signal.gate for signal in stopped_by_key[key] if _within(row, signal)), None)
                if gate is not None:
                    tally.suppressed[gate] = tally.suppressed.get(gate, 0) + 1
        elif row.note != truth.NO_CONSENT:
            tally.near_misses += 1
            tally.near_misses_fired += has_fired
    for signal in signals:
        tally = scores[signal.scenario]
        tally.signals += 1
        matches = [row for row in expected_rows[signal.customer_id, signal.scenario] if _within(row, signal)]
        if matches:
            tally.matched += 1
            tally.wrong_need += signal.need is not None and all(signal.need != row.need for row in matches)
    return dict(sorted(scores.items()))


def _score_models(rows: Sequence[truth.Planted], signals: Sequence[Signal]) -> dict[str, ModelScore]:
    scores: dict[str, ModelScore] = collections.defaultdict(ModelScore)
    latent: dict[tuple[str, str], list[truth.Planted]] = collections.defaultdict(list)
    by_key = _by_key(signals)
    for row in rows:
        if row.kind == "latent" and row.need is not None and row.expected:
            latent[row.customer_id, row.need].append(row)
            tally = scores[row.need]
            found = any(_within(row, signal) for signal in by_key[row.customer_id, MODEL_PREFIX + row.need])
            converts = row.note == "converts"
            tally.latent += 1
            tally.found += found
            tally.converting += converts
            tally.converting_found += converts and found
    for signal in signals:
        if signal.scenario.startswith(MODEL_PREFIX) and signal.topic == emitted.NEED_SIGNALS:
            need = signal.scenario.removeprefix(MODEL_PREFIX)
            scores[need].signals += 1
            scores[need].during_latent += any(_within(row, signal) for row in latent[signal.customer_id, need])
    return dict(sorted(scores.items()))


def _lead_time(rows: Sequence[truth.Planted], signals: Sequence[Signal]) -> LeadTime:
    alerts: dict[str, list[int]] = collections.defaultdict(list)
    for signal in signals:
        if signal.topic == emitted.CHURN_ALERTS:
            alerts[signal.customer_id].append(signal.event_time_ms)
    leads, churners, afterwards, slow, slow_alerted = [], 0, 0, 0, 0
    for row in rows:
        if row.kind != "churner":
            continue
        times = alerts[row.customer_id]
        if row.churned_at_ms is None:
            slow += 1
            slow_alerted += any(row.expected_from_ms <= time <= row.expected_until_ms for time in times)
        elif row.expected:
            churners += 1
            first = row.churned_at_ms - WARNING_MS
            in_time = [time for time in times if first <= time <= row.churned_at_ms]
            if in_time:
                leads.append((row.churned_at_ms - min(in_time)) / timeline.DAY_MS)
            else:
                afterwards += any(time > row.churned_at_ms for time in times)
    enough = len(leads) > 1
    tenths = statistics.quantiles(leads, n=10, method="inclusive") if enough else leads * 9
    return LeadTime(
        churners=churners,
        warned=len(leads),
        only_afterwards=afterwards,
        median_days=round(statistics.median(leads), 2) if leads else None,
        p10_days=round(tenths[0], 2) if leads else None,
        p90_days=round(tenths[-1], 2) if leads else None,
        slow_weeks=slow,
        slow_weeks_alerted=slow_alerted,
    )


def _count_without_consent(rows: Sequence[truth.Planted], signals: Sequence[Signal]) -> int:
    refused = {(row.customer_id, _TOPIC_OF_KIND[row.kind]) for row in rows if row.note == truth.NO_CONSENT}
    return sum((signal.customer_id, signal.topic) in refused for signal in signals)


def _count_to_bots(rows: Sequence[truth.Planted], signals: Sequence[Signal]) -> int:
    bots = [row for row in rows if row.kind == "bot"]
    by_customer: dict[str, list[Signal]] = collections.defaultdict(list)
    for signal in signals:
        by_customer[signal.customer_id].append(signal)
    return sum(_within(row, signal) for row in bots for signal in by_customer[row.customer_id])


def _by_key(signals: Iterable[Signal]) -> dict[tuple[str, str], list[Signal]]:
    found: dict[tuple[str, str], list[Signal]] = collections.defaultdict(list)
    for signal in signals:
        found[signal.customer_id, signal.scenario].append(signal)
    return found


def _within(row: truth.Planted, signal: Signal) -> bool:
    return row.expected_from_ms <= signal.event_time_ms <= row.expected_until_ms


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
