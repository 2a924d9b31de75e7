"""Mutated records through decoding and a partition: rejected for one reason or applied, harmless to the others.

20,000 records unless FUZZ_RECORDS says another number. The seed is fixed; what fails is named by the bytes,
the family and the key of its record.
"""

import contextlib
import gc
import hashlib
import json
import os
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

import stories
from needstream.schemas import codecs, identities, times
from needstream.schemas import state as states
from needstream.schemas.dead_letters import REMEDIES, DeadLetter, Rejected, RejectReason
from needstream.streams import outputs
from needstream.streams.pipeline import inputs

RECORDS = int(os.environ.get("FUZZ_RECORDS", "20000"))
SEED = 20250301
SPAN_MS = 40 * times.DAY_MS
START_MS = times.parse_rfc3339("2025-03-01T00:00:00Z")
TOLERANCE_MS = 10 * times.MINUTE_MS
EVERY_GOOD = 10
FLUSH_EVERY = 500
GOOD = "good-neighbour-"
BLOCKS_PER_CUSTOMER = 12
"""What the store, its index and the alarms may keep of a customer, in allocated blocks."""

BLOCKS_OF_CHANCE = 5_000
"""How far the count may be off between two moments of a steady run: caches, interned names, freed lists."""


class Sent(NamedTuple):
    """A record as a producer sent it, and when."""

    family: str
    raw: bytes
    key: bytes | None
    at_ms: int


Fields = dict[str, Any]

_SAID: list[tuple[str, Fields]] = [
    ("clickstream", {"event_type": "page_view", "url": "/loans/rates", "dwell_ms": 1500}),
    ("clickstream", {"event_type": "search", "query": "borrow", "properties": {"x": 1, "y": "z"}}),
    ("clickstream", {"event_type": "form_step", "form": "loan_application", "step": "2", "session_id": "s"}),
    ("clickstream", {"event_type": "identify", "anonymous_id": "a1"}),
    ("clickstream", {"event_type": "page_view", "url": "/loans", "customer_id": None, "anonymous_id": "a1"}),
    ("transactions", {"event_type": "deposit", "amount": "1234.50", "currency": "EUR", "balance_after": "99.00"}),
    ("transactions", {"event_type": "card_payment", "amount": "12.00", "currency": "USD", "mcc": "5411"}),
    ("transactions", {"event_type": "transfer_in", "amount": "2500.00", "currency": "EUR", "counterparty": "ACME"}),
    ("transactions", {"event_type": "balance", "amount": "-5.00", "currency": "EUR"}),
    ("feedback", {"event_type": "complaint", "text": "slow", "rating": 1.5, "lang": "en"}),
    ("feedback", {"event_type": "survey", "amount_at_issue": "10.00", "currency": "EUR", "resolved": True}),
    ("customers", {"event_type": "profile", "birth_year": 1980, "risk_level": 2, "home_currency": "EUR"}),
    ("customers", {"event_type": "consent", "purpose": "marketing", "status": "GRANTED"}),
    ("customers", {"event_type": "preference", "channel": "app", "quiet_hours": "22:00-07:00", "mute": False}),
    ("customers", {"event_type": "credit_score", "score": 640}),
    ("customers", {"event_type": "erasure", "reason": "asked"}),
    ("customers", {"event_type": "override", "name": "tier", "value": "gold", "author": "x"}),
    ("outcomes", {"event_type": "outcome", "signal_id": "s1", "outcome": "accepted"}),
    ("identities", {"event_type": "link", "anonymous_id": "a1", "reply_to": 0}),
    ("identities", {"event_type": "history", "anonymous_id": "a1", "reply_to": 0, "counters": {"x": [1.0, 2.0]}}),
    ("identities", {"event_type": "forgotten", "anonymous_id": "a1"}),
]

_GOOD: list[tuple[str, Fields]] = [
    *[("clickstream", {"event_type": "page_view", "url": url}) for url in ("/loans", "/loans/rates", "/wealth", "/x")],
    ("clickstream", {"event_type": "search", "query": "borrow"}),
    ("clickstream", {"event_type": "form_step", "form": "loan_application", "step": "1"}),
    ("transactions", {"event_type": "card_payment", "amount": "40.00", "currency": "EUR", "balance_after": "900.00"}),
    ("transactions", {"event_type": "deposit", "amount": "9000.00", "currency": "EUR", "balance_after": "9900.00"}),
    ("transactions", {"event_type": "instalment", "amount": "90.00", "currency": "EUR"}),
    ("customers", {"event_type": "consent", "purpose": "marketing", "status": "GRANTED"}),
    ("customers", {"event_type": "credit_score", "score": 700}),
    ("feedback", {"event_type": "complaint", "text": "slow"}),
]

