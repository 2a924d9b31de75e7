"""Outputs: what the rest of the bank reads.

``signal_id`` is a function of the decision alone, so a re-delivered signal keeps its id. Text
times are RFC 3339 in UTC. ``decided_at`` is the only processing-time field.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Share = Annotated[float, Meta(ge=0, le=1)]
Total = Annotated[int, Meta(ge=0, le=2**63 - 1)]

Kind = Literal["need", "churn", "care", "risk", "experience", "operations"]
NeedClass = Literal["basic", "potential", "emotional"]
Verdict = Literal["fired", "suppressed"]
Stage = Literal["final", "assumed", "converted"]
Quarantine = Literal["", "suspected_bot", "impossible", "repeated", "dominant"]
ModelEvent = Literal["promoted", "loss_drift", "slice_gap"]
Gate = Literal[
    "none",
    "suspected_bot",
    "suitability",
    "consent",
    "muted",
    "distress",
    "cold_start",
    "cooldown",
    "frequency_cap",
    "holdout",
]


class Evidence(Struct, frozen=True, kw_only=True):
    """One fact behind a decision: a feature with its value and what it was compared with."""

    feature: str
    value: float
    compared: str = ""
    last_seen: Time | None = None
    text: "Explanation | None" = None


class Explanation(Struct, frozen=True, kw_only=True):
    """One plain sentence per language."""

    en: str
    zh: str


class Signal(Struct, frozen=True, kw_only=True):
    """What need signals and alerts share.

    ``score`` is the model's probability that the need (or churn) shows within ``horizon``; it is
    null while the model has too few labels, and then the scenario speaks alone. ``confidence`` is
    0 to 1. ``priority`` is larger for what must be handled first.
    """

    signal_id: str
    customer_id: str
    kind: Kind
    need_class: NeedClass
    scenario: str
    score: Share | None
    horizon: str
    confidence: Share
    priority: int
    tier: str
    action: str
    channel_hint: str
    tone: str
    requires_human: bool
    expires_at: Time
    evidence: tuple[Evidence, ...]
    counter_evidence: tuple[Evidence, ...]
    alternative_reading: str
    reasons: tuple[str, ...]
    explanation: Explanation
    group: Literal["treatment", "holdout"]
    definition_version: str
    model_version: str
    trigger_event_id: str
    event_time: Time
    decided_at: Time


class NeedSignal(Signal, frozen=True, kw_only=True):
    """An inferred need of a customer (``need-signals.v1``)."""

    need: str


class Alert(Signal, frozen=True, kw_only=True):
    """Something a person must see (``churn-alerts.v1`` for churn, ``alerts.v1`` otherwise)."""

    alert: str
    severity: Literal["info", "warning", "critical"] = "warning"


class Decision(Struct, frozen=True, kw_only=True):
    """The fate of one candidate, fired or suppressed, with the gate that stopped it."""

    decision_id: str
    customer_id: str
    scenario: str
    kind: Kind
    verdict: Verdict
    gate: Gate
    detail: str
    score: Share | None
    signal_id: str | None
    definition_version: str
    model_version: str
    trigger_event_id: str
    event_time: Time


class ProfileSummary(Struct, frozen=True, kw_only=True):
    """The newest view of a customer (``profiles.v1``, compacted by customer)."""

    customer_id: str
    event_time: Time
    last_active_at: Time | None
    sessions_30d: float
    scores: dict[str, Share]
    open_scenarios: tuple[str, ...]
    consents: dict[str, str]
    definition_version: str


class LabelledExample(Struct, frozen=True, kw_only=True):
    """A prediction whose horizon has passed, with the truth (``labelled-examples.v1``).

    ``features`` are the values the prediction was made from, in the order of the model's feature
    list; ``score`` is what was said then (null before the model was warm) by ``model_version``.

    Attributes:
        contestants: what each contestant of the model said then, by its kind, before calibration.
        stage: ``final`` at the horizon. With corrected feedback the label that holds while nothing happens is
            ``assumed`` at the prediction, and one that turns out otherwise ``converted`` at once; these are learned,
            never judged.
        slices: tier, age band and channel of the customer when the example was released.
        quarantine: why it must not be learned; empty for most.
    """

    example_id: str
    customer_id: str
    model: str
    features: tuple[float, ...]
    feature_set: str
    score: Share | None
    model_version: str
    label: bool
    predicted_at: Time
    due_at: Time
    contestants: dict[str, Share] = field(default_factory=dict)
    stage: Stage = "final"
    slices: dict[str, str] = field(default_factory=dict)
    quarantine: Quarantine = ""


class ModelDecision(Struct, frozen=True, kw_only=True):
    """What a learner decided or noticed of a model (``decisions.v1``, by model).

    Attributes:
        event: a new champion, drift of the loss, or a gap between slices of the customers.
        champion: the kind of contestant that is served from now on; ``previous`` the one before.
        examples: final examples of the model judged so far.
        figures: what the decision rests on, by name.
    """

    decision_id: str
    model: str
    event: ModelEvent
    champion: str
    previous: str
    detail: str
    examples: Total
    figures: dict[str, float]
    event_time: Time


class Removed(Struct, frozen=True, kw_only=True):
    """What an erasure took out of the state, counted."""

    counters: Total
    alarms: Total
    predictions: Total
    consents: Total
    devices: Total


class Retained(Struct, frozen=True, kw_only=True):
    """What an erasure does not reach: what it is, where, and how long."""

    what: str
    where: str
    until: str


class ErasureReceipt(Struct, frozen=True, kw_only=True):
    """The proof of an erasure (``erasure-receipts.v1``, by subject).

    Attributes:
        subject: stands for the customer: BLAKE2b-128 of the id, personalised with ``erased``, in hex.
        was_known: whether there was a state at all.
        examples_released: labelled examples of the customer that ``models`` may have learned from.
        mac: hex HMAC-SHA256 over the receipt without it, under the deployment's key.
    """

    receipt_id: str
    subject: str
    request_event_id: str
    requested_at: Time
    was_known: bool
    removed: Removed
    examples_released: Total
    models: tuple[str, ...]
    retained: tuple[Retained, ...]
    mac: str = ""


class ModelSnapshot(Struct, frozen=True, kw_only=True):
    """A published model as plain numbers, authenticated (``model-snapshots.v1``, by model).

    ``body`` is the JSON text of the numbers and ``mac`` the hex HMAC-SHA256 of its UTF-8 bytes
    under the deployment's key.
    """

    model: str
    version: Total
    feature_set: str
    examples: Total
    body: str
    mac: str
