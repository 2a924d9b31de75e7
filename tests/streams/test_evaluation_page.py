"""The page stands alone, names nobody, and is equal for equal input."""

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from evaluating import BEGIN, DAY, history
from needstream.schemas.signals import ModelDecision
from needstream.schemas.times import rfc3339
from needstream.streams.evaluation import charts, page, reports, tables
from needstream.streams.evaluation.charts import Marker, Series
from needstream.streams.evaluation.reports import Report


def promoted(day: int) -> ModelDecision:
    return ModelDecision(
        decision_id=f"{day}",
        model="loan",
        event="promoted",
        champion="linear",
        previous="pair",
        detail="linear has the lower matured log loss <so far>",
        examples=200,
        figures={"saved": 0.01},
        event_time=rfc3339(BEGIN + day * DAY),
    )


def told(**others: object) -> Report:
    labels = [place % 5 == 0 for place in range(400)]
    served = [None if place < 50 else 0.2 + 0.1 * (place % 7 == 0) for place in range(400)]
    tiers = tuple("gold" if place % 2 else "private" for place in range(400))
    made = history(
        labels,
        served=served,
        customers=[place // 4 for place in range(400)],
        contestants={"linear": np.full(400, 0.25)},
        slices={"tier": tiers},
        events=(promoted(100), promoted(101)),
        waiting=12,
        quarantined={"suspected_bot": 3},
        **others,
    )
    return reports.report([made], pack="bank-1.0.0", recorded_only=True)


def test_equal_input_gives_equal_bytes() -> None:
    assert page.page(told()) == page.page(told())
    assert reports.encoded(told()) == reports.encoded(told())


def test_the_page_needs_nothing_else() -> None:
    text = page.page(told())

    assert [] == re.findall(r"<script|<link|<img|@import|url\(|https?://", text)


def test_every_picture_is_well_formed_and_tells_its_figures() -> None:
    pictures = re.findall(r'<svg class="chart".*?</svg>', page.page(told()))

    assert 4 == len(pictures)
    assert [] == [each for each in pictures if not ElementTree.fromstring(each).get("aria-label")]


def test_words_from_outside_are_escaped() -> None:
    text = page.page(told())

    assert "&lt;so far&gt;" in text
    assert "<so far>" not in text


def test_slices_quarantine_and_waiting_are_told() -> None:
    text = page.page(told())

    assert [] == [
        word for word in ("tier: gold", "3 suspected bot", "12 still waiting", "promoted") if word not in text
    ]


def test_a_silent_model_is_shown_beside_its_baselines_all_the_same() -> None:
    labels = [place % 5 == 0 for place in range(400)]
    silent = reports.report([history(labels, served=[None] * 400)], pack="p", recorded_only=True)

    assert silent.models[0].is_silent
    assert [200] == list({each.figures.judged for each in silent.models[0].contenders})
    assert "too few examples" in page.page(silent)


def test_costs_are_left_out_of_what_must_be_equal() -> None:
    labels = [place % 5 == 0 for place in range(120)]
    measured = reports.report([history(labels)], pack="p")

    assert ["pair"] == [cost.kind for cost in measured.models[0].costs]
    assert b"_us" not in reports.encoded(measured)


def test_names_of_lines_that_end_together_do_not_cover_each_other() -> None:
    series = [Series(name=f"n{style}", style=style, points=[(0, 1.0), (DAY, 2.0)]) for style in range(8)]
    picture = charts.lines("t", series)

    heights = sorted(float(y) for y in re.findall(r'class="name s\d" x="[\d.]+" y="([\d.]+)"', picture))
    assert 8 == len(heights)
    assert min(after - before for before, after in itertools.pairwise(heights)) >= 13


def test_marks_that_come_close_are_put_on_two_rows() -> None:
    series = [Series(name="a", style=0, points=[(0, 1.0), (100 * DAY, 2.0)])]
    picture = charts.lines("t", series, markers=[Marker(50 * DAY, 1, "promoted"), Marker(51 * DAY, 2, "loss_drift")])

    assert 2 == len(set(re.findall(r'<circle class="event [a-z_]+" cx="[\d.]+" cy="(\d+)"', picture)))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0.0, 0.25, 0.5, 0.75, 1.0]),
        (0.021, 0.039, [0.02, 0.025, 0.03, 0.035, 0.04]),
        (0.5, 0.5, [0.4, 0.6]),
        (0.5, 0.5000000000000001, [0.4, 0.6]),
        (0.0, 1e-16, [0.0, 0.025]),
    ],
)
def test_ticks_are_round_and_enclose_everything(low: float, high: float, expected: list[float]) -> None:
    found = charts.ticks(low, high)

    assert found[0] <= low
    assert found[-1] >= high
    assert expected == found


@pytest.mark.parametrize("span", [1e-16, 1e-12, 2e-9, 1e-8, 1e-7])
def test_lines_of_next_to_equal_values_are_drawn(span: float) -> None:
    picture = charts.lines("t", [Series(name="a", style=0, points=[(0, 0.5), (DAY, 0.5 + span)])])

    assert ElementTree.fromstring(picture).tag == "svg"


def test_labels_at_once_are_called_an_upper_bound_and_leads_of_needs_an_estimate() -> None:
    customers = [place // 4 for place in range(400)]
    labels = [place % 5 == 0 for place in range(400)]
    measured = reports.report([history(labels, served=[0.6] * 400, customers=customers)], pack="p")
    text = page.page(measured)
    terminal = str(tables.times(measured).caption)

    assert "At once is an upper bound: neighbouring questions of one customer share their label" in text
    assert "the middle of the bracket" in text
    assert "upper bound" in terminal
    assert "The lead of a need is to the middle of the bracket" in terminal
