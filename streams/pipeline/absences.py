"""Alarms of absences: "nothing of this follows that in time".

The newest fact of ``armed_by`` decides: it sets the alarm anew, or takes it away when ``only_if`` does not hold then.
Facts of ``unless`` take it away; of an event that does both, the alarm stays set. A late event acts at its own time: it
takes away only an alarm that was set before it, and sets one only if that would still be ahead and later than the one
that is set.
"""

from collections.abc import Sequence

from needstream.schemas.state import CustomerState
from needstream.schemas.times import DAY_MS
from needstream.streams.pipeline import timers
from needstream.streams.pipeline.definitions import CompiledScenario
from needstream.streams.pipeline.occasions import Occasion


def follow(occasion: Occasion, facts: Sequence[str], *, happened_ms: int) -> None:
    """Clear, then set the alarms that an event's facts concern; ``happened_ms`` is before the occasion if late."""
    state, definitions = occasion.state, occasion.definitions
    is_late = happened_ms < occasion.at_ms
    for fact in facts:
        for scenario in definitions.cancelled_by.of(fact):
            alarm = state.timers.get(scenario.timer)
            # Set at due_ms - wait_ms, or earlier by what plus_days_of added.
            if alarm is not None and (not is_late or happened_ms >= alarm.due_ms - scenario.wait_ms):
                timers.cancel(state, scenario.timer)
    for fact in facts:
        for scenario in definitions.armed_by.of(fact):
            _set(occasion, scenario, happened_ms=happened_ms)


def _set(occasion: Occasion, scenario: CompiledScenario, *, happened_ms: int) -> None:
    state, at_ms = occasion.state, occasion.at_ms
    is_late = happened_ms < at_ms
    if not scenario.only_if.holds(state, at_ms):
        if not is_late:
            timers.cancel(state, scenario.timer)
        return
    due_ms = happened_ms + scenario.wait_ms + _extra_ms(state, scenario, at_ms=at_ms)
    if is_late:
        alarm = state.timers.get(scenario.timer)
        if due_ms <= at_ms or (alarm is not None and alarm.due_ms >= due_ms):
            return
    timers.arm(state, scenario.timer, due_ms=due_ms, armed_by=occasion.trigger_event_id)


def _extra_ms(state: CustomerState, scenario: CompiledScenario, *, at_ms: int) -> int:
    return round(scenario.plus_days(state, at_ms) * DAY_MS) if scenario.plus_days else 0
