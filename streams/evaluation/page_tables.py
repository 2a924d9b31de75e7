"""The tables and sentences of the report page.

In goes a report, out comes HTML; numbers have as many places as they can bear, and every table says what it shows.
"""

from collections.abc import Mapping, Sequence
from html import escape

from needstream.schemas.signals import ModelDecision
from needstream.schemas.times import parse_rfc3339, rfc3339
from needstream.streams.evaluation import charts
from needstream.streams.evaluation.measures import Figures, Window
from needstream.streams.evaluation.reports import Contender, ModelReport, Report, is_served

_Cells = Sequence[str]
_MEASURES = ("AUC", "±", "PR-AUC", "log loss", "Brier", "ECE")
_BEST = " class='best'"
_SIGNS = ("-", charts.DASH)
_ENDS = {"positives": "the conversion", "negatives": "the last own activity", "": "the end of the horizon"}
_ESTIMATED = (
    " When that was is not recorded: it is taken for the middle of the bracket that the customer's neighbouring "
    "predictions leave."
)
_NOISY = 30
"""Positives below which the figures are said to be mostly chance."""


def moment(text: str) -> int:
    """Milliseconds of a time in a record."""
    return parse_rfc3339(text)


def number(value: float | None, places: int = 3) -> str:
    """A figure, a dash for none."""
    return charts.DASH if value is None else f"{value:.{places}f}"


def overview(told: Report) -> str:
    """One row per model: its served score beside the share of positives and the best other one."""
    rows = []
    for model in told.models:
        served = model.contenders[0] if not model.is_silent else None
        base = next(each for each in model.contenders if each.name == "no-learn")
        counts = (
            f"{model.examples:,}",
            f"{served.figures.judged:,}" if served else "0",
            f"{served.figures.positives if served else 0:,}",
            charts.DASH if model.waiting is None else f"{model.waiting:,}",
        )
        figures = _figures(served.figures if served else None)
        best = _best_other(model)
        rows.append(((model.model, *counts, *figures, number(base.figures.log_loss), best), ""))
    head = ("model", "examples", "judged", "positives", "waiting", *_MEASURES, "no-learn log loss", "lowest other loss")
    return _table("The served score, all judged examples together.", head, rows=rows)


def facts(model: ModelReport) -> str:
    """What was judged, and what was left out."""
    days = f"asked from {model.first_asked[:10]} to {model.last_asked[:10]}"
    told = [f"{model.examples:,} matured examples ({model.positives:,} positive), {days}"]
    told.append(f"{model.cold:,} without a score (the model was cold or abstained)")
    if model.waiting is not None:
        told.append(f"{model.waiting:,} still waiting for their label")
    if model.quarantined:
        reasons = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in model.quarantined.items())
        told.append(f"in quarantine: {reasons}")
    text = f"<p>{escape('; '.join(told))}.</p>"
    if model.is_silent:
        warning = "The served score was there for too few examples. The others are compared on the newer half of all."
        return text + f'<p class="warn">{warning}</p>'
    if (positives := model.contenders[0].figures.positives) < _NOISY:
        text += f'<p class="warn">Only {positives} judged positives: differences between rows are mostly chance.</p>'
    return text


def maturity_note(model: ModelReport) -> str:
    """Why one class shows early."""
    if not model.ages:
        return ""
    late = "negatives" if model.early == "positives" else "positives"
    return f"The {late} are certain at the end of the horizon ({model.horizon}) only."


def events(model: ModelReport, *, shown: Sequence[ModelDecision]) -> str:
    """What the numbered marks of the pictures mean, and the other events counted."""
    if not model.events:
        return ""
    rows = [
        f"<li>{event.event_time[:10]}: {escape(event.event.replace('_', ' '))}, {escape(_change(event))}</li>"
        for event in shown
    ]
    others = len(model.events) - len(shown)
    more = f'<p class="soft">Not drawn: {others:,} (gaps between slices, or older ones).</p>' if others else ""
    return f"<h3>Champions and drift</h3><ol>{''.join(rows)}</ol>{more}" if rows else more


def contenders(model: ModelReport, *, styles: Mapping[str, int]) -> str:
    """The served score beside everything it is compared with."""
    lowest = _least([each.figures.log_loss for each in model.contenders])
    rows = []
    for each in model.contenders:
        windows = (number(each.window_auc), number(each.window_log_loss))
        cells = (each.name, f"{each.figures.judged:,}", *_figures(each.figures), *windows)
        marks = "served" if each.group == "served" else ""
        rows.append((cells, marks))
    head = ("", "judged", *_MEASURES, "AUC, windows", "log loss, windows")
    names = {
        each.name: _swatch(styles.get(each.name))
        + _named(each, "this was served" if is_served(each, model) else each.note)
        for each in model.contenders
    }
    best = {(each.name, head.index("log loss")) for each in model.contenders if each.figures.log_loss == lowest}
    rule = model.scenarios
    said = ""
    if rule is not None:
        said = (
            f"<p>Scenarios only: they recognised something before {rule.said_yes:,} of the predictions, rightly before "
            f"{rule.right:,}: precision {number(rule.precision, 2)}, recall {number(rule.recall, 2)}.</p>"
        )
    told = "On the same examples; the lowest log loss is underlined. Windows: the mean over them."
    return "<h3>Beside baselines and contestants</h3>" + _table(told, head, rows=rows, names=names, best=best) + said


