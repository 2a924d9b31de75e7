"""The pack language: what a domain pack may declare, as types.

A pack is data: pages, products, habits worth counting, label rules, scenarios and texts of one
domain. Conditions name features; what a name means is fixed in ``models.features``.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from needstream.schemas.signals import Kind, NeedClass

# A pattern ends in `(?!\n)$` because `$` alone lets a final newline pass, which a YAML block easily has.
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*(?!\n)$", max_length=64)]
FactPattern = Annotated[str, Meta(pattern=r"^[a-z_]+(\.[a-z_*]+)?(?!\n)$", max_length=64)]
Duration = Annotated[str, Meta(pattern=r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+(?!\n)$")]
Ratio = Annotated[float, Meta(ge=0, le=1)]
Treatment = Literal["sales", "service", "retention", "risk", "care"]


class _Declared(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every declaration: unknown words in a pack are mistakes."""


class Condition(_Declared, frozen=True, kw_only=True):
    """Either one comparison of ``feature`` or one combination of conditions."""

    feature: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    all: "tuple[Condition, ...] | None" = None
    any: "tuple[Condition, ...] | None" = None
    none: "tuple[Condition, ...] | None" = None


class Absence(_Declared, frozen=True, kw_only=True):
    """Fire when nothing of ``unless`` follows a fact of ``armed_by`` in time.

    The wait is ``after``, plus the days of feature ``plus_days_of`` at the time of arming. With
    ``only_if`` the alarm is set only when the condition holds at arming.
    """

    armed_by: Annotated[tuple[FactPattern, ...], Meta(min_length=1)]
    unless: tuple[FactPattern, ...] = ()
    after: Duration
    plus_days_of: str | None = None
    only_if: Condition | None = None


class Counter(_Declared, frozen=True, kw_only=True):
    """A condition that speaks against the scenario, with the reading it suggests."""

    when: Condition
    reading: str


class Texts(_Declared, frozen=True, kw_only=True):
    """A sentence in each configured language; ``{feature}`` inserts a feature's value."""

    en: Annotated[str, Meta(min_length=1)]
    zh: Annotated[str, Meta(min_length=1)]


class Scenario(_Declared, frozen=True, kw_only=True):
    """One trigger: when it fires, what it means, how it is to be handled.

    ``products`` in a pack file writes one scenario per product, ``{product}`` standing for its name.
    It is looked at when a fact of ``triggered_by`` occurs, or when the alarm of ``absence`` rings, and fires
    when ``when`` holds, it is armed, and ``cooldown`` has passed. It is armed again when
    ``rearm_when`` holds (default: as soon as ``when`` no longer does).
    """

    id: Name
    kind: Kind
    need: Name
    product: str | None = None
    need_class: NeedClass
    treatment: Treatment
    triggered_by: tuple[FactPattern, ...] = ()
    absence: Absence | None = None
    when: Condition | None = None
    rearm_when: Condition | None = None
    counter: tuple[Counter, ...] = ()
    alternative_reading: str = ""
    confidence: Ratio
    cooldown: Duration
    expires_after: Duration
    action: Name
    channel_hint: str = "preferred"
    tone: Literal["neutral", "warm", "urgent"] = "neutral"
    requires_human: bool = False
    severity: Literal["info", "warning", "critical"] = "warning"
    reasons: Annotated[tuple[str, ...], Meta(min_length=1)]
    text: Texts


Contestant = Literal["pair", "replayed", "linear", "forest", "batch", "blend"]


class Decline(_Declared, frozen=True, kw_only=True):
    """True when ``feature`` has fallen to ``to`` times what it was, or below; asked only from ``from_at_least`` up.

    Of a decayed sum whose half-life is the horizon, a rate that halves leaves three quarters.
    """

    feature: str
    to: Ratio
    from_at_least: Annotated[float, Meta(gt=0)]


class Costs(_Declared, frozen=True, kw_only=True):
    """What the two mistakes cost, in any unit both share."""

    false_alarm: Annotated[float, Meta(gt=0)]
    missed: Annotated[float, Meta(gt=0)]


class Target(_Declared, frozen=True, kw_only=True):
    """What the threshold is chosen for: either a precision among those over it, or the least cost."""

    precision: Annotated[float, Meta(gt=0, lt=1)] | None = None
    costs: Costs | None = None


class Override(_Declared, frozen=True, kw_only=True):
    """An expert's threshold for one slice of the customers, with who set it and why.

    It holds for customers who match every attribute given; of several that match the first declared holds.
    """

    tier: str | None = None
    age_band: str | None = None
    channel: str | None = None
    enter_score: Ratio
    author: Annotated[str, Meta(min_length=1)]
    reason: Annotated[str, Meta(min_length=1)]


