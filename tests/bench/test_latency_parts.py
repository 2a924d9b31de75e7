import msgspec
import pytest

from needstream.bench import clones, histogram, latency_report, live_load, live_pack, stages
from needstream.schemas import state as states
from needstream.streams import topics
from needstream.streams.packs import loader

MINUTE_MS = 60_000


def test_percentile_is_the_smallest_value_that_the_share_does_not_exceed():
    values = list(range(1, 101))

    assert [50, 99, 100, 1] == [histogram.percentile(values, share) for share in (50, 99, 100, 0)]


def test_every_value_lies_within_its_bucket():
    values = [1, 7, 1_000, 1_024, 65_535, 10_000_000]

    places = [
        (histogram.begin_us(n), value, histogram.begin_us(n + 1)) for value in values for n in [histogram.bucket(value)]
    ]

    assert all(begin <= value < end for begin, value, end in places)


def test_buckets_of_a_summary_count_every_value_once():
    told = histogram.summary([500, 500, 20_000, 20_100, 900_000])

    assert (5, 5, 900.0) == (told["count"], sum(count for _, count in told["buckets"]), told["max_ms"])


def test_stages_of_an_event_add_up_to_its_latency():
    stamps = [1_000, 1_500, 30_000, 41_500, 43_000, 47_000]

    divided = stages.divided(0, stamps, 48_000, wait_us=20_000)

    assert [1_000, 500, 20_000, 8_500, 11_500, 1_500, 4_000, 1_000] == divided
    assert 48_000 == sum(divided)


def test_a_signal_heard_before_its_acknowledgement_has_no_negative_stage():
    stamps = [1_000, 1_500, 1, 5_000, 6_000, 9_000]

    divided = stages.divided(0, stamps, 8_000, wait_us=20_000)

    assert [1_000, 500, 3_500, 0, 0, 1_000, 2_000, 0] == divided


def test_event_id_says_when_a_trigger_was_handed_over():
    deed = clones.Deed(0, topics.INPUTS.index(topics.CLICKSTREAM), live_pack.REST)
    planned = live_load.Planned(topics.CLICKSTREAM, 0, 5, deed, True)

    value = msgspec.json.decode(live_load.value(planned, 17, at_us=1_700_000_000_123_456, level="l50"))

    assert ("l50", 1_700_000_000_123_456) == live_load.handed_us(value["event_id"])
    assert ("2023-11-14T22:13:20.123Z", "clone-000000005", "/probe") == (
        value["event_time"],
        value["customer_id"],
        value["url"],
    )


def test_other_events_are_no_triggers():
    assert live_load.handed_us("o-l50-17-1700000000123456") is None


def test_the_pack_is_the_bank_pack_with_one_scenario_more(tmp_path):
    shipped = loader.load("bank")

    added = loader.load(str(live_pack.write(tmp_path)))

    assert shipped.pack.features == added.pack.features
    assert len(shipped.scenarios) + 1 == len(added.scenarios)


def test_all_times_of_a_state_move_and_nothing_else():
    state = states.new_customer("somebody", 1_700_000_000_000)
    state.balance = states.Balance("EUR", 12_345, 1_700_000_000_500, 1_699_000_000_000, 3, 9.5, 1_698_000_000_000, 1, 2)
    state.counters = {"click.login": [1_700_000_000_000.0, 1.0, 2.0, 3.0]}
    state.timers = {"sample": states.Timer(1_700_000_100_000, "e1")}

    moved = states.restore(msgspec.msgpack.encode(clones.moved(states.snapshot(state), MINUTE_MS)))

    assert [1_700_000_060_000, 12_345, 1_700_000_060_500] == [
        moved.clock_ms,
        moved.balance.newest,
        moved.balance.newest_ms,
    ]
    assert {"click.login": [1_700_000_060_000.0, 1.0, 2.0, 3.0]} == moved.counters
    assert {"sample": states.Timer(1_700_000_160_000, "e1")} == moved.timers


def population() -> clones.Population:
    deeds = (clones.Deed(10, 0, b"}"), clones.Deed(70_000, 1, b"}"))
    placeholder = states.snapshot(states.new_customer("?" * 15, 0)).partition(b"?" * 15)
    return clones.Population((clones.Original(placeholder[0], placeholder[2], deeds, True),), 1_000_000, 100_000)


def test_a_copy_has_the_states_bytes_under_its_own_id():
    assert "clone-000000042" == states.restore(population().snapshot(42)).customer_id


def test_deeds_begin_again_after_each_cycle_in_order():
    found = [(at_ms, number) for at_ms, _, number in population().sessions(2, events=7)]

    assert [
        (1_000_010, 0),
        (1_000_010, 1),
        (1_070_000, 0),
        (1_070_000, 1),
        (1_100_010, 0),
        (1_100_010, 1),
        (1_170_000, 0),
    ] == found


@pytest.mark.parametrize(("p50", "words"), [(49.9, "met"), (50.0, "MISSED")])
def test_a_goal_is_met_below_its_bound_only(p50, words):
    level = {"share": 50, "latency": {"count": 1, "p50_ms": p50, "p99_ms": 100.0}}

    assert f"goal < 50 ms: {words}" in latency_report.verdict({"levels": [level]})
