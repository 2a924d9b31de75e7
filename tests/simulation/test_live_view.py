"""The demo shows throughput, lag, signals with their reason, silence with its gate, and quality beside the baseline."""

import io

from rich.console import Console

from needstream.simulation import live_view
from needstream.simulation.stage import Progress


def _progress() -> Progress:
    progress = Progress(title="bank", total=200, sent=100, records=80.0, applied_ms=1_735_689_600_000, restarts=2)
    progress.signals.append(
        {
            "event_time": "2025-01-01T10:00:00.000Z",
            "kind": "need",
            "need": "loan",
            "customer_id": "c1",
            "score": 0.42,
            "scenario": "repeated_loan_queries",
            "explanation": {"en": "Looked at loans again and again."},
        }
    )
    progress.by_scenario["repeated_loan_queries"] += 1
    progress.suppressed["consent"] += 3
    progress.quality["loan"] = {"examples": 1200.0, "auc": 0.7512, "log_loss": 0.21, "baseline_log_loss": 0.25}
    return progress


def _shown(progress: Progress) -> str:
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(live_view.render(progress, 4711))
    return console.export_text()


def test_the_view_says_what_came_what_was_said_and_what_was_not() -> None:
    shown = _shown(_progress())

    for words in (
        "event time 2025-01-01",
        "sent 100 of 200 (50%)",
        "lag 20",
        "worker pid 4711",
        "started again 2 times",
        "Looked at loans again and again.",
        "42%",
        "consent",
        "0.751",
        "0.250",
    ):
        assert words in shown, words


def test_before_the_first_signal_the_view_says_that_it_waits() -> None:
    assert "waiting for the first one" in _shown(Progress(title="bank"))


def test_one_line_is_enough_where_there_is_no_terminal() -> None:
    line = live_view.plain_line(_progress())

    assert "event time 2025-01-01" in line
    assert "lag 20" in line
    assert "signals 1" in line
