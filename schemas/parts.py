"""The parts of a customer's stored state that are of one kind each: the session, the habits, the attributes.

Structs are encoded as arrays: append fields with a default, never reorder or reuse one (see ``state``).
"""

from msgspec import Struct


class Session(Struct, array_like=True, gc=False):
    """The open session window of a customer."""

    started_ms: int
    last_ms: int
    events: int = 0
    pages: int = 0
    dwell_ms: int = 0


class Balance(Struct, array_like=True, gc=False):
    """The account balance and its habits, in minor units of ``currency``.

    ``mean`` is time-weighted with exponential forgetting and holds what was usual *before* the
    newest observation. ``low`` and ``high`` are the extremes of the running 30-day bucket, the
    ``previous_`` ones those of the bucket before it.
    """

    currency: str
    newest: int
    newest_ms: int
    first_ms: int
    observations: int
    mean: float
    bucket_ms: int
    low: int
    high: int
    previous_low: int | None = None
    previous_high: int | None = None


class Income(Struct, array_like=True, gc=False):
    """Regular income: when salaries came and how far apart (days, smoothed)."""

    salaries: int
    last_ms: int
    interval_days: float
    irregularity_days: float


class Credit(Struct, array_like=True, gc=False):
    """The newest credit score and the reference it is compared with (recent best)."""

    score: int
    at_ms: int
    reference: int
    reference_ms: int


class Payments(Struct, array_like=True, gc=False):
    """The habit of the customer's outgoing payments: decayed moments of the logarithm of the amount.

    ``surprise`` is how many standard deviations the newest was above what was usual before it. ``weight`` is what the
    decayed moments rest on, ``currency`` whose amounts they are.
    """

    observations: int
    last_ms: int
    mean: float
    variance: float
    surprise: float = 0.0
    weight: float = 1.0
    currency: str = ""


class Traits(Struct, array_like=True, gc=False):
    """Reference attributes that decisions read."""

    age_band: str = ""
    tier: str = "standard"
    risk_level: int = 0
    language: str = ""
    home_currency: str = ""
    channel: str = ""
    mute: bool = False
