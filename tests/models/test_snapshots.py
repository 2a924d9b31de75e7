"""A snapshot is trusted whole or refused, with the check that failed."""

import hashlib
import hmac
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import training
from needstream.models import snapshots, standing
from needstream.models.snapshots import SnapshotRefused
from needstream.schemas.signals import ModelSnapshot

KEY = b"the deployment's key"
MODEL = training.standing_of(60)
STORED = msgspec.json.encode(snapshots.sign(MODEL, KEY))


def forged(body: str | None = None, *, key: bytes = KEY, **around: Any) -> bytes:
    """A snapshot with another body, correctly signed under ``key``, or with other text around it."""
    snapshot = msgspec.structs.replace(snapshots.sign(MODEL, KEY), **around)
    if body is not None:
        mac = hmac.new(key, body.encode(), hashlib.sha256).hexdigest()
        snapshot = msgspec.structs.replace(snapshot, body=body, mac=mac)
    return msgspec.json.encode(snapshot)


def refusal(stored: bytes, key: bytes = KEY, *, features: tuple[str, ...] = training.FEATURES) -> str:
    with pytest.raises(SnapshotRefused) as refused:
        snapshots.verify(stored, key, features=features)
    return str(refused.value)


def test_a_signed_model_comes_back_as_it_was() -> None:
    assert MODEL == snapshots.verify(STORED, KEY, features=training.FEATURES)


def test_equal_models_under_one_key_have_equal_snapshots() -> None:
    assert snapshots.sign(MODEL, KEY) == snapshots.sign(training.standing_of(60), KEY)


BODY = standing.encode(MODEL).decode()
SIGNATURE, CONTRADICTION = "the signature does not match", "contradicts them"


@pytest.mark.parametrize(
    ("stored", "check"),
    [
        (forged().replace(b"positives", b"negatives"), SIGNATURE),
        (STORED.replace(b"0.", b"1.", 1), SIGNATURE),
        (forged(mac="0" * 64), SIGNATURE),
        (forged(mac=""), SIGNATURE),
        (forged(mac="\u00e9" * 64), SIGNATURE),
        (forged(mac=snapshots.sign(MODEL, KEY).mac.upper()), SIGNATURE),
        (forged(BODY, key=b"another key"), SIGNATURE),
        (forged(BODY, key=b""), SIGNATURE),
        (forged(BODY.replace('"version":60', '"version":-1', 1)), "Expected `int` >= 0"),
        (forged(BODY.replace('"weights_intercept":', '"weights_intercept":1e999,"was":')), "out of range"),
        (forged(BODY.replace('"weights_intercept":', '"weights_intercept":NaN,"was":')), "malformed"),
        (forged(BODY.replace('"means":[', '"means":[0.0,')), "unequal length"),
        (forged("[" * 5_000), "Expected `object`, got `array`"),
        (forged(""), "truncated"),
        (forged("x" * snapshots.MAX_BYTES), "at most 1048576 are read"),
        (STORED + b" " * snapshots.MAX_BYTES, "at most 1048576 are read"),
        (forged(model="card"), CONTRADICTION),
        (forged(version=61), CONTRADICTION),
        (forged(examples=61), CONTRADICTION),
        (forged(feature_set="f00d"), CONTRADICTION),
        (b"", "no model snapshot"),
        (b"null", "no model snapshot"),
        (b"\xff", "no model snapshot"),
        (b'{"model": "\xff"}', "no model snapshot"),
        (b'{"unknown": ' + b"[" * 100_000, "no model snapshot"),
        (STORED[:-1], "no model snapshot"),
        (STORED + STORED, "no model snapshot"),
    ],
    ids=range(27),
)
def test_a_forged_or_damaged_snapshot_is_refused_by_name_of_the_check(stored: bytes, check: str) -> None:
    assert check in refusal(stored)


def test_another_key_is_refused() -> None:
    assert SIGNATURE in refusal(STORED, b"another key")


@pytest.mark.parametrize(
    "features", [training.FEATURES[:-1], training.FEATURES[::-1], ("other", *training.FEATURES[1:])]
)
def test_other_features_are_refused_with_what_to_do(features: tuple[str, ...]) -> None:
    assert "retrain or restore the pack version" in refusal(STORED, features=features)


def test_what_is_not_authentic_is_not_parsed() -> None:
    """The signature is checked over the text, so a body that would break a parser is refused before one sees it."""
    assert SIGNATURE in refusal(forged("[" * 500_000, key=b"another key"))


@given(st.integers(0, len(STORED) - 1), st.integers(1, 255))
def test_no_damaged_byte_changes_what_is_served(place: int, change: int) -> None:
    damaged = STORED[:place] + bytes([STORED[place] ^ change]) + STORED[place + 1 :]
    try:
        served = snapshots.verify(damaged, KEY, features=training.FEATURES)
    except SnapshotRefused:
        return
    assert MODEL == served


@given(st.integers(0, len(STORED) - 1))
def test_no_truncated_snapshot_is_served(length: int) -> None:
    assert "no model snapshot" in refusal(STORED[:length])


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(stored: bytes) -> None:
    assert refusal(stored)


def test_a_feature_set_is_named_for_its_features_and_their_order() -> None:
    names = {snapshots.feature_set(features) for features in [("a", "b"), ("b", "a"), ("a",), ("ab",), ()]}

    assert 5 == len(names)
    assert snapshots.feature_set(("a", "b")) == snapshots.feature_set(("a", "b"))


def test_a_snapshot_says_in_the_open_what_it_is() -> None:
    snapshot = snapshots.sign(MODEL, KEY)

    assert ("loan", 60, 60, training.FEATURE_SET) == (
        snapshot.model,
        snapshot.version,
        snapshot.examples,
        snapshot.feature_set,
    )
    assert snapshot == msgspec.json.decode(STORED, type=ModelSnapshot)
