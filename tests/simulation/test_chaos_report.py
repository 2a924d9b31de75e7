"""The report: verdict, counts and findings, for people and for scripts."""

import io

import orjson
from rich.console import Console

from needstream.simulation.chaos import comparison, report_table
from needstream.simulation.chaos.observations import Entry, Observation, observe
from needstream.simulation.chaos.outcomes import Hit, Outcome
from needstream.streams import topics


def observed(*identities: str) -> Observation:
    rows = [Entry(b"customer-7", b'{"customer_id": "customer-7"}', {"ce_id": each.encode()}) for each in identities]
    return observe({topics.ALERTS: rows}, changelog=())


def outcome(*identities: str, failures: tuple[str, ...] = ()) -> Outcome:
    compared = comparison.compare(observed("a1", "a2"), observed(*identities), learning=False)
    hits = [Hit("kill batch", 0.25, "working", 3.1), Hit("kill batch", 0.5, "working", 9.0)]
    return Outcome("kill", "pinned", 1_000, hits=hits, starts=3, failures=list(failures), comparison=compared)


def printed(told: Outcome) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(report_table.render(told))
    return console.export_text()


def test_a_drill_without_findings_passes() -> None:
    assert outcome("a1", "a2", "a2").passed


def test_a_drill_with_a_difference_fails() -> None:
    assert [f"{topics.ALERTS}: 1 missing"] == outcome("a1").findings


def test_a_worker_that_ends_by_itself_fails_the_drill() -> None:
    assert not outcome("a1", "a2", failures=("worker 0 ended by itself with exit code 1",)).passed


def test_a_drill_that_was_not_compared_fails() -> None:
    assert not Outcome("kill", "pinned").passed


def test_the_json_form_holds_what_was_done_and_what_was_repeated() -> None:
    told = orjson.loads(orjson.dumps(outcome("a1", "a2", "a2").as_dict()))

    assert told["passed"]
    assert [0.25, 0.5] == [hit["share"] for hit in told["hits"]]
    assert 0.333333 == told["topics"][topics.ALERTS]["duplicate_share"]


def test_the_table_says_where_kills_hit_and_what_is_wrong() -> None:
    text = printed(outcome("a1"))

    assert "FAILED" in text
    assert "25% 50%" in text
    assert f"{topics.ALERTS}: 1 missing" in text


def test_the_report_names_no_customer() -> None:
    told = outcome("a1")

    assert "customer-7" not in printed(told) + orjson.dumps(told.as_dict()).decode()
