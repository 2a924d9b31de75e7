"""Stored customer states: what was written is read, what was not is refused."""

import base64
import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needstream.schemas import codecs, events, pending, state

BEFORE = [
    (version, row["what"], base64.b64decode(row["stored"]))
    for version in (1, 2)
    for row in json.loads(Path(__file__).with_name(f"states_version_{version}.json").read_text())
]
"""Snapshots as the program wrote them when states had version 1, and when they had version 2."""


def remembered() -> state.CustomerState:
    """A state in which everything that may be remembered is."""
    customer = state.new_customer("c1", 1_000)
    customer.applied = {0: [41, 43]}
    customer.recent_ids = b"123456"
    customer.session = state.Session(1_000, 2_000, 3, 2, 1_500)
    customer.counters = {"interest.loan": [2_000.0, 1.0, 2.0, 3.5]}
    customer.balance = state.Balance("EUR", 100, 2_000, 1_000, 2, 99.5, 1_000, 90, 110, 80, 120)
    customer.income = state.Income(3, 2_000, 30.0, 0.5)
    customer.credit = state.Credit(640, 2_000, 700, 1_000)
    customer.traits = state.Traits("30-39", "gold", 3, "zh", "CNY", "email", mute=True)
    customer.consents = {0: (0, 1_000)}
    customer.timers = {"session": state.Timer(3_000, "e1")}
    customer.armings = {"loan": state.Arming(armed=False, fired=1, last_fired_ms=2_000)}
    asks = {"loan": pending.Ask(9_000, 0.25, "loan-50", converted=True), "card": pending.Ask(9_000, None, "cold")}
    packed, customer.shared = pending.packed(pending.Prediction(2_000, b"\x00" * 8, "f00d", asks), pending.NOTHING)
    customer.predictions = [packed]
    customer.active_ms, customer.suspect_until_ms, customer.distress_until_ms = 2_000, 4_000, 5_000
    customer.spoken = {"sales": [2_000]}
    return customer


def test_a_restored_state_equals_the_one_stored() -> None:
    assert remembered() == state.restore(state.snapshot(remembered()))


def test_equal_states_have_equal_bytes() -> None:
    assert state.snapshot(remembered()) == state.snapshot(state.restore(state.snapshot(remembered())))


def test_the_first_stored_layout_is_still_read() -> None:
    """These fields in this order are in changelogs; new ones come behind them, with a default."""
    ask = [9_000, 0.25, "loan-50", True]
    cold = [9_000, None, "cold", False]
    layout = [
        *(1, "c1", 1_000, 1_000, {"clickstream.v1-3": [41, 43]}, b"12345678", [1_000, 2_000, 3, 2, 1_500]),
        {"interest.loan": [2_000.0, 1.0, 2.0, 3.5]},
        ["EUR", 100, 2_000, 1_000, 2, 99.5, 1_000, 90, 110, 80, 120],
        *([3, 2_000, 30.0, 0.5], [640, 2_000, 700, 1_000], ["30-39", "gold", 3, "zh", "CNY", "email", True]),
        *({"marketing": ["GRANTED", 1_000]}, {"session": [3_000, "e1"]}, {"loan": [False, 1, 2_000]}),
        [[2_000, b"\x00" * 8, "f00d", {"loan": ask, "card": cold}]],
        *(2_000, 4_000, 5_000, {"sales": [2_000]}),
    ]

    assert remembered() == state.restore(msgspec.msgpack.encode(layout))


def test_a_state_of_another_version_is_refused_with_what_to_do() -> None:
    stored = msgspec.msgpack.encode([state.STATE_VERSION + 1, "c1", 0, 0])

    with pytest.raises(state.StateVersionError, match="rebuild the state by replay"):
        state.restore(stored)


@given(
    st.binary(max_size=60)
    | st.builds(
        lambda at, byte: state.snapshot(remembered())[:at] + bytes([byte]) + state.snapshot(remembered())[at + 1 :],
        st.integers(0, len(state.snapshot(remembered())) - 1),
        st.integers(0, 255),
    )
)
def test_damaged_bytes_are_a_state_or_refused(stored: bytes) -> None:
    try:
        restored = state.restore(stored)
    except state.StateVersionError:
        return
    assert state.STATE_VERSION == restored.version


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(state.StateVersionError):
        state.restore(b"\x91" * 100_000)


