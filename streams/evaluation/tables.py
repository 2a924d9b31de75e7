"""The report for a terminal: the served scores, what they are compared with, what time does to them.

In goes a report, out come rich tables that fit a page; the page of HTML says more.
"""

from rich.table import Table

from needstream.streams.evaluation.reports import Contender, ModelReport, Report

_HALF = 0.5
_SHORT = {"LightGBM, retrained every 5 %": "LightGBM 5 %"}


def served(told: Report) -> Table:
    """One row per model; a dash where nothing could be judged."""
    table = _table("served scores, judged by matured labels")
    table.add_column("model")
    for name in ("judged", "positives", "waiting", "AUC", "PR-AUC", "log loss", "Brier", "ECE"):
        table.add_column(name, justify="right")
    for model in told.models:
        counts = (*_counts(model), "-" if model.waiting is None else f"{model.waiting:,}")
        table.add_row(model.model, *counts, *_figures(model))
    return table


def compared(told: Report, *, measure: str, title: str) -> Table:
    """One row per contender and one column per model, on the examples that the served score is judged on."""
    names = list(dict.fromkeys(each.name for model in told.models for each in model.contenders))
    known = [{each.name: each for each in model.contenders} for model in told.models]
    table = _table(title)
    table.add_column("")
    for model in told.models:
        table.add_column(model.model, justify="right")
    for name in names:
        cells = [_of(contenders.get(name), measure) for contenders in known]
        if any(cell != "-" for cell in cells):
            table.add_row(_SHORT.get(name, name), *cells)
    return table


def times(told: Report) -> Table:
    """What waiting for labels costs the champion, and how early the score was high."""
    table = _table("labels visible at half the horizon, AUC with late labels and with labels at once, lead time")
    table.caption = (
        "AUC at once is an upper bound: neighbouring questions of one customer share their label.\n"
        "The lead of a need is to the middle of the bracket in which the conversion must lie."
    )
    table.caption_justify = "left"
    for name in ("model", "visible", "AUC late", "at once", "episodes", "reached", "lead"):
        table.add_column(name, justify="left" if name == "model" else "right")
    for model in told.models:
        half = next((each.visible for each in model.ages if each.age == _HALF), None)
        delay = model.delay[0] if model.delay else None
        lead = model.lead_times[-1] if model.lead_times else None
        days = _number(lead.median_days if lead else None, places=1)
        table.add_row(
            model.model,
            "-" if half is None else f"{half:.0%} of {model.early}",
            _number(delay.delayed.auc if delay else None),
            _number(delay.at_once.auc if delay else None),
            f"{lead.episodes:,}" if lead else "-",
            f"{lead.reached:,}" if lead else "-",
            days if days == "-" else f"{days} d",
        )
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0), title_style="bold")


def _counts(model: ModelReport) -> tuple[str, str]:
    if model.is_silent:
        return "0", "0"
    figures = model.contenders[0].figures
    return f"{figures.judged:,}", f"{figures.positives:,}"


def _figures(model: ModelReport) -> list[str]:
    if model.is_silent:
        return ["-"] * 5
    told = model.contenders[0].figures
    area = _number(told.auc) if told.auc_error is None else f"{told.auc:.3f}±{told.auc_error:.2f}"
    return [area, *(_number(each) for each in (told.pr_auc, told.log_loss, told.brier, told.calibration_error))]


def _of(contender: Contender | None, measure: str) -> str:
    return "-" if contender is None else _number(getattr(contender.figures, measure))


def _number(value: float | None, *, places: int = 3) -> str:
    return "-" if value is None else f"{value:.{places}f}"