_DEEP = [json.loads("[" * depth + "]" * depth) for depth in (3, 14, 15, 16, 40)]
_ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 10, 2**31, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**30, -(10**400)),
    *(0.1, -0.0, 1e308, 5e-324, float("nan"), float("inf"), -float("inf")),
    *("", " ", "a", "\x00", "\x7f", "\u202e", "\ud800", "\udfffx", "\U0010ffff", "'", '"', "\\", "\n", "null", "{}"),
    # XXX is what ISO 4217 reserves for "no currency".
    *("x" * 256, "x" * 257, "x" * 3_000, "9" * 400, "1e5", "-0.00", "0.001", "\u0661", "EUR", "eur", "XXX", "NaN"),
    *([], {}, [None], {"a": {"b": [1]}}, {"": ""}, {"a" * 300: 1}, {str(number): number for number in range(70)}),
    *_DEEP,
]
_TIMES = [
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-23:59"),
    *("1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.0005Z", "2024-02-29T12:00:00Z"),
    *("2025-02-29T12:00:00Z", "2016-12-31T23:59:60Z", "2025-03-01T24:00:00Z", "2025-03-01", "20250301T120000Z"),
    *("2025-03-01 12:00:00Z", "2025-03-01T12:00:00", "2025-03-01T12:00:00z", "2025-03-01T12:00Z", "1740830400"),
]
_TOKENS = [
    *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e-999", b"0" * 40, b"9" * 400, b"01", b"+1", b".5", b"1."),
    *(b"\x00", b"\x1b[2J", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\\ud800"),
    *(b"\\u0000", b"\\", b'"', b"'", b"{", b"}", b"[", b"]", b",", b":", b"//", b"/**/", b"null", b"true", b"\r\n"),
    *(b"[" * 20, b'{"a":' * 20, b"]" * 5, b"}" * 5, b'"event_id":1,', b'"event_type":"x",', b'"customer_id":null,'),
]


def mutants(count: int) -> Iterator[Sent]:
    """Records of fifty customers of ours, most of them broken."""
    chance = random.Random(SEED)
    for number in range(count):
        at_ms = START_MS + number * SPAN_MS // count
        family, said = _SAID[number % len(_SAID)]
        customer_id = f"m{chance.randrange(50)}"
        fields = {
            "event_id": f"e{number}",
            "event_time": times.rfc3339(at_ms),
            "customer_id": customer_id,
            "anonymous_id": None,
            **said,
        }
        key = str(fields["customer_id"] or fields["anonymous_id"]).encode()
        if chance.random() < 0.1:
            key = chance.choice([b"", b"m0", b"a1", b"\xff", b"\x00", key + b" ", None])
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
            chance.choice(_IN_FIELDS)(chance, fields)
        raw = json.dumps(fields, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
        if chance.random() < 0.5:
            raw = chance.choice(_IN_BYTES)(chance, raw)
        if chance.random() < 0.001:
            raw = chance.choice([b"", b" " * 70_000, b"[" * 65_536, raw + b" " * 65_536, b'{"a":' * 12_000])
        yield Sent(family, raw, key, at_ms)


def neighbours(count: int) -> Iterator[Sent]:
    """Valid records of twenty other customers, one for every few mutants."""
    chance = random.Random(SEED + 1)
    for number in range(0, count, EVERY_GOOD):
        at_ms = START_MS + number * SPAN_MS // count
        family, said = chance.choice(_GOOD)
        customer_id = f"{GOOD}{chance.randrange(20)}"
        fields = {
            "event_id": f"{customer_id}/{number}",
            "event_time": times.rfc3339(at_ms),
            "customer_id": customer_id,
            **said,
        }
        yield Sent(family, json.dumps(fields).encode(), customer_id.encode(), at_ms)


def _replace_value(chance: random.Random, fields: Fields) -> None:
    if fields:
        fields[chance.choice(list(fields))] = chance.choice(_ODD)


def _swap_values(chance: random.Random, fields: Fields) -> None:
    if len(fields) > 1:
        first, second = chance.sample(list(fields), 2)
        fields[first], fields[second] = fields[second], fields[first]


def _change_type(chance: random.Random, fields: Fields) -> None:
    if fields:
        name = chance.choice(list(fields))
        value = fields[name]
        fields[name] = chance.choice([str(value), [value], {"value": value}, len(str(value)), bool(value)])


def _remove(chance: random.Random, fields: Fields) -> None:
    if fields:
        del fields[chance.choice(list(fields))]


def _rename(chance: random.Random, fields: Fields) -> None:
    if fields:
        name = chance.choice(list(fields))
        fields[chance.choice([name.upper(), name + " ", "x" * 100, "", "\ud800", "caf\u00e9"])] = fields.pop(name)


def _add_unknown(chance: random.Random, fields: Fields) -> None:
    fields[chance.choice(["unknown", "properties", "properties", "url", "amount", "\u202e"])] = chance.choice(_ODD)


def _set_property(chance: random.Random, fields: Fields) -> None:
    fields["properties"] = {chance.choice(["a", "", "a.b", "x" * 256]): chance.choice(_ODD)}


def _set_time(chance: random.Random, fields: Fields) -> None:
    """Far off, or a little before or after what it was, also just beyond what is taken for a clock's fault."""
    if chance.random() < 0.5:
        fields["event_time"] = chance.choice(_TIMES)
    elif isinstance(fields.get("event_time"), str):
        moved_ms = chance.choice([-1, 1]) * chance.choice(
            [1, 1_000, 599_999, 600_001, times.DAY_MS, 400 * times.DAY_MS]
        )
        with contextlib.suppress(ValueError, OverflowError):
            fields["event_time"] = times.rfc3339(times.parse_rfc3339(fields["event_time"]) + moved_ms)


def _set_identity(chance: random.Random, fields: Fields) -> None:
    fields[chance.choice(["customer_id", "anonymous_id"])] = chance.choice(["m1", "a1", "a2", "m1 ", "M1", "m\x1f1"])


_IN_FIELDS: list[Callable[[random.Random, Fields], None]] = [
    *(_replace_value, _swap_values, _change_type, _remove, _rename, _add_unknown, _set_property),
    *(_set_time, _set_time, _set_identity),
]


def _place(chance: random.Random, raw: bytes) -> int:
    return chance.randrange(len(raw) + 1)


def _flip(chance: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(chance.choice((1, 1, 2, 8))):
        changed[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _truncate(chance: random.Random, raw: bytes) -> bytes:
    return raw[: _place(chance, raw)]


def _behead(chance: random.Random, raw: bytes) -> bytes:
    return raw[_place(chance, raw) :]


def _insert_noise(chance: random.Random, raw: bytes) -> bytes:
    place = _place(chance, raw)
    return raw[:place] + chance.randbytes(chance.choice((1, 2, 16))) + raw[place:]


def _insert_token(chance: random.Random, raw: bytes) -> bytes:
    place = _place(chance, raw)
    return raw[:place] + chance.choice(_TOKENS) + raw[place:]


def _replace_member(chance: random.Random, raw: bytes) -> bytes:
    """A value as it stands in the bytes becomes a token."""
    place = raw.find(b": ", _place(chance, raw))
    end = raw.find(b",", place)
    return raw if place < 0 or end < 0 else raw[: place + 2] + chance.choice(_TOKENS) + raw[end:]


def _repeat(chance: random.Random, raw: bytes) -> bytes:
    start, end = sorted((_place(chance, raw), _place(chance, raw)))
    return raw[:end] + raw[start:end] * chance.choice((1, 1, 2, 20)) + raw[end:]


def _delete(chance: random.Random, raw: bytes) -> bytes:
    start = _place(chance, raw)
    return raw[:start] + raw[start + chance.choice((1, 2, 10)) :]


def _repeat_member(chance: random.Random, raw: bytes) -> bytes:
    """A field twice, the second time with another value."""
    return raw[:-1] + b", " + chance.choice([b'"event_id": 5', b'"customer_id": "m2"', b'"event_time": "x"']) + b"}"


def _wrap(chance: random.Random, raw: bytes) -> bytes:
    before, after = chance.choice([(b"[", b"]"), (b'{"a": ', b"}"), (b" \n", b"\t "), (raw, b""), (b"", b"\n" + raw)])
    return before + raw + after


_IN_BYTES: list[Callable[[random.Random, bytes], bytes]] = [
    *(_flip, _truncate, _behead, _insert_noise, _insert_token, _replace_member, _repeat, _delete),
    *(_repeat_member, _wrap),
]


class Life:
    """A partition that is given records as they come, as the lane does; all it keeps is what a test compares."""

    def __init__(self, scene: Any) -> None:
        self.run = stories.Run(scene.definitions, scorer=scene.scorer, post=self._post)
        self.reasons: Counter[str] = Counter()
        self.applied: Counter[str] = Counter()
        self._said = defaultdict(hashlib.sha256)
        self._counts: Counter[str] = Counter()
        self._offsets: Counter[str] = Counter()

    def give(self, record: Sent) -> None:
        """Decode a record and apply it, or note why it cannot be used."""
        topic = f"{record.family}.v1"
        offset = self._offsets[topic]
        self._offsets[topic] += 1
        latest_ms = record.at_ms + TOLERANCE_MS
        decoded = codecs.decode(record.raw, family=record.family, latest_ms=latest_ms, key=record.key)
        if isinstance(decoded, Rejected):
            self._reject(record, decoded)
            return
        self.applied[record.family] += 1
        self._push(inputs.arrival(decoded, topic, offset=offset, key=record.key))

    def finish(self) -> None:
        """Let a month pass and store everything."""
        self.run.finish(until=START_MS + SPAN_MS + 30 * times.DAY_MS)
        self._hear()

    def said(self) -> dict[str, tuple[int, str]]:
        """How much was said of each good neighbour, and a digest of it in order."""
        return {
            customer_id: (self._counts[customer_id], self._said[customer_id].hexdigest()) for customer_id in self._said
        }

    def remembered(self) -> dict[str, states.CustomerState]:
        """The good neighbours' states without their offsets, which count what else is on the topics."""
        restored = {key: states.restore(stored) for key, stored in self.run.store.items() if key.startswith(GOOD)}
        return {key: msgspec.structs.replace(state, applied={}) for key, state in restored.items()}

    def _post(self, message: identities.IdentityMessage) -> None:
        topic = "identities.v1"
        self.run.partition.push(inputs.arrival(message, topic, offset=self._offsets[topic]))
        self._offsets[topic] += 1

    def _push(self, arrival: inputs.Arrival) -> None:
        self.run.partition.push(arrival)
        self.run.advance(stories.ALL)
        self._hear()
        if sum(self._offsets.values()) % FLUSH_EVERY == 0:
            self.run.flush()

    def _hear(self) -> None:
        for emission in self.run.emissions:
            outputs.records(emission)
            told = msgspec.json.encode(emission)
            place = told.find(GOOD.encode())
            if place >= 0:
                customer_id = told[place : place + len(GOOD) + 2].decode().rstrip('/",')
                self._said[customer_id].update(type(emission).__name__.encode() + told)
                self._counts[customer_id] += 1
        self.run.emissions.clear()

    def _reject(self, record: Sent, rejected: Rejected) -> None:
        assert isinstance(rejected.reason, RejectReason)
        assert rejected.reason is not RejectReason.POISON_PILL
        letter = DeadLetter(
            topic=f"{record.family}.v1",
            partition=0,
            offset=0,
            reason=rejected.reason,
            field=rejected.field,
            detail=rejected.detail,
            remedy=REMEDIES[rejected.reason],
            key=record.key,
            value=record.raw,
        )
        outputs.dead_letter_headers(letter)
        self.reasons[rejected.reason.value] += 1


def _live(life: Life, records: Iterator[Sent]) -> None:
    for record in records:
        try:
            life.give(record)
        except Exception as error:
            msg = f"{type(error).__name__}: {error} in {record}"
            raise AssertionError(msg) from error


def _together(count: int) -> Iterator[Sent]:
    good = neighbours(count)
    for number, record in enumerate(mutants(count)):
        if number % EVERY_GOOD == 0:
            yield next(good)
        yield record


def _blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


def test_mutated_records_are_rejected_or_applied_and_never_change_what_is_said_of_others(population):
    alone, together = Life(population), Life(population)
    _live(alone, neighbours(RECORDS))
    alone.finish()
    records = _together(RECORDS)
    early = RECORDS // 5 + RECORDS // 5 // EVERY_GOOD
    _live(together, (next(records) for _ in range(early)))
    together.run.flush()
    early_blocks, early_customers = _blocks(), len(together.run.store)
    _live(together, records)
    together.run.flush()
    blocks, customers = _blocks(), len(together.run.store)
    together.finish()

    assert not alone.reasons
    assert RECORDS + RECORDS // EVERY_GOOD == sum(together.reasons.values()) + sum(together.applied.values())
    assert len(codecs.FAMILIES) + 1 == len(together.applied)
    assert alone.said() == together.said()
    assert 20 == len(alone.said())
    assert alone.remembered() == together.remembered()
    assert blocks - early_blocks <= BLOCKS_OF_CHANCE + BLOCKS_PER_CUSTOMER * (customers - early_customers)


def test_the_mutants_reach_every_reason():
    """Else the fuzz would prove less than it says."""
    met = set()
    for record in mutants(20_000):
        latest_ms = record.at_ms + TOLERANCE_MS
        decoded = codecs.decode(record.raw, family=record.family, latest_ms=latest_ms, key=record.key)
        again = codecs.decode(record.raw, family=record.family, latest_ms=latest_ms, key=record.key)
        if isinstance(decoded, Rejected):
            assert decoded == again
            met.add(decoded.reason)

    assert set(RejectReason) - {RejectReason.POISON_PILL} == met
