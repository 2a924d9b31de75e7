"""A customer's state has a bound: nothing in it grows with the number of events."""

import pytest

from needstream.schemas import pending
from needstream.schemas import state as states
from needstream.schemas.pending import Ask, Prediction
from needstream.streams import topics
from needstream.streams.packs import loader
from needstream.streams.pipeline import identities, keeping, timers

NOW_MS = 1_900_000_000_000
MOST_BYTES = 8 * 1024
UUID = "0190e0a5-7c1e-7b6a-9d55-2f0c6b1f9a10"


def _predictions(definitions, state):
    """As many as wait at once, each with every model, all it declares as contestants, and every feature."""
    waits_ms = [model.horizon_ms + definitions.allowed_lateness_ms for model in definitions.models]
    waiting = max(waits_ms) // definitions.sample_every_ms + 1
    features = keeping.packed(tuple(0.1 + place for place in range(len(definitions.readings))))
    for number in range(waiting):
        age_ms = (waiting - 1 - number) * definitions.sample_every_ms
        made_ms = NOW_MS - age_ms
        asks = {
            name: Ask(
                made_ms + model.horizon_ms,
                0.123456789,
                f"{name}-blend-{10**9 + number}",
                contestants=bytes([1, 2]) * (1 + len(model.contestants)),
            )
            for name, model in definitions.by_model.items()
            if age_ms <= model.horizon_ms + definitions.allowed_lateness_ms
        }
        packed, state.shared = pending.packed(
            Prediction(made_ms, features, definitions.feature_set, asks),
            pending.tidied(state.predictions, state.shared),
        )
        state.predictions.append(packed)


@pytest.mark.parametrize("pack", ["bank", "shop"])
def test_a_customer_of_whom_everything_is_remembered_takes_8_kib_at_most(pack):
    definitions = loader.load(pack)
    state = states.new_customer(UUID, NOW_MS)
    state.applied = {states.PLACES[topic]: [10**12] for topic in topics.MERGED}
    state.recent_ids = bytes(states.RECENT_EVENT_IDS * states.RECENT_ID_BYTES)
    state.session = states.Session(NOW_MS, NOW_MS, 10**5, 10**5, 10**8)
    state.counters = {fact: [NOW_MS + 0.5] * (1 + len(definitions.half_lives_ms)) for fact in definitions.counted}
    state.balance = states.Balance("EUR", 10**15, NOW_MS, NOW_MS, 10**6, 0.1, NOW_MS, 10**15, 10**15, 10**15, 10**15)
    state.income = states.Income(10**3, NOW_MS, 30.1, 0.1)
    state.credit = states.Credit(1_000, NOW_MS, 1_000, NOW_MS)
    state.payments = states.Payments(10**6, NOW_MS, 0.1, 0.1, 0.1, 0.1, "EUR")
    state.traits = states.Traits("x" * 16, "x" * 32, 5, "x" * 35, "EUR", "x" * 32, mute=True)
    state.consents = dict.fromkeys(range(len(states.PURPOSES)), (2, NOW_MS))
    names = [timers.SESSION, timers.SAMPLE, timers.LABEL, *definitions.by_timer]
    state.timers = {name: states.Timer(NOW_MS, UUID) for name in names}
    keys = [each.key for each in (*definitions.scenarios, *definitions.models)]
    state.armings = {key: states.Arming(armed=False, fired=10**5, last_fired_ms=NOW_MS) for key in keys}
    state.spoken = {treatment: [NOW_MS] * 8 for treatment in ("sales", "service", "risk", "retention")}
    state.devices = {f"{UUID}{number}": [10**4] for number in range(identities.MOST_DEVICES)}
    _predictions(definitions, state)

    assert len(states.snapshot(state)) <= MOST_BYTES
