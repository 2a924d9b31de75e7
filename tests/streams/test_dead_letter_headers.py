"""A dead letter and the record it was: nothing of it is lost, changed or mistaken for ours on the way and back."""

import base64
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needstream.schemas.dead_letters import DeadLetterLine, Rejected, RejectReason
from needstream.streams import app, dead_letter_topic, outputs, sending
from needstream.streams.dead_letter_topic import Place

REJECTED = Rejected(RejectReason.WRONG_TYPE, "amount", "Expected `str`, got `int`")
PLACE = Place(2, 1234)
MARK = "dead-letters.v1-2-1234"


def consumed(**said):
    """A record as the lane gets it."""
    given_fields = {
        "topic": "transactions.v1",
        "partition": 2,
        "offset": 77,
        "key": b"c1",
        "value": b"{}",
        "headers": (),
        "timestamp": 1_740_830_400_000,
    }
    return SimpleNamespace(**given_fields | said)


def on_topic(letter, timestamp=1_740_830_400_000):
    """The letter's record on the dead-letter topic."""
    headers = outputs.dead_letter_headers(letter)
    return consumed(
        topic="dead-letters.v1",
        partition=PLACE.partition,
        offset=PLACE.offset,
        key=letter.key,
        value=letter.value,
        headers=headers,
        timestamp=timestamp,
    )


def sent_size(letter):
    return sending._size((letter.key, letter.value, outputs.dead_letter_headers(letter), letter.timestamp_ms))


@given(
    st.lists(
        st.tuples(
            st.one_of(st.text(max_size=8), st.sampled_from([outputs.ORIGINALS_END, outputs.REPLAY_OF, "needstream.x"])),
            st.one_of(st.none(), st.binary(max_size=8)),
        ),
        max_size=6,
    )
)
def test_any_headers_come_back_in_their_order_also_under_our_names(headers):
    letter = outputs.dead_letter(consumed(headers=tuple(headers)), REJECTED)
    read = dead_letter_topic.letter_of(on_topic(letter))

    assert (PLACE, letter) == (read.place, read.content)
    assert tuple(headers) == read.content.headers


def test_who_asks_for_the_last_header_of_a_name_gets_ours():
    record = consumed(headers=(("needstream.reason", b"theirs"), ("__streams.errors.topic", b"theirs")))

    told = dict(outputs.dead_letter_headers(outputs.dead_letter(record, REJECTED)))

    assert b"deserialization_wrong_type" == told["needstream.reason"]
    assert b"transactions.v1" == told["__streams.errors.topic"]


def test_a_header_without_a_value_stays_without_one():
    letter = outputs.dead_letter(consumed(headers=(("a", b""), ("b", None), ("a", None))), REJECTED)

    told = outputs.dead_letter_headers(letter)

    assert [("a", b""), ("b", None), ("a", None)] == told[:3]
    assert 3 + len(outputs.dead_letter_headers(outputs.dead_letter(consumed(), REJECTED))) == len(told)


@pytest.mark.parametrize("value", [b"", None])
def test_a_tombstone_stays_one_and_an_empty_value_stays_empty(value):
    letter = outputs.dead_letter(consumed(value=value, key=None), REJECTED)

    assert (value, None) == (letter.value, letter.key)


def test_a_record_without_a_timestamp_has_none_in_its_letter():
    assert outputs.dead_letter(consumed(timestamp=-1), REJECTED).timestamp_ms is None


def test_the_mark_of_a_replay_is_told_by_ours_and_not_kept_among_the_originals():
    record = consumed(headers=(("a", b"1"), (outputs.REPLAY_OF, MARK.encode())))

    letter = outputs.dead_letter(record, REJECTED)

    assert ((("a", b"1"),), MARK) == (letter.headers, letter.replay_of)
    assert MARK.encode() == dict(outputs.dead_letter_headers(letter))[outputs.REPLAY_OF]
    assert MARK == outputs.replay_mark(PLACE.partition, PLACE.offset)


@pytest.mark.parametrize("content", [b"x", None, b"\xff", MARK.encode() + b"\n", b"other-letters.v1-2-1234"])
def test_what_only_looks_like_our_mark_is_a_header_like_any_other(content):
    record = consumed(headers=((outputs.REPLAY_OF, content),))

    letter = outputs.dead_letter(record, REJECTED)

    assert (record.headers, "") == (letter.headers, letter.replay_of)


