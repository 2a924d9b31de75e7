"""Every record becomes an event or a reason, whoever wrote it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders
import hostile
from needstream.schemas import codecs, events, outline, refusals
from needstream.schemas.dead_letters import REMEDIES, Rejected, RejectReason

LATEST_MS = hostile.LATEST_MS


def decoded(raw: bytes | None, family: str = "clickstream", *, key: bytes | None = None) -> Any:
    return codecs.decode(raw, family=family, latest_ms=LATEST_MS, key=key)


def said(family: str = "clickstream", **fields: Any) -> bytes:
    return json.dumps(hostile.EVENTS[family] | fields).encode()


def reasons(results: list[Any]) -> list[RejectReason | None]:
    return [result.reason if isinstance(result, Rejected) else None for result in results]


def test_there_are_two_hundred_hostile_records_on_all_five_topics() -> None:
    distinct = {(record.family, record.raw, record.key) for record in hostile.RECORDS}

    assert (200, set(codecs.FAMILIES)) == (len(distinct), {record.family for record in hostile.RECORDS})


@pytest.mark.parametrize(
    "record", hostile.RECORDS, ids=[f"{place}-{record.reason}" for place, record in enumerate(hostile.RECORDS)]
)
def test_a_hostile_record_is_rejected_with_its_reason_and_field(record: hostile.Record) -> None:
    rejected = decoded(record.raw, record.family, key=record.key)

    assert (record.reason, record.field) == (rejected.reason, rejected.field)


def test_good_records_between_hostile_ones_are_unharmed() -> None:
    expected = {family: decoded(raw, family) for family, raw in hostile.GOOD.items()}
    survived = []
    for record in hostile.RECORDS:
        decoded(record.raw, record.family, key=record.key)
        survived.append(decoded(hostile.GOOD[record.family], record.family))

    assert [expected[record.family] for record in hostile.RECORDS] == survived


def test_every_reason_of_decoding_is_provoked() -> None:
    provoked = {record.reason for record in hostile.RECORDS}

    assert {RejectReason.POISON_PILL} == set(RejectReason) - provoked


def test_every_reason_has_a_remedy_that_states_the_limits() -> None:
    assert set(RejectReason) == set(REMEDIES)
    assert str(codecs.MAX_RECORD_BYTES) in Rejected(RejectReason.TOO_LARGE).remedy
    assert str(codecs.MAX_DEPTH) in Rejected(RejectReason.TOO_DEEP).remedy


EVENTS = [
    builders.click(url="/loans/rates", dwell_ms=1500, properties={"a": "x", "b": 2, "c": 0.5, "d": True, "e": None}),
    builders.click("identify", anonymous="a1"),
    builders.click(customer=None, anonymous="a1"),
    builders.transaction("refund", amount="-12.30", balance_after="-5.00", mcc="5411"),
    builders.transaction("balance", amount="-1500", currency="JPY"),
    builders.transaction("application", amount="0", product="loan"),
    builders.feedback("survey", rating=7.5, resolved=False, amount_at_issue="10", currency="KWD"),
    builders.customer_event("profile", birth_year=1980, home_currency="CHF", risk_level=3),
    builders.consent("profiling", "REVOKED"),
    builders.customer_event("preference", channel="email", mute=True),
    builders.customer_event("credit_score", score=0),
    builders.customer_event("erasure"),
    builders.customer_event("override", name="tier", value=2, author="anna", reason="knows better"),
    builders.outcome("complained"),
]


def family_of(event: events.AnyEvent) -> str:
    return next(
        family for family, kind in codecs.TYPES.items() if isinstance(event, getattr(kind, "__args__", None) or kind)
    )


@pytest.mark.parametrize("event", EVENTS, ids=[f"{place}-{type(event).__name__}" for place, event in enumerate(EVENTS)])
def test_what_a_producer_sends_is_what_we_read(event: events.AnyEvent) -> None:
    key = (event.customer_id or event.anonymous_id).encode()

    assert event == decoded(builders.bytes_of(event), family_of(event), key=key)


def test_a_state_belongs_to_the_customer_and_before_the_login_to_the_visitor() -> None:
    both = builders.click(anonymous="a1")
    before = builders.click(customer=None, anonymous="a1")

    assert ("c1", "visitor\x1fa1") == (codecs.state_key(both), codecs.state_key(before))


def test_a_visitor_never_shares_a_state_with_a_customer_of_the_same_id() -> None:
    visitor = builders.click(customer=None, anonymous="17")
    customer = builders.click(customer="17")

    assert codecs.state_key(visitor) != codecs.state_key(customer)


def test_an_identify_sent_under_the_anonymous_id_belongs_to_the_visitor() -> None:
    identify = builders.click("identify", anonymous="a1")
    look = builders.click(anonymous="a1")

    assert "visitor\x1fa1" == codecs.state_key(identify, b"a1")
    assert "c1" == codecs.state_key(identify, b"c1")
    assert "c1" == codecs.state_key(look, b"a1")


def test_an_identify_may_go_where_the_anonymous_history_is() -> None:
    identify = builders.bytes_of(builders.click("identify", anonymous="a1"))
    login = builders.bytes_of(builders.click("login", anonymous="a1"))

    assert [None, None, RejectReason.KEY_MISMATCH, RejectReason.KEY_MISMATCH] == reasons(
        [
            decoded(identify, key=b"a1"),
            decoded(identify, key=b"c1"),
            decoded(identify, key=b"a2"),
            decoded(login, key=b"a1"),
        ]
    )


def test_a_record_without_a_value_is_empty() -> None:
    assert Rejected(RejectReason.EMPTY) == decoded(None)


def test_the_ends_of_time_are_inclusive() -> None:
    times = ["1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "2025-03-01T12:10:00Z", "2025-03-01T12:10:00.001Z"]

    assert [None, RejectReason.TIME_TOO_EARLY, None, RejectReason.TIME_TOO_LATE] == reasons(
        [decoded(said(event_time=time)) for time in times]
    )


def test_lengths_are_inclusive() -> None:
    padding = b" " * (codecs.MAX_RECORD_BYTES - len(said()))

    assert [None, None, None, None, RejectReason.TOO_LARGE] == reasons(
        [
            decoded(said(customer_id="c" * 200)),
            decoded(said(properties={str(number): number for number in range(64)})),
            decoded(said(properties={"k": 2**63 - 1, "l": -(2**63)})),
            decoded(said() + padding),
            decoded(said() + padding + b" "),
        ]
    )


def test_sixteen_levels_are_read_and_brackets_in_text_are_no_levels() -> None:
    at_the_limit = said()[:-1] + b', "x": ' + b"[" * 15 + b"]" * 15 + b', "y": [[]]}'
    in_text = said("feedback", text='{["' * 50)

    assert [None, None] == reasons([decoded(at_the_limit), decoded(in_text, "feedback")])


def test_unknown_fields_are_ignored() -> None:
    assert decoded(said()) == decoded(said(unknown={"deep": [1, {"er": None}]}, more=1e300))


def test_of_a_repeated_field_the_last_value_counts() -> None:
    repeated = said()[:-1] + b', "customer_id": "c2"}'

    assert "c2" == decoded(repeated).customer_id


def test_an_outcome_needs_no_event_type() -> None:
    raw = json.dumps({name: text for name, text in hostile.EVENTS["outcomes"].items() if name != "event_type"}).encode()

    assert "outcome" == decoded(raw, "outcomes").event_type


@pytest.mark.parametrize("kind", sorted(events.TransactionType.__args__))
def test_only_balances_interest_and_refunds_may_be_negative(kind: str) -> None:
    result = decoded(said("transactions", event_type=kind, amount="-1.00"), "transactions")

    assert (kind not in {"balance", "interest", "refund"}) == isinstance(result, Rejected)


def test_a_detail_is_short_whatever_the_record_quotes() -> None:
    rejected = decoded(said(event_type="x" * 60_000))

    assert refusals.MAX_DETAIL == len(rejected.detail)


def test_a_fault_before_the_end_of_json_is_named_by_its_map() -> None:
    """The parser stops at the first fault; what follows may be no JSON, so the entry cannot be looked up."""
    rejected = decoded(said()[:-1] + b', "properties": {"x": [], "y": nonsense')

    assert (RejectReason.WRONG_TYPE, "properties") == (rejected.reason, rejected.field)


def assert_decoded_or_rejected(raw: bytes, family: str, *, key: bytes | None) -> None:
    result = decoded(raw, family, key=key)
    if isinstance(result, Rejected):
        assert result.reason in REMEDIES
        assert len(result.field) <= outline.MAX_NAME + len("properties.")
        assert len(result.detail) <= refusals.MAX_DETAIL
    else:
        assert codecs.state_key(result)
        assert msgspec.json.encode(result)


families = st.sampled_from(codecs.FAMILIES)
keys = st.none() | st.binary(max_size=8) | st.just(b"c1")


@given(raw=st.binary(max_size=300), family=families, key=keys)
def test_no_bytes_raise(raw: bytes, family: str, *, key: bytes | None) -> None:
    assert_decoded_or_rejected(raw, family, key=key)


@given(
    event=st.sampled_from(EVENTS),
    cuts=st.lists(
        st.tuples(
            st.floats(0, 1), st.integers(0, 6), st.sampled_from([b"", b'"', b"\\", b"{", b"]", b",", b"\xff", b"1e999"])
        ),
        min_size=1,
        max_size=4,
    ),
    key=keys,
)
def test_no_damaged_event_raises(
    event: events.AnyEvent, cuts: list[tuple[float, int, bytes]], *, key: bytes | None
) -> None:
    raw = builders.bytes_of(event)
    for place, removed, put in cuts:
        at = int(place * len(raw))
        raw = raw[:at] + put + raw[at + removed :]

    assert_decoded_or_rejected(raw, family_of(event), key=key)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)


@given(event=st.sampled_from(EVENTS), changes=st.data())
def test_a_value_of_any_type_in_a_known_field_is_read_or_blamed_on_that_field(
    event: events.AnyEvent, changes: st.DataObject
) -> None:
    said = msgspec.to_builtins(event)
    field = changes.draw(st.sampled_from(sorted(said)))
    said[field] = changes.draw(values)
    result = decoded(json.dumps(said).encode(), family_of(event))

    # Another event_type may want other fields; money is judged in a currency, an identity among two.
    linked = {"event_type", "currency", "customer_id", "anonymous_id"}
    assert not isinstance(result, Rejected) or field in linked or result.field.split(".")[0] in {field, *linked}
