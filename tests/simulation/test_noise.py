import collections

import orjson

from needstream.simulation import catalogue, simulator, timeline


def _delays(simulation: simulator.Simulation) -> list[tuple[int, dict[str, str]]]:
    """Delay and event of the first arrival of each event."""
    seen, found = set(), []
    for arrival in simulation:
        event = orjson.loads(arrival.event)
        if event["event_id"] not in seen:
            seen.add(event["event_id"])
            found.append((arrival.arrival_ms - timeline.parse(event["event_time"]), event))
    return found


def test_arrivals_come_in_order_and_never_before_the_event(simulation: simulator.Simulation) -> None:
    times = [arrival.arrival_ms for arrival in simulation]

    assert sorted(times) == times
    assert min(delay for delay, _ in _delays(simulation)) > 0


def test_about_one_in_a_hundred_is_late_by_up_to_ten_minutes(simulation: simulator.Simulation) -> None:
    delays = [delay for delay, _ in _delays(simulation)]
    late = [delay for delay in delays if 5_000 < delay <= 10 * timeline.MINUTE_MS]

    assert 0.007 < len(late) / len(delays) < 0.013


def test_only_views_of_general_pages_are_hours_late(simulation: simulator.Simulation) -> None:
    very_late = [event for delay, event in _delays(simulation) if delay > 15 * timeline.MINUTE_MS]

    assert 1 <= len(very_late) < 60
    assert all(event["url"] in catalogue.GENERAL_PAGES for event in very_late)


def test_duplicates_repeat_the_same_bytes_soon_after(simulation: simulator.Simulation) -> None:
    arrivals = collections.defaultdict(list)
    for arrival in simulation:
        arrivals[arrival.event].append(arrival.arrival_ms)
    gaps = [times[1] - times[0] for times in arrivals.values() if len(times) > 1]

    assert max(map(len, arrivals.values())) == 2
    assert 0.003 < len(gaps) / len(arrivals) < 0.007
    assert max(gaps) <= 90_000


def test_bots_view_hundreds_of_pages_within_minutes(simulation: simulator.Simulation) -> None:
    views = collections.defaultdict(list)
    for arrival in simulation:
        event = orjson.loads(arrival.event)
        if event["event_id"].startswith("b"):
            views[event["session_id"]].append((timeline.parse(event["event_time"]), event["dwell_ms"]))

    assert len(views) == simulation.parameters.bots
    for of_bot in views.values():
        times = [at_ms for at_ms, _ in of_bot]
        assert len(times) >= 200
        assert max(times) - min(times) < 10 * timeline.MINUTE_MS
        assert max(dwell for _, dwell in of_bot) < 200