def test_only_the_last_header_can_be_our_mark():
    record = consumed(headers=((outputs.REPLAY_OF, MARK.encode()), ("a", b"1")))

    assert record.headers == outputs.dead_letter(record, REJECTED).headers


MANY = (("h", b"x" * 1_000),) * 2_500


@pytest.mark.parametrize(
    ("said", "omitted"),
    [
        ({"value": b"x" * (outputs.LARGEST_LETTER_BYTES - 2)}, ""),
        ({"value": b"x" * (outputs.LARGEST_LETTER_BYTES - 1)}, "value"),
        ({"value": b"x" * 9_000_000, "headers": (("a", b"1"),)}, "value"),
        ({"headers": MANY}, "headers"),
        ({"headers": MANY, "value": b"x" * 9_000_000}, "headers value"),
        ({"headers": MANY, "value": None}, "headers"),
        ({"key": b"k" * 3_000_000}, "key"),
        ({"key": b"k" * 3_000_000, "value": b"", "headers": (("a", b"1"),)}, "headers key"),
        ({"headers": (("name" * 600_000, None),), "key": None}, "headers"),
    ],
)
def test_what_no_request_can_carry_is_left_out_and_named(said, omitted):
    """Decompressed, a record can be larger than anything its topic would take."""
    record = consumed(**said)

    letter = outputs.dead_letter(record, msgspec.structs.replace(REJECTED, detail="x" * 600, field="f" * 256))

    assert omitted == letter.omitted
    assert sent_size(letter) <= app.LARGEST_REQUEST_BYTES
    assert (record.value or b"").startswith(letter.value or b"")
    assert omitted == dead_letter_topic.letter_of(on_topic(letter)).content.omitted
    if "headers" not in omitted:
        assert record.headers == letter.headers
    if "key" not in omitted:
        assert record.key == letter.key


def test_letters_of_before_headers_were_kept_can_be_read():
    told = outputs.dead_letter_headers(outputs.dead_letter(consumed(), REJECTED))
    old = [(name, content) for name, content in told if name != outputs.ORIGINALS_END]

    letter = dead_letter_topic.letter_of(consumed(headers=old))

    assert ((), "amount", 77) == (letter.content.headers, letter.content.field, letter.content.offset)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("needstream.reason", b"deserialization_empty")],
        [
            ("needstream.reason", b"unheard_of"),
            *((f"__streams.errors.{each}", b"1") for each in ("topic", "partition", "offset")),
        ],
        [
            ("needstream.reason", b"deserialization_empty"),
            *((f"__streams.errors.{each}", b"x") for each in ("topic", "partition", "offset")),
        ],
        [
            ("needstream.reason", None),
            *((f"__streams.errors.{each}", None) for each in ("topic", "partition", "offset")),
        ],
    ],
)
def test_what_is_no_dead_letter_of_ours_is_passed_over(headers):
    assert dead_letter_topic.letter_of(consumed(headers=headers)) is None


def test_a_line_holds_everything_a_letter_holds():
    record = consumed(headers=(("a", b"\xff"), ("b", None), (outputs.REPLAY_OF, MARK.encode())))

    line = msgspec.json.decode(outputs.dead_letter_line(outputs.dead_letter(record, REJECTED)), type=DeadLetterLine)

    assert [("a", base64.b64encode(b"\xff").decode()), ("b", None)] == line.headers_base64
    assert (1_740_830_400_000, MARK, "e30=") == (line.timestamp_ms, line.replay_of, line.value_base64)


@pytest.mark.parametrize("text", ["", "1", "1:", ":1", "1:2:3", "-1:2", "1:x", "\u0661:1", "1" * 11 + ":1"])
def test_a_place_is_a_partition_and_an_offset(text):
    with pytest.raises(ValueError, match="write partition:offset"):
        dead_letter_topic.parse_place(text)


def test_a_place_is_read_as_it_is_printed():
    assert PLACE == dead_letter_topic.parse_place(f" {PLACE} ")
