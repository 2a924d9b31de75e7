"""Alarms of absences: "nothing of this follows that in time".

The newest fact of ``armed_by`` decides: it sets the alarm anew, or takes it away when ``only_if`` does not hold then.
Facts of ``unless`` take it away; of an event that does both, the alarm stays set. A late event acts at its own time: it
takes away only an alarm that was set before it, and sets one only if that would still be ahead and later than the one
that is set.
"""

from needstream.schemas.state import CustomerState, Timer
from needstream.schemas.times import DAY_MS
from needstream.streams.pipeline import timers
from needstream.streams.pipeline.compiled_scenarios import CompiledScenario
from needstream.streams.pipeline.plans import Plan


def follow(state: CustomerState, plan: Plan, *, happened_ms: int, event_id: str) -> None:
    """Clear, then set the alarms that an event's facts concern; it happened before the clock of the state if late."""
    is_late = happened_ms < state.clock_ms
    for scenario in plan.cancels:
        alarm = state.timers.get(scenario.timer)
        # Set at due_ms - wait_ms, or earlier by what plus_days_of added.
        if alarm is not None and (not is_late or happened_ms >= alarm.due_ms - scenario.wait_ms):
            timers.cancel(state, scenario.timer)
    for scenario in plan.arms:
        if is_late or not scenario.waits_alike:
            _set(state, scenario, happened_ms=happened_ms, event_id=event_id)
        else:
            state.timers[scenario.timer] = Timer(happened_ms + scenario.wait_ms, event_id)


def _set(state: CustomerState, scenario: CompiledScenario, *, happened_ms: int, event_id: str) -> None:
    at_ms = state.clock_ms
    is_late = happened_ms < at_ms
    if not scenario.only_if.holds(state, at_ms):
        if not is_late:
            timers.cancel(state, scenario.timer)
        return
    due_ms = happened_ms + scenario.wait_ms
    if scenario.plus_days is not None:
        due_ms += round(scenario.plus_days(state, at_ms) * DAY_MS)
    if is_late:
        alarm = state.timers.get(scenario.timer)
        if due_ms <= at_ms or (alarm is not None and alarm.due_ms >= due_ms):
            return
    timers.arm(state, scenario.timer, due_ms=due_ms, armed_by=event_id)
