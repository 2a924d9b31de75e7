from needstream.streams.pipeline.alarms import Alarms


def _drained(alarms, until_ms):
    rung = []
    while (alarm := alarms.pop_due(until_ms)) is not None:
        rung.append(alarm)
    return rung


def test_customers_wake_in_order_of_time_then_of_id():
    alarms = Alarms()
    for customer_id, due_ms in (("c", 5), ("a", 7), ("b", 5)):
        alarms.schedule(customer_id, due_ms)

    assert [(5, "b"), (5, "c")] == _drained(alarms, 6)
    assert [(7, "a")] == _drained(alarms, 7)


def test_a_customer_wakes_once_and_at_the_earliest_time_asked_for():
    alarms = Alarms()
    for due_ms in (9, 4, 6):
        alarms.schedule("a", due_ms)

    assert [(4, "a")] == _drained(alarms, 100)


def test_replaced_entries_do_not_pile_up():
    """Every session of a customer replaces the weekly alarm by an earlier one, and sets the weekly one again."""
    alarms = Alarms()
    weekly_ms = 10**12
    for session in range(20_000):
        alarms.schedule("a", weekly_ms)
        alarms.schedule("a", session)
        alarms.pop_due(session)

    assert len(alarms) < 1_100
    alarms.schedule("a", weekly_ms)
    assert [(weekly_ms, "a")] == _drained(alarms, weekly_ms)
