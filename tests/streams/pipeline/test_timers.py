import stories
from needstream.streams.pipeline import timers


def test_alarms_ring_in_order_of_time_then_of_name():
    state = stories.new_customer()
    for name, due_ms in (("session", 20), ("label", 10), ("sample", 10), ("absence.x", 30)):
        timers.arm(state, name, due_ms=due_ms, armed_by="e1")

    rung = []
    while (due := timers.pop_due(state, 20)) is not None:
        rung.append(due[0])

    assert ["label", "sample", "session"] == rung
    assert 30 == timers.next_due_ms(state)


def test_an_alarm_due_at_the_very_moment_rings():
    state = stories.new_customer()
    timers.arm(state, "session", due_ms=20, armed_by="e1")

    assert timers.pop_due(state, 19) is None
    assert timers.pop_due(state, 20) is not None
    assert timers.next_due_ms(state) is None


def test_setting_an_alarm_again_replaces_it():
    state = stories.new_customer()
    timers.arm(state, "session", due_ms=20, armed_by="e1")
    timers.arm(state, "session", due_ms=50, armed_by="e2")

    assert timers.pop_due(state, 49) is None
    timers.cancel(state, "session")
    timers.cancel(state, "session")
    assert timers.next_due_ms(state) is None