_APPLIED, _RING, _CONSENTS, _TIMERS, _PREDICTIONS = 4, 5, 12, 13, 15


def _ring_now(ring: bytes) -> bytes:
    """A mark took 8 bytes in versions 1 and 2."""
    return b"".join(ring[at : at + 6] for at in range(0, len(ring), 8))


@pytest.mark.parametrize(
    ("version", "stored"), [row[::2] for row in BEFORE], ids=[f"{v}-{what}" for v, what, _ in BEFORE]
)
def test_a_snapshot_of_the_version_before_is_upgraded(version: int, stored: bytes) -> None:
    written = msgspec.msgpack.decode(stored)

    upgraded = state.restore(stored)

    said = msgspec.msgpack.decode(state.snapshot(upgraded))
    opened = msgspec.to_builtins(state.opened(upgraded))
    asks = [{name: _squeezed(ask) for name, ask in asks.items()} for *_, asks in written[_PREDICTIONS]]
    assert (version, state.STATE_VERSION, _ring_now(written[_RING])) == (written[0], said[0], said[_RING])
    assert [[*made, each] for (*made, _), each in zip(written[_PREDICTIONS], asks, strict=True)] == [
        [made_ms, base64.b64decode(features), feature_set, {name: _as_written(ask) for name, ask in asks.items()}]
        for made_ms, features, feature_set, asks in opened
    ]
    kept = [
        place
        for place in range(1, min(len(written), 22))
        if place not in {_APPLIED, _RING, _CONSENTS, _TIMERS, _PREDICTIONS}
    ]
    assert [written[place] for place in kept] == [said[place] for place in kept]
    assert {f"{state.ORIGINS[place]}-0": known for place, known in upgraded.applied.items()} == written[_APPLIED]
    assert said[_TIMERS] == {
        f"a.{name.removeprefix('absence.')}" if name.startswith("absence.") else name: timer
        for name, timer in written[_TIMERS].items()
    }
    assert written[_CONSENTS] == {
        state.PURPOSES[purpose]: [state.STATUSES[status], at_ms]
        for purpose, (status, at_ms) in upgraded.consents.items()
    }
    assert upgraded == state.restore(state.snapshot(upgraded))


def _squeezed(ask: list[Any]) -> list[Any]:
    return [*ask[:4], pending.squeezed(ask[4] if len(ask) > 4 else b"")]


def _as_written(ask: list[Any]) -> list[Any]:
    return [*ask[:4], base64.b64decode(ask[4])]


def test_a_marker_of_the_version_before_still_keeps_old_records_out() -> None:
    stored = next(stored for version, what, stored in BEFORE if (version, what) == (1, "erased"))

    upgraded = state.restore(stored)

    assert upgraded.first_ms == upgraded.erased_ms > 0


def test_a_partition_record_of_the_version_before_is_read() -> None:
    stored = msgspec.msgpack.encode([2, 5_000, 4_000])

    assert (5_000, 4_000) == (state.restore_partition(stored).newest_ms, state.restore_partition(stored).watermark_ms)


@pytest.mark.parametrize("version", [0, state.STATE_VERSION + 1])
def test_a_version_nobody_here_knows_is_refused_with_what_to_do(version: int) -> None:
    unknown = state.new_customer("c1", 0)
    unknown.version = version

    with pytest.raises(state.StateVersionError, match=f"version {version}.*rebuild"):
        state.restore(state.snapshot(unknown))


def test_the_places_that_states_name_are_those_of_the_inputs_and_words_of_events() -> None:
    assert set(state.ORIGINS) == {f"{family}.v1" for family in (*codecs.FAMILIES, *codecs.INTERNAL)}
    assert set(state.PURPOSES) == set(get_args(events.Purpose))
    assert set(state.STATUSES) == set(get_args(events.ConsentStatus))
