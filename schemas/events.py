"""Inbound events: what producers may say on the five input topics.

Every event is a JSON object with ``event_id``, ``event_type``, ``event_time`` and at least one of
``customer_id`` and ``anonymous_id``. Fields that are not named here are ignored. What the types
cannot express (one identity at least, exact money, sane times) is checked in ``codecs``.
"""

from datetime import datetime
from typing import Annotated, Literal, final

from msgspec import Meta, Struct

from needstream.schemas import money

Identifier = Annotated[str, Meta(min_length=1, max_length=200)]
ShortText = Annotated[str, Meta(max_length=256)]
LongText = Annotated[str, Meta(max_length=8192)]
# What ``codecs`` checks faster or more exactly than a pattern does stands in the JSON Schema only.
Amount = Annotated[str, Meta(extra_json_schema={"pattern": money.AMOUNT_PATTERN})]
Currency = Annotated[str, Meta(extra_json_schema={"enum": sorted(money.EXPONENTS)})]
CategoryCode = Annotated[str, Meta(min_length=4, max_length=4, extra_json_schema={"pattern": "^[0-9]{4}$"})]
Moment = Annotated[datetime, Meta(tz=True)]
Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Scalar = str | Whole | float | bool | None

ClickType = Literal[
    "page_view",
    "search",
    "click",
    "feature_use",
    "login",
    "logout",
    "form_step",
    "identify",
    "error",
]
TransactionType = Literal[
    "deposit",
    "withdrawal",
    "transfer_in",
    "transfer_out",
    "card_payment",
    "refund",
    "instalment",
    "loan_disbursement",
    "loan_repayment",
    "card_repayment",
    "fee",
    "interest",
    "fx_remittance",
    "investment_buy",
    "investment_sell",
    "insurance_premium",
    "purchase",
    "application",
    "balance",
]
FeedbackType = Literal["complaint", "suggestion", "chat_message", "survey", "review", "call"]
Purpose = Literal["marketing", "profiling", "service", "analytics"]
ConsentStatus = Literal["GRANTED", "DENIED", "REVOKED"]
OutcomeType = Literal["delivered", "shown", "opened", "clicked", "accepted", "refused", "converted", "complained"]

SIGNED_KINDS: frozenset[TransactionType] = frozenset({"balance", "interest", "refund"})
"""The kinds of transaction whose amount may be negative."""


class Event(Struct, frozen=True, kw_only=True, gc=False):
    """What every event carries, whatever its topic."""

    event_id: Identifier
    event_time: Moment
    customer_id: Identifier | None = None
    anonymous_id: Identifier | None = None


class Click(Event, frozen=True, kw_only=True):
    """One thing a person did on a page or in the app (``clickstream.v1``)."""

    event_type: ClickType
    url: Annotated[str, Meta(max_length=2048)] | None = None
    page: ShortText | None = None
    product: ShortText | None = None
    query: Annotated[str, Meta(max_length=512)] | None = None
    dwell_ms: Annotated[int, Meta(ge=0, le=86_400_000)] | None = None
    form: ShortText | None = None
    step: ShortText | None = None
    channel: ShortText | None = None
    session_id: ShortText | None = None
    device: ShortText | None = None
    properties: Annotated[dict[ShortText, Scalar], Meta(max_length=64)] | None = None


class Transaction(Event, frozen=True, kw_only=True):
    """One movement, application or balance of an account (``transactions.v1``).

    ``event_type`` tells the direction of ``amount``; only balances, interest and refunds may be negative.
    """

    event_type: TransactionType
    amount: Amount
    currency: Currency
    balance_after: Amount | None = None
    mcc: CategoryCode | None = None
    channel: ShortText | None = None
    counterparty: ShortText | None = None
    product: ShortText | None = None
    status: ShortText | None = None


class Feedback(Event, frozen=True, kw_only=True):
    """What a customer told us in words or ratings (``feedback.v1``)."""

    event_type: FeedbackType
    text: LongText = ""
    lang: Annotated[str, Meta(max_length=35)] | None = None
    topic: ShortText | None = None
    rating: Annotated[float, Meta(ge=0, le=10)] | None = None
    amount_at_issue: Amount | None = None
    currency: Currency | None = None
    channel: ShortText | None = None
    resolved: bool | None = None


class Profile(Event, frozen=True, kw_only=True, tag_field="event_type", tag="profile"):
    """Reference attributes of a customer; a missing field leaves the known value alone."""

    birth_year: Annotated[int, Meta(ge=1900, le=2100)] | None = None
    age_band: Annotated[str, Meta(max_length=16)] | None = None
    tier: Annotated[str, Meta(max_length=32)] | None = None
    risk_level: Annotated[int, Meta(ge=1, le=5)] | None = None
    language: Annotated[str, Meta(max_length=35)] | None = None
    home_currency: Currency | None = None
    party_type: Literal["person", "company"] | None = None
    segment: Annotated[str, Meta(max_length=32)] | None = None


class Consent(Event, frozen=True, kw_only=True, tag_field="event_type", tag="consent"):
    """A customer's decision on one purpose; the newest event time wins."""

    purpose: Purpose
    status: ConsentStatus


class Preference(Event, frozen=True, kw_only=True, tag_field="event_type", tag="preference"):
    """How a customer wants to be contacted."""

    channel: Annotated[str, Meta(max_length=32)] | None = None
    quiet_hours: Annotated[str, Meta(max_length=32)] | None = None
    mute: bool | None = None


class CreditScore(Event, frozen=True, kw_only=True, tag_field="event_type", tag="credit_score"):
    """A new credit score, 0 (worst) to 1000 (best)."""

    score: Annotated[int, Meta(ge=0, le=1000)]


@final
class Erasure(Event, frozen=True, kw_only=True, tag_field="event_type", tag="erasure"):
    """A request to forget the customer."""

    reason: ShortText | None = None


class Override(Event, frozen=True, kw_only=True, tag_field="event_type", tag="override"):
    """An expert's correction of one named value, with who and why."""

    name: ShortText
    value: Scalar = None
    author: ShortText = ""
    reason: ShortText = ""


CustomerEvent = Profile | Consent | Preference | CreditScore | Erasure | Override


class Outcome(Event, frozen=True, kw_only=True):
    """What became of a signal after it left us (``outcomes.v1``)."""

    event_type: Literal["outcome"] = "outcome"
    signal_id: Identifier
    outcome: OutcomeType


AnyEvent = Click | Transaction | Feedback | CustomerEvent | Outcome
