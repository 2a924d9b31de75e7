"""What an event teaches about a customer: habits of money, the credit score, what is stated, and the newest activity.

Every habit keeps the time it stands for and ignores what is older, so late events may come here too.
"""

from needstream.schemas import events
from needstream.schemas.state import CustomerState
from needstream.streams.pipeline import attributes, baselines, payments, timers
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.plans import Plan


def observe(state: CustomerState, event: events.AnyEvent, *, at_ms: int, plan: Plan, definitions: Definitions) -> None:
    """Take what any event but a click says of money, credit and the person into the state."""
    if type(event) is events.Transaction:
        baselines.observe_transaction(state, event, at_ms=at_ms, definitions=definitions)
        payments.observe(state, event, at_ms=at_ms)
        if plan.is_salary:
            baselines.observe_salary(state, at_ms)
    elif type(event) is events.CreditScore:
        baselines.observe_credit_score(state, event.score, at_ms=at_ms)
    else:
        attributes.apply(state, event, at_ms=at_ms)


def notice(state: CustomerState, at_ms: int, *, definitions: Definitions) -> None:
    """Note that the customer was there, and start sampling predictions if that is not going on."""
    if at_ms > state.active_ms:  # noqa: PLR1730  # max() costs a call at every event
        state.active_ms = at_ms
    if timers.SAMPLE not in state.timers:
        due_ms = state.clock_ms + definitions.sample_every_ms
        timers.arm(state, timers.SAMPLE, due_ms=due_ms, armed_by="")
