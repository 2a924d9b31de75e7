"""A scorecard as tables for a terminal."""

import rich.box
import rich.console
import rich.table

from needstream.simulation import scorecard

_DASH = "-"


def render(card: scorecard.Scorecard) -> rich.console.Group:
    """Return the tables: scenarios, latent needs, churn lead time, and what must be zero."""
    return rich.console.Group(_scenarios(card), _models(card), _totals(card))


def _scenarios(card: scorecard.Scorecard) -> rich.table.Table:
    table = _table("Scenarios against planted truth", "scenario")
    for heading in ("planted", "recall", "fired", "precision", "near miss", "stopped"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, tally in card.scenarios.items():
        stopped = ", ".join(f"{gate} {count}" for gate, count in sorted(tally.suppressed.items()))
        table.add_row(
            name,
            str(tally.expected),
            _share(tally.recall),
            str(tally.signals),
            _share(tally.precision),
            f"{tally.near_misses_fired} of {tally.near_misses}",
            stopped or _DASH,
        )
    return table


def _models(card: scorecard.Scorecard) -> rich.table.Table:
    table = _table("Latent needs and model signals (reported, not judged)", "need")
    for heading in ("latent", "found", "converting", "found", "fired", "while latent"):
        table.add_column(heading, justify="right")
    for name, tally in card.models.items():
        counts = (tally.latent, tally.found, tally.converting, tally.converting_found)
        table.add_row(name, *map(str, counts), str(tally.signals), str(tally.during_latent))
    return table


def _totals(card: scorecard.Scorecard) -> rich.table.Table:
    lead = card.lead_time
    table = _table("Churn alerts and guards", "")
    table.add_column("", justify="right")
    table.add_row("churners warned before they left", f"{lead.warned} of {lead.churners} ({_share(lead.warned_share)})")
    table.add_row("lead time in days: median", _days(lead.median_days))
    table.add_row("lead time in days: p10 / p90", f"{_days(lead.p10_days)} / {_days(lead.p90_days)}")
    table.add_row("churners alerted only afterwards", str(lead.only_afterwards))
    table.add_row("slow weeks taken for churn", f"{lead.slow_weeks_alerted} of {lead.slow_weeks}")
    table.add_row("signals without consent", str(card.without_consent))
    table.add_row("signals to bots", str(card.to_bots))
    return table


def _table(title: str, first: str) -> rich.table.Table:
    table = rich.table.Table(
        title=title, title_justify="left", box=rich.box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0)
    )
    table.add_column(first, no_wrap=True)
    return table


def _share(share: float | None) -> str:
    return _DASH if share is None else f"{share:.1%}"


def _days(days: float | None) -> str:
    return _DASH if days is None else f"{days:.1f}"
