"""What counts as equal: a set of ids with their payloads, states by field, and each example learned once."""

from typing import Any

import orjson

from needstream.schemas import pending, state
from needstream.simulation.chaos import comparison
from needstream.simulation.chaos.observations import Entry, Observation, observe
from needstream.streams import topics

EARLY, LATE = "2025-03-01T09:00:00.000Z", "2025-03-01T10:00:00.000Z"


def output(identity: str, **fields: Any) -> Entry:
    return Entry(b"c1", orjson.dumps({"customer_id": "c1", **fields}), {"ce_id": identity.encode()})


def example(identity: str, model: str = "loan", **fields: Any) -> Entry:
    return output(identity, model=model, label=True, **fields)


def snapshot(model: str, version: int) -> Entry:
    return Entry(model.encode(), orjson.dumps({"model": model, "version": version, "examples": version}))


def stored(customer_id: str = "c1", **fields: Any) -> Entry:
    remembered = state.new_customer(customer_id, 1)
    for name, part in fields.items():
        setattr(remembered, name, part)
    return Entry(customer_id.encode(), state.snapshot(remembered))


def seen(changelog: tuple[Entry, ...] = (), **records: list[Entry]) -> Observation:
    by_topic = {
        {"decisions": topics.DECISIONS, "examples": topics.LABELLED_EXAMPLES, "models": topics.MODEL_SNAPSHOTS}.get(
            name, name
        ): entries
        for name, entries in records.items()
    }
    return observe(by_topic, changelog=changelog)


def findings(expected: Observation, actual: Observation, *, learning: bool = False) -> list[str]:
    return comparison.compare(expected, actual, learning=learning).findings


def test_what_was_sent_twice_is_equal_and_counted() -> None:
    once, twice = seen(decisions=[output("d1", gate="none")]), seen(decisions=[output("d1", gate="none")] * 2)

    compared = comparison.compare(once, twice, learning=False)

    assert [] == compared.findings
    assert 0.5 == compared.topics[topics.DECISIONS].duplicate_share


def test_processing_time_does_not_count() -> None:
    one, other = (seen(decisions=[output("d1", decided_at=at)]) for at in (EARLY, LATE))

    assert [] == findings(one, other)


def test_what_is_missing_and_what_is_extra_is_counted() -> None:
    expected = seen(decisions=[output("d1"), output("d2")])
    actual = seen(decisions=[output("d2"), output("d3"), output("d4")])

    assert [f"{topics.DECISIONS}: 1 missing; 2 extra"] == findings(expected, actual)


def test_a_changed_payload_names_its_fields_and_no_customer() -> None:
    expected = seen(decisions=[output("d1", gate="none", detail="")])
    actual = seen(decisions=[output("d1", gate="consent", detail="")])

    assert [f"{topics.DECISIONS}: fields gate x1"] == findings(expected, actual)


def test_one_id_with_two_payloads_contradicts_itself() -> None:
    expected = seen(decisions=[output("d1", gate="none")])
    actual = seen(decisions=[output("d1", gate="none"), output("d1", gate="consent")])

    assert [f"{topics.DECISIONS}: 1 contradicting; fields gate x1"] == findings(expected, actual)


def test_a_dead_letter_is_known_by_where_its_record_came_from() -> None:
    def letter(offset: int) -> Entry:
        origin = {"topic": b"clickstream.v1", "partition": b"0", "offset": str(offset).encode()}
        return Entry(None, b"{", {f"__streams.errors.{name}": part for name, part in origin.items()})

    one = observe({topics.DEAD_LETTERS: [letter(1), letter(2)]}, changelog=())
    again = observe({topics.DEAD_LETTERS: [letter(1), letter(2), letter(2)]}, changelog=())

    assert {"clickstream.v1/0/1", "clickstream.v1/0/2"} == set(one.outputs[topics.DEAD_LETTERS])
    assert [] == findings(one, again)


def test_event_time_that_goes_back_for_a_customer_is_found() -> None:
    in_order = seen(decisions=[output("d1", event_time=EARLY), output("d2", event_time=LATE)])
    swapped = seen(decisions=[output("d2", event_time=LATE), output("d1", event_time=EARLY)])

    assert [] == findings(in_order, in_order)
    assert [f"{topics.DECISIONS}: event time of a customer went back 1 times"] == findings(in_order, swapped)


