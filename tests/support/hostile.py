"""Two hundred hostile records, each with the reason and the field it must be rejected for.

Made to be sent, too: `RECORDS` is what a careless or malicious producer may put onto the five input topics, and
`GOOD` is one valid event per topic that stands between them unharmed.
"""

import json
from typing import Any, NamedTuple

from needstream.schemas.dead_letters import RejectReason as Why

LATEST_MS = 1_740_831_000_000
"""2025-03-01T12:10:00Z: ten minutes after the events here were received."""

AT = "2025-03-01T12:00:00Z"
_COMMON = {"event_id": "e1", "event_time": AT, "customer_id": "c1"}
EVENTS: dict[str, dict[str, Any]] = {
    "clickstream": {**_COMMON, "event_type": "page_view", "url": "/loans"},
    "transactions": {**_COMMON, "event_type": "deposit", "amount": "1234.50", "currency": "EUR"},
    "feedback": {**_COMMON, "event_type": "complaint", "text": "slow"},
    "customers": {**_COMMON, "event_type": "consent", "purpose": "marketing", "status": "GRANTED"},
    "outcomes": {**_COMMON, "event_type": "outcome", "signal_id": "s1", "outcome": "accepted"},
}
CLICK, MONEY, WORDS, CUSTOMER, OUTCOME = EVENTS


class Record(NamedTuple):
    """A record, and why it is rejected."""

    family: str
    raw: bytes
    reason: Why
    field: str = ""
    key: bytes | None = None


def _said(family: str, **fields: Any) -> bytes:
    """The family's good event with fields replaced or added."""
    return json.dumps(EVENTS[family] | fields, ensure_ascii=False).encode()


def _without(family: str, field: str) -> bytes:
    return json.dumps({name: value for name, value in EVENTS[family].items() if name != field}).encode()


def _plus(family: str, member: bytes) -> bytes:
    """The family's good event with a member as it would stand in the bytes."""
    return GOOD[family][:-1] + b", " + member + b"}"


GOOD: dict[str, bytes] = {family: _said(family) for family in EVENTS}
_SCORE = {"event_type": "credit_score", "purpose": None, "status": None, "score": 640}
_PROFILE = {"event_type": "profile", "purpose": None, "status": None}

