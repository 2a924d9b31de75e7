"""An erasure receipt says what was removed and what remains, names nobody, and cannot be altered."""

import msgspec
import pytest

from needstream.schemas.signals import ErasureReceipt
from needstream.streams import outputs, receipts, topics
from needstream.streams.pipeline import erasure
from needstream.streams.pipeline.emissions import CustomerErased

KEY = b"a key of sixteen"
ERASED = CustomerErased(
    customer_id="c1",
    event_id="erase-1",
    at_ms=1_740_819_600_000,
    subject=erasure.subject("c1"),
    was_known=True,
    counters=7,
    alarms=3,
    predictions=12,
    consents=2,
    devices=1,
    examples_released=5,
)


def _receipt(erased: CustomerErased = ERASED) -> ErasureReceipt:
    return receipts.Receipts(("loan", "churn"), KEY).write(erased)


def test_a_receipt_counts_what_was_removed_and_names_the_customer_by_hash_only() -> None:
    stored = msgspec.json.encode(_receipt())

    assert (7, 3, 12, 2, 1) == msgspec.structs.astuple(_receipt().removed)
    assert erasure.subject("c1") == _receipt().subject
    assert b'"c1"' not in stored


def test_a_receipt_says_what_a_model_may_still_know() -> None:
    learned = [row for row in _receipt().retained if row.where == topics.MODEL_SNAPSHOTS]
    nothing = _receipt(msgspec.structs.replace(ERASED, examples_released=0))

    assert ["weights moved by 5 of the customer's labelled examples"] == [row.what for row in learned]
    assert ("loan", "churn") == _receipt().models
    assert ((), []) == (nothing.models, [row for row in nothing.retained if row.where == topics.MODEL_SNAPSHOTS])


def test_a_receipt_names_every_topic_that_keeps_records_for_a_while() -> None:
    named = {row.where for row in _receipt().retained}

    assert {row.name for row in topics.TABLE if row.retention_ms} - {topics.ERASURE_RECEIPTS} <= named


def test_equal_erasures_have_equal_receipts() -> None:
    assert _receipt() == _receipt()


def test_a_receipt_is_read_back_with_the_key_that_signed_it() -> None:
    assert _receipt() == receipts.read(msgspec.json.encode(_receipt()), KEY)


@pytest.mark.parametrize(
    "stored",
    [
        msgspec.json.encode(msgspec.structs.replace(_receipt(), examples_released=0)),
        msgspec.json.encode(msgspec.structs.replace(_receipt(), mac="")),
        msgspec.json.encode(msgspec.structs.replace(_receipt(), mac="ü")),
        b"{}",
        b"",
        b"[" * 5_000,
    ],
)
def test_an_altered_receipt_is_refused(stored: bytes) -> None:
    with pytest.raises(receipts.ReceiptRefused):
        receipts.read(stored, KEY)


def test_another_key_is_refused() -> None:
    with pytest.raises(receipts.ReceiptRefused, match="NEEDSTREAM_MODEL_KEY"):
        receipts.read(msgspec.json.encode(_receipt()), b"another of 16 by")


def test_an_erasure_ends_the_profile_and_leaves_a_receipt_under_the_hash() -> None:
    profile, receipt = outputs.records(ERASED, receipts=receipts.Receipts(("loan",), KEY))

    assert (topics.PROFILES, b"c1", None) == (profile.topic, profile.key, profile.value)
    assert (topics.ERASURE_RECEIPTS, erasure.subject("c1").encode()) == (receipt.topic, receipt.key)
    assert b"erase-1" == dict(receipt.headers)["ce_causationid"]


def test_a_visitor_has_no_profile_to_end() -> None:
    visitor = msgspec.structs.replace(ERASED, customer_id="visitor\x1fa1")

    assert [topics.ERASURE_RECEIPTS] == [
        each.topic for each in outputs.records(visitor, receipts=receipts.Receipts((), KEY))
    ]
