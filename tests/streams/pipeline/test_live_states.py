"""States that stay decoded say and store what states decoded anew would."""

import msgspec
import pytest

import stories
from builders import click, customer_event
from needstream.schemas import codecs
from needstream.schemas import state as states
from needstream.schemas.dead_letters import Rejected
from needstream.simulation import parameters, simulator
from needstream.streams import topics
from needstream.streams.packs import loader
from needstream.streams.pipeline import inputs
from needstream.streams.pipeline.live_states import LiveStates
from needstream.streams.pipeline.partition import Partition
from needstream.streams.replay import MemoryStore

BANK = loader.load("bank")


def _store(*keys):
    store = MemoryStore()
    store.write({key: states.snapshot(states.new_customer(key, 0)) for key in keys})
    return store


def test_the_states_used_last_stay_and_no_more_than_stated():
    live = LiveStates(_store("c1", "c2", "c3"), most=2)
    first, second = live.get("c1"), live.get("c2")
    live.keep("c1", first)
    live.get("c3")

    assert 2 == len(live)
    assert live.get("c1") is first
    assert live.get("c2") is not second


def test_a_state_taken_out_is_decoded_again_as_it_is_stored():
    live = LiveStates(_store("c1"))
    live.get("c1").clock_ms = 99
    live.take_out("c1")

    assert 0 == live.get("c1").clock_ms


def test_who_is_not_stored_is_unknown():
    assert LiveStates(_store()).get("c1") is None


def _log():
    """Half a year of a dozen customers with their visitors, as it arrives."""
    population = simulator.simulate(parameters.SimulationParameters(seed=11, customers=12, days=60))
    offsets = dict.fromkeys(topics.MERGED, 0)
    for record in population:
        event = codecs.decode(record.event, family=record.topic.partition(".")[0], latest_ms=2**60)
        if not isinstance(event, Rejected):
            yield inputs.arrival(event, record.topic, offset=offsets[record.topic])
            offsets[record.topic] += 1


LOG = list(_log())


def _lived(most_live, *, batch, rolls_back=frozenset()):
    """What was said, and what was stored after each batch; after some batches all of it is taken back first."""
    run = stories.Run(BANK)
    run.partition = Partition(topics.MERGED, BANK, scorer=run.scorer, store=run.store, most_live=most_live)
    stored = []
    for number, start in enumerate(range(0, len(LOG), batch)):
        for arrival in LOG[start : start + batch]:
            run.partition.push(arrival)
        if number in rolls_back:
            list(run.partition.advance(stories.ALL, most=batch // 2))
            run.partition.rollback()
        run.advance(stories.ALL)
        run.flush()
        stored.append(dict(run.store.items()))
    return run.emissions, stored


@pytest.mark.parametrize("batch", [7, 211])
def test_live_states_change_neither_what_is_said_nor_a_byte_of_what_is_stored(batch):
    decoded_anew = _lived(0, batch=batch)

    assert decoded_anew == _lived(3, batch=batch)
    assert decoded_anew == _lived(4_096, batch=batch)


def test_a_rollback_takes_back_what_was_done_to_live_states():
    assert _lived(0, batch=211) == _lived(4_096, batch=211, rolls_back=range(1, 40, 3))


def test_whoever_was_erased_begins_anew_though_the_state_was_live():
    run = stories.Run(BANK)
    run.feed(stories.arrivals(click(at="2025-03-01T12:00:00Z", url="/loans"))).flush()
    run.feed(stories.arrivals(customer_event("erasure", at="2025-03-01T13:00:00Z"))).finish()
    (again,) = stories.arrivals(click(at="2025-03-01T14:00:00Z"))
    run.feed([msgspec.structs.replace(again, offset=1)]).finish()

    state = states.restore(run.stored()["c1"])
    assert again.at_ms == state.first_ms
    assert "interest.loan" not in state.counters
