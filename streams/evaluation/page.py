"""The report as one page of HTML that needs nothing else: no script, no network, no customer.

In goes a report, out comes the text of the page; equal reports give equal bytes.
"""

from html import escape

from needstream.schemas.signals import ModelDecision
from needstream.streams.evaluation import charts, page_tables
from needstream.streams.evaluation.charts import Marker, Series
from needstream.streams.evaluation.page_style import CSS
from needstream.streams.evaluation.reports import (
    NO_LEARN,
    RECENCY,
    SERVED,
    Contender,
    ModelReport,
    Report,
    is_served,
)

_STYLES = {SERVED: 0, "LightGBM, retrained every 5 %": 1, "Vowpal Wabbit": 2, NO_LEARN: 3, RECENCY: 4}
_CONTESTANTS = (5, 6, 7)
"""Styles of the contestants that are drawn, those of the lowest log loss; more lines cannot be told apart."""
_SHORT = {"LightGBM, retrained every 5 %": "LightGBM 5 %", RECENCY: "recency rule"}
_DRAWN = ("promoted", "loss_drift")
_MOST_MARKERS = 20


def page(told: Report) -> str:
    """The whole page."""
    links = "".join(f'<a href="#{escape(model.model)}">{escape(model.model)}</a>' for model in told.models)
    sections = "\n".join(_section(model) for model in told.models)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>needstream: quality of the models of {escape(told.pack)}</title>
<style>{CSS}</style>
</head>
<body>
<header>
<h1>Quality of the models of {escape(told.pack)}</h1>
<p class="soft">Each score was recorded when it was given and is judged by its matured label alone, before anything
learned from that label.{_skipped(told)}</p>
<nav aria-label="models">{links}</nav>
{page_tables.overview(told)}
</header>
<main>
{sections}
</main>
<footer><h2>How to read this</h2>{_GUIDE}</footer>
</body>
</html>
"""


_GUIDE = """
<ul>
<li><b>AUC</b>: how often a positive is ranked above a negative; 0.5 is chance. The ± is one standard error and allows
for independent examples only, so take it for the least.</li>
<li><b>PR-AUC</b>: average precision; chance is the share of positives.</li>
<li><b>Log loss</b> (nats) and <b>Brier</b>: how far probabilities are from what came; lower is better. Compare with
no-learn, which always says the share of positives so far.</li>
<li><b>ECE</b>: mean distance of score and outcome over ten bins of equal mass.</li>
<li><b>Windows</b>: stretches of equally many examples, at most 20, each with at least ten of both classes on average.
The mean over windows does not reward a model for knowing how the share of positives drifts.</li>
<li><b>Baselines</b> are asked at the same moments and get each label as late as the served score did.</li>
<li><b>Label maturity</b>: what somebody would see who judged at that age and took what is not visible for the other
class. When a label became visible is estimated from the customer's neighbouring predictions.</li>
<li><b>What the delay of labels costs</b>: labels at once cannot be had, and their figures are an upper bound, because
neighbouring questions of one customer share their label. The difference is the most that waiting can cost.</li>
<li><b>Lead time</b>: from the first score over the threshold to the conversion, taken for the middle of its bracket;
for churn to the last own activity, counting scores from 60 days before it until the label was certain. Negative days:
after it. For a decline to the end of the horizon.</li>
</ul>"""


def _section(model: ModelReport) -> str:
    styles = _styles(model)
    series = [(each, styles[each.name]) for each in model.contenders if each.name in styles]
    markers = [
        Marker(page_tables.moment(event.event_time), place + 1, event.event) for place, event in enumerate(drawn(model))
    ]
    losses = charts.lines(
        "Log loss by window, lower is better",
        [_series(each, style, measure="log_loss") for each, style in series],
        markers=markers,
    )
    areas = charts.lines(
        "AUC by window, higher is better",
        [_series(each, style, measure="auc") for each, style in series],
        markers=markers,
    )
    pictures = [
        (losses, ""),
        (areas, ""),
        (charts.reliability(model.calibration), "Ten bins of equal mass with 95 % intervals; the diagonal is honest."),
        (charts.visible(model.ages, early=model.early), page_tables.maturity_note(model)),
    ]
    figures = "".join(
        f"<figure>{picture}<figcaption>{escape(told)}</figcaption></figure>" for picture, told in pictures if picture
    )
    return f"""<section id="{escape(model.model)}" aria-label="{escape(model.model)}">
<h2>{escape(model.model)} <span class="soft">{escape(model.kind)} within {escape(model.horizon)}</span></h2>
{page_tables.facts(model)}
<div class="figures">{figures}</div>
{page_tables.events(model, shown=drawn(model))}
{page_tables.contenders(model, styles=styles)}
{page_tables.delay(model)}
{page_tables.lead_times(model)}
{page_tables.slices(model)}
{page_tables.windows(model)}
</section>"""


def drawn(model: ModelReport) -> list[ModelDecision]:
    """The events that get a numbered mark, in order of time: the newest, when there are too many."""
    return [event for event in model.events if event.event in _DRAWN][-_MOST_MARKERS:]


def _styles(model: ModelReport) -> dict[str, int]:
    """The style of every line that is drawn, by name; what was served word for word lies under the served line."""
    losses = {
        each.name: each.figures.log_loss
        for each in model.contenders
        if each.group == "contestant" and each.figures.log_loss is not None and not is_served(each, model)
    }
    best = sorted(losses, key=lambda name: (losses[name], name))
    named = {each.name: _STYLES[each.name] for each in model.contenders if each.name in _STYLES}
    return named | dict(zip(best, _CONTESTANTS, strict=False))


def _series(contender: Contender, style: int, *, measure: str) -> Series:
    points = [
        ((window.from_ms + window.until_ms) // 2, value)
        for window in contender.windows
        if (value := getattr(window, measure)) is not None
    ]
    return Series(name=_SHORT.get(contender.name, contender.name), style=style, points=points)


def _skipped(told: Report) -> str:
    if told.recorded_only:
        return " Only what was recorded was judged: no baseline was trained and no contestant run again."
    if told.skipped:
        return f" Not installed and therefore left out: {escape(', '.join(told.skipped))} (extra bench)."
    return ""