_NO_JSON = [
    *(Record(family, raw[: len(raw) * 2 // 3], Why.NOT_JSON) for family, raw in GOOD.items()),
    Record(CLICK, GOOD[CLICK] + b"x", Why.NOT_JSON),
    Record(MONEY, GOOD[MONEY] + b"\x00", Why.NOT_JSON),
    Record(MONEY, GOOD[MONEY] + b"\n" + GOOD[MONEY], Why.NOT_JSON),
    Record(WORDS, GOOD[WORDS] + b",", Why.NOT_JSON),
    Record(CUSTOMER, GOOD[CUSTOMER][:-1] + b",}", Why.NOT_JSON),
    Record(OUTCOME, GOOD[OUTCOME].replace(b'"', b"'"), Why.NOT_JSON),
    Record(CLICK, GOOD[CLICK].replace(b":", b"=", 1), Why.NOT_JSON),
    Record(CLICK, GOOD[CLICK].replace(b",", b"", 1), Why.NOT_JSON),
    Record(CLICK, b"{event_id: 1}", Why.NOT_JSON),
    Record(CLICK, b"{", Why.NOT_JSON),
    Record(CLICK, b'"\\', Why.NOT_JSON),
    Record(CLICK, b'{"event_id":"\\', Why.NOT_JSON),
    Record(CLICK, b"\xef\xbb\xbf" + GOOD[CLICK], Why.NOT_JSON),
    Record(CLICK, b"\x00\x00\x00\x00\x01\x04c1", Why.NOT_JSON),
    Record(MONEY, b"e1;deposit;1234.50;EUR", Why.NOT_JSON),
    Record(CLICK, _plus(CLICK, b'"dwell_ms": NaN'), Why.NOT_JSON),
    Record(CLICK, _plus(CLICK, b'"properties": {"x": Infinity}'), Why.NOT_JSON),
    Record(CLICK, _plus(CLICK, b'"unknown": -Infinity'), Why.NOT_JSON),
    Record(WORDS, _plus(WORDS, b'"rating": -Infinity'), Why.NOT_JSON),
    Record(CLICK, _plus(CLICK, b'"dwell_ms": +1'), Why.NOT_JSON),
    Record(CLICK, _plus(CLICK, b'"dwell_ms": 01'), Why.NOT_JSON),
    Record(WORDS, _plus(WORDS, b'"rating": .5'), Why.NOT_JSON),
    Record(WORDS, _plus(WORDS, b'"topic": None'), Why.NOT_JSON),
    Record(CLICK, _plus(CLICK, b'"page": "a" // why'), Why.NOT_JSON),
    Record(CLICK, _plus(CLICK, b'"page": "a\tb"'), Why.NOT_JSON),
    Record(CLICK, _plus(CLICK, b'"page": "a\nb"'), Why.NOT_JSON),
    Record(CLICK, _plus(CLICK, b'"page": "\\x41"'), Why.NOT_JSON),
    Record(CLICK, _plus(CLICK, b'"page": "\\ud800"'), Why.NOT_JSON),
    Record(CLICK, _plus(CLICK, b'"page": "\\udc00 alone"'), Why.NOT_JSON),
    Record(CLICK, _plus(CLICK, b'"unknown": "\\udfff"'), Why.NOT_JSON),
    Record(CLICK, _plus(CLICK, b'"\\ud800 field": 1'), Why.NOT_JSON),
]

_NO_TEXT = [
    Record(CLICK, GOOD[CLICK].decode().encode("utf-16"), Why.NOT_UTF8),
    Record(CLICK, _plus(CLICK, b'"page": "caf\xe9"'), Why.NOT_UTF8),
    Record(CLICK, _plus(CLICK, b'"unknown": "caf\xe9"'), Why.NOT_UTF8),
    Record(CLICK, _plus(CLICK, b'"caf\xe9": 1'), Why.NOT_UTF8),
    Record(WORDS, _plus(WORDS, b'"topic": "\xc0\x80"'), Why.NOT_UTF8),
    Record(WORDS, _plus(WORDS, b'"topic": "\xed\xa0\x80"'), Why.NOT_UTF8),
    Record(WORDS, _plus(WORDS, b'"topic": "\xf5\x80\x80\x80"'), Why.NOT_UTF8),
    Record(WORDS, "客户".encode()[:-1], Why.NOT_UTF8),
    Record(MONEY, b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", Why.NOT_UTF8),
    Record(OUTCOME, bytes(range(256)), Why.NOT_UTF8),
]

_NO_OBJECT = [
    Record(CLICK, b"", Why.EMPTY),
    Record(MONEY, b" \t", Why.EMPTY),
    Record(CUSTOMER, b"\r\n", Why.EMPTY),
    Record(CLICK, b"null", Why.NOT_AN_OBJECT),
    Record(MONEY, b"1234.50", Why.NOT_AN_OBJECT),
    Record(WORDS, b'"complaint"', Why.NOT_AN_OBJECT),
    Record(CUSTOMER, b"true", Why.NOT_AN_OBJECT),
    Record(OUTCOME, b"-1", Why.NOT_AN_OBJECT),
    Record(CLICK, b"[]", Why.NOT_AN_OBJECT),
    Record(MONEY, b"[" + GOOD[MONEY] + b"]", Why.NOT_AN_OBJECT),
    Record(CUSTOMER, b"[[1], [2]]", Why.NOT_AN_OBJECT),
]

_TOO_MUCH = [
    Record(CLICK, _said(CLICK, url="/" * 70_000), Why.TOO_LARGE, "url"),
    Record(WORDS, _said(WORDS, text="骗" * 30_000), Why.TOO_LARGE, "text"),
    Record(MONEY, _said(MONEY, unknown=["x" * 100] * 700), Why.TOO_LARGE, "unknown"),
    Record(
        CLICK, _said(CLICK, properties={f"k{number}": number for number in range(7_000)}), Why.TOO_LARGE, "properties"
    ),
    Record(CLICK, b'{"a": 1, "b": "' + b"x" * 70_000, Why.TOO_LARGE, "b"),
    Record(CLICK, b'{"a": 1, "b": "' + b'\\"' * 40_000, Why.TOO_LARGE, "b"),
    Record(CLICK, b" " * 70_000 + GOOD[CLICK], Why.TOO_LARGE, ""),
    Record(CUSTOMER, b"\xff" * 70_000, Why.TOO_LARGE, ""),
    Record(CLICK, _plus(CLICK, b'"properties": ' + b'{"a":' * 16 + b"1" + b"}" * 16), Why.TOO_DEEP, "properties"),
    Record(CLICK, _plus(CLICK, b'"unknown": ' + b"[" * 16 + b"]" * 16), Why.TOO_DEEP, "unknown"),
    Record(MONEY, _plus(MONEY, b'"amount": ' + b"[" * 20 + b"]" * 20), Why.TOO_DEEP, "amount"),
    Record(WORDS, _plus(WORDS, b'"a": "[[[[[[[[[[[[[[[[[[", "b": ' + b'[{"c":' * 8), Why.TOO_DEEP, "b"),
    Record(
        WORDS, _plus(WORDS, b'"a": ' + b"[" * 9 + b"]" * 9 + b', "b" \n : ' + b"[" * 17 + b"]" * 17), Why.TOO_DEEP, "b"
    ),
    Record(CUSTOMER, b'{"a":' * 12_000, Why.TOO_DEEP, "a"),
    Record(CUSTOMER, b'{"x\\"y": ' + b"[" * 30, Why.TOO_DEEP, 'x\\"y'),
    Record(OUTCOME, b"[" * 65_536, Why.TOO_DEEP),
]

_MISSING = [
    *(Record(family, _without(family, "event_id"), Why.MISSING_FIELD, "event_id") for family in EVENTS),
    *(Record(family, _without(family, "event_time"), Why.MISSING_FIELD, "event_time") for family in (CLICK, CUSTOMER)),
    *(Record(family, _without(family, "customer_id"), Why.MISSING_IDENTITY, "customer_id") for family in EVENTS),
    Record(CLICK, _said(CLICK, customer_id=None, anonymous_id=None), Why.MISSING_IDENTITY, "customer_id"),
    Record(CLICK, b"{}", Why.MISSING_FIELD, "event_id"),
    Record(CLICK, _without(CLICK, "event_type"), Why.MISSING_FIELD, "event_type"),
    Record(CUSTOMER, _without(CUSTOMER, "event_type"), Why.MISSING_FIELD, "event_type"),
    Record(MONEY, _without(MONEY, "amount"), Why.MISSING_FIELD, "amount"),
    Record(MONEY, _without(MONEY, "currency"), Why.MISSING_FIELD, "currency"),
    Record(WORDS, _said(WORDS, amount_at_issue="12.00"), Why.MISSING_FIELD, "currency"),
    Record(CUSTOMER, _without(CUSTOMER, "purpose"), Why.MISSING_FIELD, "purpose"),
    Record(CUSTOMER, _without(CUSTOMER, "status"), Why.MISSING_FIELD, "status"),
    Record(CUSTOMER, _said(CUSTOMER, event_type="credit_score"), Why.MISSING_FIELD, "score"),
    Record(CUSTOMER, _said(CUSTOMER, event_type="override"), Why.MISSING_FIELD, "name"),
    Record(OUTCOME, _without(OUTCOME, "signal_id"), Why.MISSING_FIELD, "signal_id"),
    Record(OUTCOME, _without(OUTCOME, "outcome"), Why.MISSING_FIELD, "outcome"),
]

_WRONG_TYPE = [
    Record(CLICK, _said(CLICK, event_id=17), Why.WRONG_TYPE, "event_id"),
    Record(CLICK, _said(CLICK, event_id=None), Why.WRONG_TYPE, "event_id"),
    Record(CLICK, _said(CLICK, event_type=5), Why.WRONG_TYPE, "event_type"),
    Record(CUSTOMER, _said(CUSTOMER, event_type=5), Why.WRONG_TYPE, "event_type"),
    Record(CUSTOMER, _said(CUSTOMER, event_type=["consent"]), Why.WRONG_TYPE, "event_type"),
    Record(CUSTOMER, _said(CUSTOMER, event_type=None), Why.WRONG_TYPE, "event_type"),
    Record(CLICK, _said(CLICK, event_time=1_740_830_400), Why.WRONG_TYPE, "event_time"),
    Record(CLICK, _said(CLICK, event_time={"$date": AT}), Why.WRONG_TYPE, "event_time"),
    Record(MONEY, _said(MONEY, customer_id=10_017), Why.WRONG_TYPE, "customer_id"),
    Record(MONEY, _said(MONEY, customer_id={"id": "c1"}), Why.WRONG_TYPE, "customer_id"),
    Record(MONEY, _said(MONEY, anonymous_id=False), Why.WRONG_TYPE, "anonymous_id"),
    Record(MONEY, _said(MONEY, amount=1234.5), Why.WRONG_TYPE, "amount"),
    Record(MONEY, _said(MONEY, amount=1234), Why.WRONG_TYPE, "amount"),
    Record(MONEY, _said(MONEY, amount=None), Why.WRONG_TYPE, "amount"),
    Record(MONEY, _said(MONEY, currency=978), Why.WRONG_TYPE, "currency"),
    Record(MONEY, _said(MONEY, balance_after=10), Why.WRONG_TYPE, "balance_after"),
    Record(MONEY, _said(MONEY, mcc=5411), Why.WRONG_TYPE, "mcc"),
    Record(CLICK, _said(CLICK, url=["/loans"]), Why.WRONG_TYPE, "url"),
    Record(CLICK, _said(CLICK, dwell_ms="1500"), Why.WRONG_TYPE, "dwell_ms"),
    Record(CLICK, _said(CLICK, dwell_ms=1500.5), Why.WRONG_TYPE, "dwell_ms"),
    Record(CLICK, _said(CLICK, dwell_ms=True), Why.WRONG_TYPE, "dwell_ms"),
    Record(CLICK, _said(CLICK, properties=[["a", 1]]), Why.WRONG_TYPE, "properties"),
    Record(CLICK, _said(CLICK, properties={"ok": 1, "list": [1]}), Why.WRONG_TYPE, "properties.list"),
    Record(CLICK, _said(CLICK, properties={"ok": 1, "a.b": {"c": 1}}), Why.WRONG_TYPE, "properties.a.b"),
    Record(WORDS, _said(WORDS, text=None), Why.WRONG_TYPE, "text"),
    Record(WORDS, _said(WORDS, rating="5"), Why.WRONG_TYPE, "rating"),
    Record(WORDS, _said(WORDS, resolved="true"), Why.WRONG_TYPE, "resolved"),
    Record(CUSTOMER, _said(CUSTOMER, status=True), Why.WRONG_TYPE, "status"),
    Record(CUSTOMER, _said(CUSTOMER, **_SCORE | {"score": 640.5}), Why.WRONG_TYPE, "score"),
    Record(CUSTOMER, _said(CUSTOMER, **_PROFILE, birth_year="1980"), Why.WRONG_TYPE, "birth_year"),
    # Of a repeated field every value must be valid, also the ones that do not count.
    Record(CLICK, _plus(CLICK, b'"event_id": 5, "event_id": "e2"'), Why.WRONG_TYPE, "event_id"),
]

_WRONG_VALUE = [
    Record(CLICK, _said(CLICK, event_type="pageview"), Why.UNKNOWN_EVENT_TYPE, "event_type"),
    Record(CLICK, _said(CLICK, event_type="x - at `$.url`"), Why.UNKNOWN_EVENT_TYPE, "event_type"),
    Record(MONEY, _said(MONEY, event_type="DEPOSIT"), Why.UNKNOWN_EVENT_TYPE, "event_type"),
    Record(CUSTOMER, _said(CUSTOMER, event_type="consents"), Why.UNKNOWN_EVENT_TYPE, "event_type"),
    Record(OUTCOME, _said(OUTCOME, event_type="page_view"), Why.UNKNOWN_EVENT_TYPE, "event_type"),
    Record(CLICK, _said(CLICK, event_id=""), Why.INVALID_VALUE, "event_id"),
    Record(CLICK, _said(CLICK, event_id="   "), Why.INVALID_VALUE, "event_id"),
    Record(CLICK, _said(CLICK, event_id="e" * 201), Why.INVALID_VALUE, "event_id"),
    Record(MONEY, _said(MONEY, customer_id=""), Why.INVALID_VALUE, "customer_id"),
    Record(MONEY, _said(MONEY, customer_id="c1\x00"), Why.INVALID_VALUE, "customer_id"),
    Record(MONEY, _said(MONEY, customer_id="c1\n"), Why.INVALID_VALUE, "customer_id"),
    Record(MONEY, _said(MONEY, customer_id="\u202e1c"), Why.INVALID_VALUE, "customer_id"),
    Record(CLICK, _said(CLICK, customer_id=None, anonymous_id="\u200b"), Why.INVALID_VALUE, "anonymous_id"),
    Record(CLICK, _said(CLICK, dwell_ms=-1), Why.INVALID_VALUE, "dwell_ms"),
    Record(CLICK, _said(CLICK, dwell_ms=86_400_001), Why.INVALID_VALUE, "dwell_ms"),
    Record(CLICK, _said(CLICK, dwell_ms=10**30), Why.INVALID_VALUE, "dwell_ms"),
    Record(CLICK, _plus(CLICK, b'"dwell_ms": 1e400'), Why.INVALID_VALUE, "dwell_ms"),
    Record(CLICK, _plus(CLICK, b'"dwell_ms": ' + b"9" * 5_000), Why.INVALID_VALUE, "dwell_ms"),
    Record(CLICK, _said(CLICK, url="/" * 2_049), Why.INVALID_VALUE, "url"),
    Record(CLICK, _said(CLICK, properties={str(number): 1 for number in range(65)}), Why.INVALID_VALUE, "properties"),
    Record(CLICK, _said(CLICK, properties={"ok": 1, "k" * 257: 1}), Why.INVALID_VALUE, "properties." + "k" * 64),
    Record(CLICK, _said(CLICK, properties={"ok": 1, "big": 2**63}), Why.INVALID_VALUE, "properties.big"),
    Record(CLICK, _plus(CLICK, b'"properties": {"ok": 1, "x": 1e400}'), Why.INVALID_VALUE, "properties.x"),
    Record(WORDS, _said(WORDS, rating=10.1), Why.INVALID_VALUE, "rating"),
    Record(WORDS, _plus(WORDS, b'"rating": ' + b"9" * 400), Why.INVALID_VALUE, "rating"),
    Record(CUSTOMER, _said(CUSTOMER, purpose="sales"), Why.INVALID_VALUE, "purpose"),
    Record(CUSTOMER, _said(CUSTOMER, status="granted"), Why.INVALID_VALUE, "status"),
    Record(CUSTOMER, _said(CUSTOMER, **_SCORE | {"score": 1_001}), Why.INVALID_VALUE, "score"),
    Record(CUSTOMER, _said(CUSTOMER, **_PROFILE, risk_level=0), Why.INVALID_VALUE, "risk_level"),
    Record(CUSTOMER, _said(CUSTOMER, **_PROFILE, home_currency="EURO"), Why.UNKNOWN_CURRENCY, "home_currency"),
    Record(OUTCOME, _said(OUTCOME, outcome="bought"), Why.INVALID_VALUE, "outcome"),
]

_WRONG_MONEY = [
    *(
        Record(MONEY, _said(MONEY, amount=amount), Why.INVALID_AMOUNT, "amount")
        for amount in (
            "1e5",
            "1,234.50",
            "1234,50",
            "+5",
            "",
            "\u0665",
            "1234.50\n",
            "NaN",
            "1" * 16,
            "-1",
            "-0.00",
            "1.001",
        )
    ),
    Record(MONEY, _said(MONEY, amount="1.5", currency="JPY"), Why.INVALID_AMOUNT, "amount"),
    Record(MONEY, _said(MONEY, event_type="balance", amount="--1"), Why.INVALID_AMOUNT, "amount"),
    Record(MONEY, _said(MONEY, balance_after="12 EUR"), Why.INVALID_AMOUNT, "balance_after"),
    Record(MONEY, _said(MONEY, currency="eur"), Why.UNKNOWN_CURRENCY, "currency"),
    # What ISO 4217 reserves for "no currency" is none.
    Record(MONEY, _said(MONEY, currency="XXX"), Why.UNKNOWN_CURRENCY, "currency"),
    Record(WORDS, _said(WORDS, currency="EU"), Why.UNKNOWN_CURRENCY, "currency"),
    Record(WORDS, _said(WORDS, amount_at_issue="much", currency="EUR"), Why.INVALID_AMOUNT, "amount_at_issue"),
    *(
        Record(MONEY, _said(MONEY, mcc=code), Why.INVALID_VALUE, "mcc")
        for code in ("541", "54112", "541\n", "\u0665\u0664\u0661\u0661")
    ),
]

_WRONG_TIME = [
    *(
        Record(CLICK, _said(CLICK, event_time=time), Why.INVALID_VALUE, "event_time")
        for time in (
            *("2025-03-01T12:00:00", "yesterday", "2025-02-30T12:00:00Z", "0000-01-01T00:00:00Z"),
            *("2025-03-01T25:00:00Z", "2025-03-01T12:00:00+99:00", "99999-03-01T12:00:00Z"),
        )
    ),
    Record(CLICK, _said(CLICK, event_time="1969-12-31T23:59:59.999Z"), Why.TIME_TOO_EARLY, "event_time"),
    Record(CLICK, _said(CLICK, event_time="0001-01-01T00:00:00+14:00"), Why.TIME_TOO_EARLY, "event_time"),
    Record(MONEY, _said(MONEY, event_time="2025-03-01T12:10:00.001Z"), Why.TIME_TOO_LATE, "event_time"),
    Record(MONEY, _said(MONEY, event_time="2025-03-01T12:00:00-05:00"), Why.TIME_TOO_LATE, "event_time"),
    Record(MONEY, _said(MONEY, event_time="9999-12-31T23:59:59-14:00"), Why.TIME_TOO_LATE, "event_time"),
]

_WRONG_KEY = [
    Record(CLICK, GOOD[CLICK], Why.KEY_MISMATCH, "customer_id", b"c2"),
    Record(MONEY, GOOD[MONEY], Why.KEY_MISMATCH, "customer_id", b""),
    Record(OUTCOME, GOOD[OUTCOME], Why.KEY_MISMATCH, "customer_id", b"\xff\xfe"),
    Record(CLICK, _said(CLICK, anonymous_id="a1"), Why.KEY_MISMATCH, "customer_id", b"a1"),
    Record(CLICK, _said(CLICK, customer_id=None, anonymous_id="a1"), Why.KEY_MISMATCH, "anonymous_id", b"c1"),
]

RECORDS: list[Record] = [
    *(*_NO_JSON, *_NO_TEXT, *_NO_OBJECT, *_TOO_MUCH, *_MISSING),
    *(*_WRONG_TYPE, *_WRONG_VALUE, *_WRONG_MONEY, *_WRONG_TIME, *_WRONG_KEY),
]