class Model(_Declared, frozen=True, kw_only=True):
    """One online model: its label rule and how its score becomes a candidate.

    The label is true when a fact of ``converts_on`` follows within ``horizon``; with
    ``absence_of`` it is true when none of those facts does; with ``declines`` when a feature has
    fallen by then. ``enter_score`` holds until there are enough labels to choose a threshold for
    ``threshold``, and always without one. ``feedback`` says when the learner is given the truth:
    both classes at the horizon, or the label that holds while nothing happens assumed at once and
    corrected when it turns out otherwise (fake negative weighting; Ktena et al., 2019). A model whose
    newest example is older than ``stale_after`` abstains.
    """

    name: Name
    kind: Literal["need", "churn"]
    converts_on: tuple[FactPattern, ...] = ()
    absence_of: tuple[FactPattern, ...] = ()
    declines: Decline | None = None
    horizon: Duration
    feedback: Literal["at_horizon", "assumed_negative"] = "at_horizon"
    champion: Contestant = "pair"
    challengers: tuple[Contestant, ...] = ()
    enter_score: Ratio
    leave_score: Ratio
    threshold: Target | None = None
    overrides: tuple[Override, ...] = ()
    min_labels: Annotated[int, Meta(ge=1)] = 200
    min_positives: Annotated[int, Meta(ge=1)] = 20
    stale_after: Duration = "60d"
    cooldown: Duration = "14d"
    need_class: NeedClass = "potential"
    treatment: Treatment = "sales"
    action: Name = "contact"
    expires_after: Duration = "7d"
    text: Texts


class Promotion(_Declared, frozen=True, kw_only=True):
    """When a challenger replaces the champion.

    Its matured log loss is lower by more than ``margin`` nats per example, with an error probability of ``risk``
    however often one looks, after at least ``min_examples`` that both were asked about.
    """

    margin: Annotated[float, Meta(ge=0)] = 0.001
    risk: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    min_examples: Annotated[int, Meta(ge=1)] = 500


class PageRule(_Declared, frozen=True, kw_only=True):
    """Pages whose path starts with ``path`` belong to ``product``; ``topic`` adds a finer fact."""

    path: Annotated[str, Meta(pattern="^/")]
    product: Name
    topic: Name | None = None


class Salary(_Declared, frozen=True, kw_only=True):
    """Which transactions are a regular income."""

    kinds: tuple[str, ...]
    counterparty: str


class Bots(_Declared, frozen=True, kw_only=True):
    """What counts as faster than a person.

    A session of more than ``session_events`` at more than ``events_per_minute`` puts the customer into quarantine; one
    that has ``hasty_events`` less than ``hasty_gap`` apart on average is not signalled while it stays that fast.
    """

    session_events: Annotated[int, Meta(ge=10)] = 120
    events_per_minute: Annotated[float, Meta(gt=0)] = 20.0
    quarantine: Duration = "30d"
    hasty_events: Annotated[int, Meta(ge=2)] = 4
    hasty_gap: Duration = "1s"


class TimeRules(_Declared, frozen=True, kw_only=True):
    """Windows of event time; the session gap is inclusive."""

    session_gap: Duration = "30m"
    allowed_lateness: Duration = "15m"
    sample_every: Duration = "7d"
    sample_while_idle: Duration = "14d"
    half_lives: tuple[Duration, Duration, Duration] = ("1d", "7d", "30d")
    balance_half_life: Duration = "30d"


class ConsentRule(_Declared, frozen=True, kw_only=True):
    """Which purpose a treatment needs, and what holds before the customer has spoken."""

    purpose: Literal["marketing", "profiling", "service", "analytics"]
    default: Literal["GRANTED", "DENIED"]


class Suitability(_Declared, frozen=True, kw_only=True):
    """A need is not offered when the condition holds."""

    need: Name
    unless: Condition


class Cap(_Declared, frozen=True, kw_only=True):
    """At most so many signals of one treatment per customer within a sliding time."""

    treatment: Treatment
    at_most: Annotated[int, Meta(ge=1, le=8)]
    within: Duration


class Pack(_Declared, frozen=True, kw_only=True):
    """A whole domain pack.

    ``words`` says what products, page topics and facts are called in explanations: noun phrases, facts in the plural.
    """

    name: Name
    version: Annotated[str, Meta(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+(?!\n)$")]
    title: str
    products: Annotated[tuple[Name, ...], Meta(min_length=1)]
    needs: Annotated[tuple[Name, ...], Meta(min_length=1)]
    pages: tuple[PageRule, ...] = ()
    keywords: dict[str, tuple[str, ...]] = field(default_factory=dict)
    words: dict[str, Texts] = field(default_factory=dict)
    time: TimeRules = field(default_factory=TimeRules)
    activity: Annotated[tuple[FactPattern, ...], Meta(min_length=1)]
    salary: Salary | None = None
    bots: Bots = field(default_factory=Bots)
    consent: dict[Treatment, ConsentRule]
    priority: dict[Treatment, Annotated[int, Meta(ge=0, le=100)]]
    suitability: tuple[Suitability, ...] = ()
    caps: tuple[Cap, ...] = ()
    distress: tuple[Name, ...] = ()
    distress_lasts: Duration = "14d"
    holdout_share: Ratio = 0.0
    score_on: Annotated[tuple[FactPattern, ...], Meta(min_length=1)]
    features: Annotated[tuple[str, ...], Meta(min_length=1)]
    promotion: Promotion = field(default_factory=Promotion)
    models: tuple[Model, ...]
    scenarios: tuple[Scenario, ...]