def delay(model: ModelReport) -> str:
    """What waiting for the labels costs."""
    if not model.delay:
        return ""
    rows = []
    for each in model.delay:
        for name, figures in (("true delay", each.delayed), ("at once", each.at_once)):
            rows.append(((f"{each.kind}, {name}", *_figures(figures)), ""))
    told = (
        "The same contestants run again over the same examples, told each label when it was known, and at once. "
        "At once is an upper bound: neighbouring questions of one customer share their label, so the label of one "
        "gives that of the next away."
    )
    costs = "; ".join(
        f"{cost.kind} {cost.score_us:.0f} µs per score and {cost.learn_us:.0f} µs per lesson" for cost in model.costs
    )
    # On a line of its own: it is the only part of the page that is never equal twice.
    cost = f'\n<p class="soft">Processor time here: {escape(costs)}.</p>\n' if costs else ""
    return "<h3>What the delay of labels costs</h3>" + _table(told, ("", *_MEASURES), rows=rows) + cost


def lead_times(model: ModelReport) -> str:
    """How early the score was high."""
    if not model.lead_times:
        return ""
    end = _ENDS[model.early]
    rows = []
    for each in model.lead_times:
        days = [number(value, 1) for value in (each.median_days, each.p10_days, each.p90_days, each.before_label_days)]
        counts = (f"{each.episodes:,}", f"{each.reached:,}", f"{each.called:,}", f"{each.right:,}")
        rows.append(((f"{each.rule}: {each.threshold:.3g}", *counts, *days), ""))
    head = ("threshold", "episodes", "reached", "scores over it", "of them right")
    days_head = ("median days", "10th percentile", "90th", "to label, median")
    told = f"Days from the first score over the threshold to {end}.{_ESTIMATED if model.early == 'positives' else ''}"
    return "<h3>Lead time</h3>" + _table(told, (*head, *days_head), rows=rows)


def slices(model: ModelReport) -> str:
    """The parts of the customers, with gaps."""
    if not model.slices:
        return ""
    gaps: dict[tuple[str, str], list[str]] = {}
    for gap in model.gaps:
        told = f"{gap.measure.replace('_', ' ')} {gap.here:.3f} against {gap.elsewhere:.3f}"
        gaps.setdefault((gap.attribute, gap.value), []).append(told)
    rows = []
    for each in model.slices:
        figures = (number(each.mean_score), number(each.positives / each.examples), number(each.auc))
        worse = "; ".join(gaps.get((each.attribute, each.value), ()))
        counts = (f"{each.examples:,}", f"{each.positives:,}")
        name = f"{each.attribute.replace('_', ' ')}: {each.value}"
        rows.append(((name, *counts, *figures, number(each.log_loss), f"{each.rate:.1%}", worse), ""))
    head = ("slice", "judged", "positives", "said", "came", "AUC", "log loss", "over threshold", "gap")
    return "<h3>Slices</h3>" + _table("Newest judged examples by part of the customers.", head, rows=rows)


def windows(model: ModelReport) -> str:
    """The numbers behind the first two pictures."""
    rows = [
        ((each.name, _day(window.from_ms), _day(window.until_ms), *_window(window)), "")
        for each in model.contenders
        for window in each.windows
    ]
    head = ("", "from", "until", "judged", "positives", "AUC", "PR-AUC", "log loss", "Brier")
    table = _table("Every window of every row above.", head, rows=rows)
    return f"<details><summary>Figures by window</summary>{table}</details>"


def _swatch(style: int | None) -> str:
    return "<span class='swatch'></span>" if style is None else charts.swatch(style)


def _named(contender: Contender, note: str) -> str:
    small = f"<small>{escape(note)}</small>" if note else ""
    return escape(contender.name) + small


def _best_other(model: ModelReport) -> str:
    known = [
        (each.figures.log_loss, each.name)
        for each in model.contenders
        if each.figures.log_loss is not None and each.group != "served" and not is_served(each, model)
    ]
    return "{1} {0:.3f}".format(*min(known)) if known else charts.DASH


def _figures(figures: Figures | None) -> _Cells:
    if figures is None:
        return (charts.DASH,) * len(_MEASURES)
    error = number(figures.auc_error, 2)
    rest = (figures.pr_auc, figures.log_loss, figures.brier, figures.calibration_error)
    return (number(figures.auc), error, *(number(each) for each in rest))


def _window(window: Window) -> _Cells:
    figures = (window.auc, window.pr_auc, window.log_loss, window.brier)
    return (f"{window.judged:,}", f"{window.positives:,}", *(number(each) for each in figures))


def _day(at_ms: int) -> str:
    return rfc3339(at_ms)[:10]


def _least(losses: Sequence[float | None]) -> float | None:
    return min((loss for loss in losses if loss is not None), default=None)


def _change(event: ModelDecision) -> str:
    figures = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in sorted(event.figures.items()))
    return f"{event.detail} ({figures})" if figures else event.detail


def _table(
    caption: str,
    head: _Cells,
    *,
    rows: Sequence[tuple[_Cells, str]],
    names: Mapping[str, str] | None = None,
    best: set[tuple[str, int]] | None = None,
) -> str:
    kinds = [_kind([cells[place] for cells, _ in rows]) for place in range(len(head))]
    heads = "".join(f"<th{kind} scope='col'>{escape(name)}</th>" for kind, name in zip(kinds, head, strict=True))
    body = []
    for cells, style in rows:
        first = (names or {}).get(cells[0]) or escape(cells[0])
        others = "".join(
            f"<td{_BEST if (cells[0], place) in (best or ()) else kinds[place]}>{escape(cell)}</td>"
            for place, cell in enumerate(cells[1:], start=1)
        )
        body.append(f"<tr class='{style}'><th scope='row'>{first}</th>{others}</tr>")
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _kind(cells: _Cells) -> str:
    """Words stand at the left of their column, figures at the right."""
    is_text = any(cell and not cell[0].isdigit() and cell[0] not in _SIGNS for cell in cells)
    return " class='text'" if is_text else ""
