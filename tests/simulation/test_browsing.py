"""Visits for everyday matters: many plain screens where they are asked for, and nothing else changes."""

import collections
import hashlib
import itertools
from typing import Any

import orjson
import pytest

from needstream.simulation import catalogue, parameters, simulator, timeline

SCREENS_PER_DAY = 4.0
CHOICES: dict[str, Any] = {"customers": 80, "days": 40, "seed": 3, "bots": 0, "anonymous_visitors": 0}
BYTES_WITHOUT = "91209fb188e350ba"
GAP_MS = 30 * timeline.MINUTE_MS


def clicks(screens_per_day: float) -> list[dict[str, Any]]:
    chosen = parameters.SimulationParameters(**CHOICES, screens_per_day=screens_per_day)
    arrivals = [each for each in simulator.simulate(chosen) if each.topic == "clickstream.v1"]
    return list({event["event_id"]: event for event in (orjson.loads(each.event) for each in arrivals)}.values())


@pytest.fixture(scope="module")
def sparse() -> list[dict[str, Any]]:
    return clicks(0.0)


@pytest.fixture(scope="module")
def dense() -> list[dict[str, Any]]:
    return clicks(SCREENS_PER_DAY)


def is_plain(event: dict[str, Any]) -> bool:
    if event["event_type"] == "page_view":
        return event["url"] in catalogue.GENERAL_PAGES
    if event["event_type"] == "search":
        return event["query"] in catalogue.GENERAL_QUERIES
    return event["event_type"] in ("click", "feature_use")


def test_without_further_screens_every_byte_is_what_it_was() -> None:
    digest = hashlib.sha256()
    for each in simulator.simulate(parameters.SimulationParameters(customers=60, days=60, seed=3)):
        digest.update(f"{each.arrival_ms} {each.topic} {each.key} ".encode() + each.event + b"\n")

    assert BYTES_WITHOUT == digest.hexdigest()[:16]


def test_so_many_further_screens_a_customer_and_day_are_looked_at(
    sparse: list[dict[str, Any]], dense: list[dict[str, Any]]
) -> None:
    further = sum(map(is_plain, dense)) - sum(map(is_plain, sparse))

    per_day = further / CHOICES["customers"] / CHOICES["days"]

    assert SCREENS_PER_DAY * 0.8 < per_day < SCREENS_PER_DAY * 1.2


def test_further_visits_have_about_ten_screens_at_a_persons_pace(dense: list[dict[str, Any]]) -> None:
    visits = collections.defaultdict(list)
    for event in dense:
        if is_plain(event):
            visits[event["session_id"]].append(timeline.parse(event["event_time"]))
    long = [sorted(times) for times in visits.values() if len(times) >= 6]
    pauses = sorted(after - before for times in long for before, after in itertools.pairwise(times))

    assert 9 < sum(map(len, long)) / len(long) < 12
    assert 10_000 < pauses[len(pauses) // 2] < 60_000
    assert pauses[0] > 1_000
    assert pauses[-1] < GAP_MS


def test_further_visits_do_not_look_at_products_more_often(
    sparse: list[dict[str, Any]], dense: list[dict[str, Any]]
) -> None:
    pages = [
        sum(event["event_type"] in ("page_view", "search") and not is_plain(event) for event in events)
        for events in (sparse, dense)
    ]

    assert pages[1] < pages[0] * 1.25
    assert not [event for event in dense if is_plain(event) and event.get("url", "").startswith("/loans")]


def test_bots_do_what_they_did() -> None:
    def of_bots(screens_per_day: float) -> int:
        chosen = parameters.SimulationParameters(customers=40, days=20, seed=3, screens_per_day=screens_per_day)
        events = {each.event for each in simulator.simulate(chosen)}
        return sum(orjson.loads(event)["event_id"].startswith("b") for event in events)

    assert of_bots(0.0) == of_bots(SCREENS_PER_DAY) > 0
