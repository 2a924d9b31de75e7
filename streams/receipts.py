"""Erasure receipts: what was removed, what remains where and for how long, signed.

A receipt names the customer by a hash only. Whoever knows the id can find it; nobody can read the id from it.
"""

import hashlib
import hmac

import msgspec

from needstream.schemas.signals import ErasureReceipt, Removed, Retained
from needstream.schemas.times import DAY_MS, rfc3339
from needstream.streams import topics
from needstream.streams.pipeline import erasure
from needstream.streams.pipeline.emissions import CustomerErased

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(ErasureReceipt)
_PURPOSE = b"needstream erasure receipt\n"


class ReceiptRefused(ValueError):
    """Raised for a receipt that is damaged, forged, or signed with another key."""


class Receipts:
    """Writes receipts.

    Args:
        models: the models that learn from labelled examples.
        key: signs the receipts.
    """

    def __init__(self, models: tuple[str, ...], key: bytes) -> None:
        self._models = models
        self._key = key

    def write(self, erased: CustomerErased) -> ErasureReceipt:
        """The signed receipt of an erasure."""
        name = f"{erased.subject}\n{erased.event_id}".encode()
        receipt = ErasureReceipt(
            receipt_id=hashlib.blake2b(name, digest_size=16).hexdigest(),
            subject=erased.subject,
            request_event_id=erased.event_id,
            requested_at=rfc3339(erased.at_ms),
            was_known=erased.was_known,
            removed=Removed(
                counters=erased.counters,
                alarms=erased.alarms,
                predictions=erased.predictions,
                consents=erased.consents,
                devices=erased.devices,
            ),
            examples_released=erased.examples_released,
            models=self._models if erased.examples_released else (),
            retained=_retained(erased),
        )
        return msgspec.structs.replace(receipt, mac=_mac(receipt, self._key))


def read(stored: bytes, key: bytes) -> ErasureReceipt:
    """The receipt in ``stored``, authenticated.

    Raises:
        ReceiptRefused: it was not signed with this key, or is no receipt.
    """
    try:
        receipt = _DECODER.decode(stored)
    except (ValueError, RecursionError) as error:
        msg = "no erasure receipt"
        raise ReceiptRefused(msg) from error
    if not hmac.compare_digest(_mac(receipt, key).encode(), receipt.mac.encode()):
        msg = f"receipt {receipt.receipt_id}: the signature does not match NEEDSTREAM_MODEL_KEY"
        raise ReceiptRefused(msg)
    return receipt


def _mac(receipt: ErasureReceipt, key: bytes) -> str:
    body = _ENCODER.encode(msgspec.structs.replace(receipt, mac=""))
    return hmac.new(key, _PURPOSE + body, hashlib.sha256).hexdigest()


def _retained(erased: CustomerErased) -> tuple[Retained, ...]:
    """What the state's removal does not reach, from the table of topics and what a model is."""
    rows = [
        Retained(
            what="a hash of the id and the time of the request", where="state", until=_days(erasure.REMEMBERED_MS)
        ),
        Retained(
            what="superseded records, until the broker compacts them",
            where=f"the changelog, {topics.PROFILES}",
            until="max.compaction.lag.ms",
        ),
    ]
    rows += [
        Retained(what=f"records of {row.role.value} topics", where=row.name, until=_days(row.retention_ms))
        for row in topics.TABLE
        if row.retention_ms is not None and row.name != topics.ERASURE_RECEIPTS
    ]
    if erased.examples_released:
        what = f"weights moved by {erased.examples_released} of the customer's labelled examples"
        rows.append(Retained(what=what, where=topics.MODEL_SNAPSHOTS, until="the model is learned anew"))
    return tuple(rows)


def _days(span_ms: int) -> str:
    return f"{span_ms // DAY_MS} days"
