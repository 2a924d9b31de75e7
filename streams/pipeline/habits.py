"""What an event teaches about a customer's habits: money, credit score, and when the customer was last there.

Every habit keeps the time it stands for and ignores what is older, so late events may come here too.
"""

from collections.abc import Sequence

from needstream.schemas import events
from needstream.schemas.state import CustomerState
from needstream.streams.pipeline import baselines, payments, timers
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.vocabulary import ACTIVITY, SALARY


def observe(
    state: CustomerState, event: events.AnyEvent, *, at_ms: int, facts: Sequence[str], definitions: Definitions
) -> None:
    """Take an event into the habits, and start sampling predictions when a customer is active."""
    if isinstance(event, events.Transaction):
        baselines.observe_transaction(state, event, at_ms=at_ms, definitions=definitions)
        payments.observe(state, event, at_ms=at_ms)
        if SALARY in facts:
            baselines.observe_salary(state, at_ms)
    elif isinstance(event, events.CreditScore):
        baselines.observe_credit_score(state, event.score, at_ms=at_ms)
    if event.customer_id is not None and ACTIVITY in facts:
        state.active_ms = max(state.active_ms, at_ms)
        if timers.SAMPLE not in state.timers:
            due_ms = state.clock_ms + definitions.sample_every_ms
            timers.arm(state, timers.SAMPLE, due_ms=due_ms, armed_by="")
