"""What a customer usually pays, and how far above it the newest payment is: a baseline of the customer's own.

Inputs: outgoing transactions in the home currency, in the order in which they are applied; output: ``state.payments``.
The moments are those of the logarithm of the amount, weighted by age (West, 1979), so that what was usual a year ago
hardly counts. A payment is compared with what was usual before it, and an older one than the newest changes nothing.
It only measures: nothing here blocks or delays a payment.
"""

from math import copysign, exp2, log1p, sqrt

from needstream.schemas import events
from needstream.schemas.parts import Payments
from needstream.schemas.state import CustomerState
from needstream.schemas.times import DAY_MS

OUTGOING = frozenset(("withdrawal", "transfer_out", "card_payment", "fx_remittance"))
"""The transactions by which a customer decides to let money go."""

HALF_LIFE_MS = 90.0 * DAY_MS

FEWEST = 8
"""Payments it takes before another one can surprise."""

LEAST_DEVIATION = 0.5
"""Of somebody who always pays the same, half again or two thirds of it still is the same."""

LARGEST = 20.0
"""Deviations above which there is nothing more to say."""

LEARNED_AT_MOST = 3.0
"""Deviations to which a payment is cut before it is learned: one theft must not make the next one usual."""


def observe(state: CustomerState, event: events.Transaction, *, at_ms: int) -> None:
    """Compare an outgoing payment with the habit, then take it into the habit.

    Other transactions, other currencies than the home currency, visitors and payments of nothing are passed over.
    """
    if event.event_type not in OUTGOING or event.customer_id is None or event.currency != state.traits.home_currency:
        return
    amount = float(event.amount)  # in whole currency units; the text has been checked
    if amount <= 0.0:
        return
    size = log1p(amount)
    payments = state.payments
    if payments is None or payments.currency != event.currency:
        state.payments = Payments(1, at_ms, size, 0.0, currency=event.currency)
        return
    if at_ms < payments.last_ms:
        return
    variance, observations = payments.variance, payments.observations
    excess = size - payments.mean
    if observations >= FEWEST:
        deviation = sqrt(variance) if variance > LEAST_DEVIATION * LEAST_DEVIATION else LEAST_DEVIATION
        payments.surprise = min(excess / deviation, LARGEST) if excess > 0.0 else 0.0
        limit = LEARNED_AT_MOST * deviation
        if not -limit <= excess <= limit:
            excess = copysign(limit, excess)
    kept = payments.weight * exp2((payments.last_ms - at_ms) / HALF_LIFE_MS)
    payments.weight = weight = kept + 1.0
    payments.mean += excess / weight
    payments.variance = kept / weight * (variance + excess * excess / weight)
    payments.observations = observations + 1
    payments.last_ms = at_ms