def test_a_repetition_does_not_break_the_order() -> None:
    rows = [output("d1", event_time=EARLY), output("d2", event_time=LATE), output("d1", event_time=EARLY)]

    assert 0 == seen(decisions=rows).disorder[topics.DECISIONS]


def test_the_newest_state_of_a_customer_counts_and_a_removed_one_is_gone() -> None:
    observed = seen((stored(clock_ms=5), stored(clock_ms=9), stored("c2"), Entry(b"c2", None)))

    assert {b"c1": 9} == {key: fields["clock_ms"] for key, fields in observed.states.items()}


def test_states_differ_by_field() -> None:
    expected, actual = seen((stored(clock_ms=5),)), seen((stored(clock_ms=6, active_ms=6),))

    assert ["customer states: 1 differing; fields active_ms x1, clock_ms x1"] == findings(expected, actual)


def test_applied_offsets_count_by_what_they_say_of_the_customers_own_records() -> None:
    origin = f"{topics.CLICKSTREAM}-0"
    delivered = [Entry(b"c1", b"{}", origin=origin, offset=offset) for offset in (4, 6, 7)]
    folded, apart, behind = (
        observe({topics.CLICKSTREAM: delivered}, changelog=[stored(applied={0: offsets})])
        for offsets in ([9], [4, 6, 7], [4, 6])
    )

    assert {origin: 0} == folded.states[b"c1"]["applied"]
    assert [] == findings(folded, apart)
    assert ["customer states: 1 differing; fields applied x1"] == findings(folded, behind)


def test_a_dead_letter_is_applied_to_nobody() -> None:
    origin = f"{topics.CLICKSTREAM}-0"
    headers = {"topic": topics.CLICKSTREAM.encode(), "partition": b"0", "offset": b"4"}
    letter = Entry(b"c1", b"{", {f"__streams.errors.{name}": part for name, part in headers.items()})
    records = {topics.CLICKSTREAM: [Entry(b"c1", b"{", origin=origin, offset=4)], topics.DEAD_LETTERS: [letter]}

    assert {} == observe(records, changelog=[stored()]).states[b"c1"]["applied"]


def test_a_state_that_cannot_be_read_is_a_finding() -> None:
    damaged = seen((Entry(b"c1", b"\x00"),))

    assert ["customer states: 1 unreadable"] == findings(seen(), damaged)


def test_what_depends_on_scores_is_not_judged_while_models_learn() -> None:
    def remembered(score: float) -> Entry:
        asks = {"loan": pending.Ask(5, score, "loan-1")}
        packed, shared = pending.packed(pending.Prediction(1, b"", "f", asks), pending.NOTHING)
        return stored(
            predictions=[packed],
            shared=shared,
            armings={"loan": state.Arming(fired=int(score * 10))},
            spoken={"sales": [int(score * 10)]},
        )

    one, other = (
        seen((remembered(score),), decisions=[output(f"d{score}")], examples=[example("e1", score=score)])
        for score in (0.1, 0.2)
    )

    assert 3 == len(findings(one, other))
    assert [] == [line for line in findings(one, other, learning=True) if "learned" not in line]


def test_labels_are_judged_while_models_learn() -> None:
    one = seen(examples=[output("e1", model="loan", label=True)], models=[snapshot("loan", 1)])
    other = seen(examples=[output("e1", model="loan", label=False)], models=[snapshot("loan", 1)])

    assert [f"{topics.LABELLED_EXAMPLES}: fields label x1"] == findings(one, other, learning=True)


def test_each_example_must_be_learned_exactly_once() -> None:
    rows = [example("e1"), example("e2"), example("e2")]
    right = seen(examples=rows, models=[snapshot("loan", 1), snapshot("loan", 2)])
    twice = seen(examples=rows, models=[snapshot("loan", 3)])
    never = seen(examples=rows)

    assert [] == findings(right, right, learning=True)
    assert ["model loan: 2 distinct examples, 3 learned"] == findings(right, twice, learning=True)
    assert ["model loan: 2 distinct examples, 0 learned"] == findings(right, never, learning=True)
