"""Events as tests write them: one call each, everything but the point of the test left out.

    click(at="2025-03-01T09:00:00Z", customer="c1", url="/loans")
    transaction("deposit", at="2025-03-01T09:00:00Z", amount="2500.00", counterparty="ACME payroll")
    bytes_of(click(at="2025-03-01T09:00:00Z"))          # what a producer would send

``customer=None, anonymous="a1"`` makes an event from before the login. Every other keyword is a field of the
event. The ``event_id`` follows from the content: equal calls give equal events, a different field another event.
"""

import hashlib
from typing import Any

import msgspec

from needstream.schemas import events, times

NOON = "2025-03-01T12:00:00Z"
"""When something happens if the test does not care."""

_CUSTOMERS = {
    "profile": events.Profile,
    "consent": events.Consent,
    "preference": events.Preference,
    "credit_score": events.CreditScore,
    "erasure": events.Erasure,
    "override": events.Override,
}


def click(kind: str = "page_view", *, at: str = NOON, customer: str | None = "c1", **said: Any) -> events.Click:
    """A clickstream event; ``kind`` is its ``event_type``."""
    return _event(events.Click, {"event_type": kind, **said}, at=at, customer=customer)


def transaction(
    kind: str = "card_payment", *, at: str = NOON, customer: str | None = "c1", **said: Any
) -> events.Transaction:
    """A transaction of 100.00 EUR unless said otherwise."""
    said = {"event_type": kind, "amount": "100.00", "currency": "EUR", **said}
    return _event(events.Transaction, said, at=at, customer=customer)


def feedback(kind: str = "complaint", *, at: str = NOON, customer: str | None = "c1", **said: Any) -> events.Feedback:
    """Something a customer told us."""
    return _event(events.Feedback, {"event_type": kind, **said}, at=at, customer=customer)


def customer_event(
    kind: str = "profile", *, at: str = NOON, customer: str | None = "c1", **said: Any
) -> events.CustomerEvent:
    """A change of a customer's own record: profile, consent, preference, credit_score, erasure or override."""
    return _event(_CUSTOMERS[kind], said, at=at, customer=customer)


def consent(
    purpose: str = "marketing", status: str = "GRANTED", *, at: str = NOON, customer: str | None = "c1", **said: Any
) -> events.Consent:
    """A customer's decision on one purpose."""
    return _event(events.Consent, {"purpose": purpose, "status": status, **said}, at=at, customer=customer)


def outcome(
    result: str = "accepted", *, at: str = NOON, customer: str | None = "c1", signal: str = "s1", **said: Any
) -> events.Outcome:
    """What became of a signal."""
    return _event(events.Outcome, {"outcome": result, "signal_id": signal, **said}, at=at, customer=customer)


def bytes_of(event: events.AnyEvent) -> bytes:
    """The record a producer would send for ``event``: JSON, fields that say nothing left out."""
    said = msgspec.to_builtins(event)
    return msgspec.json.encode({name: value for name, value in said.items() if value is not None})


def ms(text: str) -> int:
    """Milliseconds of an RFC 3339 text."""
    return times.parse_rfc3339(text)


def _event(kind: type, said: dict[str, Any], *, at: str, customer: str | None) -> Any:
    said = {"event_time": at, "customer_id": customer, **said}
    if "anonymous" in said:
        said["anonymous_id"] = said.pop("anonymous")
    said = {name: value for name, value in said.items() if value is not None}
    named = kind.__name__ + repr(sorted(said.items()))
    said.setdefault("event_id", "e-" + hashlib.blake2b(named.encode(), digest_size=6).hexdigest())
    tag = kind.__struct_config__.tag
    return msgspec.convert(said | ({"event_type": tag} if tag else {}), kind)
