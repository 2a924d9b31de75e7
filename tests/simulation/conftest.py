"""One population for all tests: big enough for every plant, small enough for a second or two."""

import collections
from typing import Any

import orjson
import pytest

from needstream.simulation import simulator, timeline

Events = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="session")
def simulation() -> simulator.Simulation:
    return simulator.simulate(simulator.SimulationParameters(customers=700, seed=11))


@pytest.fixture(scope="session")
def events(simulation: simulator.Simulation) -> Events:
    """The distinct events of each known customer in event-time order, with `topic` and `at_ms`."""
    found: Events = collections.defaultdict(list)
    seen = set()
    for arrival in simulation:
        event = orjson.loads(arrival.event)
        if event["event_id"] in seen or "customer_id" not in event:
            continue
        seen.add(event["event_id"])
        event["topic"] = arrival.topic
        event["at_ms"] = timeline.parse(event["event_time"])
        found[event["customer_id"]].append(event)
    for of_customer in found.values():
        of_customer.sort(key=lambda event: event["at_ms"])
    return found
