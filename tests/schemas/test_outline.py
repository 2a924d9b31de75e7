"""The outline of any bytes: which field is large, which is deep."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from needstream.schemas import outline

MEGABYTE = 1_000_000


def names(raw: bytes) -> list[str]:
    return [field.name for field in outline.fields(raw)]


def test_only_top_level_names_are_fields() -> None:
    raw = rb'{"a": "b", "c" : {"d": 1}, "e": ["f", {"g": 2}], "h": "\"i\": 1"}'

    assert ["", "a", "c", "e", "h"] == names(raw)


def test_depth_counts_the_record_itself() -> None:
    depths = {field.name: field.depth for field in outline.fields(b'{"flat": 1, "list": [1], "deep": {"x": [[]]}}')}

    assert {"": 1, "flat": 0, "list": 2, "deep": 4} == depths


def test_sizes_add_up_to_the_record() -> None:
    raw = b'  {"a": 1, "bb": "' + b"x" * 50 + b'", "c": {}}  '

    assert (len(raw), "bb") == (sum(field.size for field in outline.fields(raw)), outline.largest(raw).name)


@pytest.mark.parametrize("raw", [b"", b'"', b'"\\', b'{"a\\', b'{"a":"b\\"', b"]]]]{", b"\xff" * 9, b'{"' + b"\\" * 99])
def test_cut_off_and_broken_bytes_have_an_outline(raw: bytes) -> None:
    assert len(raw) == sum(field.size for field in outline.fields(raw))


@pytest.mark.parametrize(
    "piece", [b'\\"', b'"', b"\\", b'"\\', b'" ', b'"a" ', b"[", b"{", b"]{", b'"":', b" ", b'{"a":']
)
def test_a_megabyte_of_anything_is_one_pass(piece: bytes) -> None:
    """Quadratic work on a megabyte would take minutes: this test would not end."""
    raw = b'{"a": "' + piece * (MEGABYTE // len(piece))

    assert outline.fields(raw)[1].name in {"a", ""}


@given(st.dictionaries(st.text(max_size=5), st.tuples(st.integers(0, 20), st.text(max_size=9)), max_size=5))
def test_the_deepest_field_is_the_one_that_nests_deepest(nested: dict[str, tuple[int, str]]) -> None:
    members = {
        name: json.loads("[" * levels + json.dumps(text) + "]" * levels) for name, (levels, text) in nested.items()
    }
    deepest = max((levels for levels, _ in nested.values()), default=0)

    assert 1 + deepest == outline.deepest(json.dumps(members).encode()).depth
