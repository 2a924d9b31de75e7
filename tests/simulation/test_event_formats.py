import collections
import itertools
import re
from typing import Any

from needstream.schemas import codecs, dead_letters
from needstream.simulation import simulator, timeline

Events = dict[str, list[dict[str, Any]]]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_AMOUNT = re.compile(r"-?\d+\.\d\d")


def test_every_event_is_accepted_by_the_decoder(simulation: simulator.Simulation) -> None:
    latest_ms = simulation.parameters.end_ms
    rejected = [
        decoded
        for arrival in simulation
        for decoded in [
            codecs.decode(
                arrival.event, family=arrival.topic.split(".")[0], latest_ms=latest_ms, key=arrival.key.encode()
            )
        ]
        if isinstance(decoded, dead_letters.Rejected)
    ]

    assert [] == rejected


def test_every_customer_starts_with_a_profile_and_consents(events: Events) -> None:
    for customer_id, of_customer in events.items():
        if not customer_id.startswith("c9"):  # The bots' ids are not customers.
            kinds = [event["event_type"] for event in of_customer[:3]]
            assert ["profile", "consent", "consent"] == kinds


def test_about_nine_in_ten_customers_consent_to_marketing(events: Events) -> None:
    asked = [event["status"] for rows in events.values() for event in rows if event.get("purpose") == "marketing"]

    assert 0.88 < asked.count("GRANTED") / 700 < 0.96
    assert asked.count("DENIED") > 0
    assert len(asked) < 700


def test_times_and_amounts_are_written_in_one_way(events: Events) -> None:
    for of_customer in events.values():
        for event in of_customer:
            assert _TIME.fullmatch(event["event_time"])
            if event["topic"] == "transactions.v1":
                assert _AMOUNT.fullmatch(event["amount"])
                assert len(event["currency"]) == 3


def test_account_moving_transactions_carry_the_balance(events: Events) -> None:
    without = {
        event["event_type"]
        for rows in events.values()
        for event in rows
        if event["topic"] == "transactions.v1" and "balance_after" not in event
    }

    assert without <= {"application"}


def test_balances_add_up_to_the_cent(events: Events) -> None:
    incoming = {"deposit", "transfer_in", "refund", "interest", "loan_disbursement", "investment_sell"}
    for of_customer in events.values():
        moves = [event for event in of_customer if "balance_after" in event]
        for before, after in itertools.pairwise(moves):
            expected = _minor(before["balance_after"])
            if after["event_type"] != "balance":
                expected += _minor(after["amount"]) * (1 if after["event_type"] in incoming else -1)
            assert expected == _minor(after["balance_after"])
            assert before["at_ms"] < after["at_ms"]


def test_an_anonymous_visit_is_joined_to_the_customer_who_logs_in(simulation: simulator.Simulation) -> None:
    """Browsing before login is keyed by the anonymous id; `identify` names both and is keyed by the customer."""
    anonymous = {arrival.key for arrival in simulation if arrival.key.startswith("a")}
    joined = [arrival for arrival in simulation if b'"identify"' in arrival.event]

    assert len(anonymous) > 100
    assert anonymous == {_anonymous_id(arrival.event) for arrival in joined}
    assert all(arrival.key.startswith("c") for arrival in joined)


def _anonymous_id(raw: bytes) -> str:
    event = codecs.decode(raw, family="clickstream", latest_ms=timeline.parse("2100-01-01T00:00:00Z"))
    assert not isinstance(event, dead_letters.Rejected)
    return event.anonymous_id or ""


def test_event_ids_are_unique_apart_from_the_producers_duplicates(simulation: simulator.Simulation) -> None:
    by_event = collections.defaultdict(set)
    for arrival in simulation:
        by_event[_event_id(arrival.event)].add((arrival.topic, arrival.key, arrival.event))

    assert all(len(versions) == 1 for versions in by_event.values())


def _event_id(raw: bytes) -> bytes:
    found = re.search(rb'"event_id":"([^"]+)"', raw)
    assert found
    return found[1]


def _minor(amount: str) -> int:
    return round(float(amount) * 100)
