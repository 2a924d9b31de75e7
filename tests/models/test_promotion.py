"""Promotion: the better one is served soon, equals seldom change places, and no look is one too many."""

import math
import random
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec
import pytest

from needstream.models import promotion
from needstream.models.promotion import Contest, ContestState, Promotion, TrialState
from needstream.schemas import pack

Losses = dict[str, float]

RULE = pack.Promotion(margin=0.001, risk=0.05, min_examples=200)


def duel(gain: float, *, spread: float = 0.2, seed: int = 7) -> Iterator[Losses]:
    """Losses of a champion ``pair`` and of a ``linear`` that is better by ``gain`` nats on average."""
    chance = random.Random(seed)
    while True:
        yield {"pair": 0.5, "linear": 0.5 - chance.gauss(gain, spread)}


def days(of: int, *, spread: float, seed: int) -> Iterator[Losses]:
    """Equal contestants whose difference is that of the day, with ``of`` examples a day."""
    chance = random.Random(seed)
    while True:
        today = chance.gauss(0.0, spread)
        for _ in range(of):
            yield {"pair": 0.5, "linear": 0.5 - today - chance.gauss(0.0, 0.1)}


def contest(*others: str, rule: pack.Promotion = RULE, state: ContestState | None = None) -> Contest:
    return Contest(("pair", *(others or ("linear",))), champion="pair", rule=rule, state=state)


def first(held: Contest, stream: Iterable[Losses]) -> tuple[int, Promotion] | None:
    """After how many examples somebody was promoted."""
    for count, losses in enumerate(stream, start=1):
        found = held.observe(losses)
        if found is not None:
            return count, found
    return None


def false_promotions(streams: Iterable[Iterator[Losses]], *, looks: int, kinds: tuple[str, ...] = ("linear",)) -> int:
    rule = pack.Promotion(margin=0.0, risk=0.05, min_examples=50)
    return sum(first(contest(*kinds, rule=rule), islice(stream, looks)) is not None for stream in streams)


def test_equals_change_places_within_the_risk_however_often_one_looks() -> None:
    assert 10 >= false_promotions((duel(0.0, seed=seed) for seed in range(200)), looks=1000)


def test_equals_with_rare_large_differences_change_places_within_the_risk() -> None:
    """One in 50 is the rare class: the challenger is 0.02 better on the others, and pays for it there."""

    def rare(seed: int) -> Iterator[Losses]:
        chance = random.Random(seed)
        while True:
            yield {"pair": 1.0, "linear": 1.98 if chance.random() < 0.02 else 0.98}

    assert 5 >= false_promotions((rare(seed) for seed in range(60)), looks=1500)


def test_several_challengers_share_the_risk() -> None:
    def race(seed: int) -> Iterator[Losses]:
        chance = random.Random(seed)
        while True:
            yield {kind: chance.gauss(0.5, 0.2) for kind in ("pair", "linear", "forest", "batch")}

    streams = (race(seed) for seed in range(60))

    assert 5 >= false_promotions(streams, looks=1000, kinds=("linear", "forest", "batch"))


def test_the_days_of_equals_are_not_taken_for_evidence() -> None:
    streams = [days(40, spread=0.1, seed=seed) for seed in range(60)]

    assert 5 >= false_promotions(streams, looks=2000)


def test_lucky_silence_of_the_rare_class_is_no_evidence() -> None:
    """A challenger that always says less is ahead until the first positive comes."""
    said = contest(rule=pack.Promotion(margin=0.001, risk=0.05, min_examples=100))
    negatives = [{"pair": -math.log(1 - 0.005), "linear": -math.log(1 - 0.0005)}] * 800

    assert first(said, negatives) is None


@pytest.mark.parametrize(("gain", "within"), [(0.3, 300), (0.1, 800), (0.05, 1500), (0.02, 6000)])
def test_a_better_challenger_is_promoted_in_time(gain: float, within: int) -> None:
    found = first(contest(), islice(duel(gain), within))

    assert found is not None
    assert ("linear", "pair") == (found[1].champion, found[1].previous)
    assert pytest.approx(gain, rel=0.5) == found[1].gain
    assert RULE.margin < found[1].at_least < found[1].gain


def test_one_that_is_better_by_less_than_the_margin_is_never_promoted() -> None:
    rule = pack.Promotion(margin=0.02, risk=0.05, min_examples=200)

    assert first(contest(rule=rule), islice(duel(0.015, spread=0.1), 40_000)) is None


def test_nobody_is_promoted_before_the_fewest_examples() -> None:
    found = first(contest(), islice(duel(1.0), 1000))

    assert found is not None
    assert (RULE.min_examples, RULE.min_examples) == (found[0], found[1].examples)


def test_the_best_of_several_is_promoted() -> None:
    chance = random.Random(3)
    race = ({"pair": 0.9, "linear": 0.5, "forest": 0.4 + chance.gauss(0.0, 0.01)} for _ in range(1000))
    found = first(contest("linear", "forest"), race)

    assert found is not None
    assert "forest" == found[1].champion


@pytest.mark.parametrize("calm", [2_000, 30_000])
def test_when_the_world_turns_the_former_champion_comes_back(calm: int) -> None:
    """However long the calm lasted: a test of a short span soon begins anew."""
    held = contest()
    promoted = first(held, islice(duel(0.1), 2000))
    assert promoted is not None
    assert first(held, islice(duel(0.1, seed=8), calm)) is None

    turned = first(held, islice(duel(-0.15, seed=9), 2500))

    assert turned is not None
    assert ("pair", "linear") == (turned[1].champion, turned[1].previous)
    assert "pair" == held.champion


def test_one_asked_rarely_does_not_profit() -> None:
    """It is asked one time in ten, and then it is by far the best: what counts is what both were asked about."""
    asked = [
        {**losses, "forest": losses["pair"] - 0.4} if not place % 10 else losses
        for place, losses in enumerate(islice(duel(0.0), 6000))
    ]
    held = contest("linear", "forest")

    assert first(held, asked[: 10 * RULE.min_examples - 10]) is None
    trials = held.export().trials
    assert [RULE.min_examples - 1] * 2 == [trials["forest"][0].examples, trials["forest"][-1].examples]
    found = first(held, asked[10 * RULE.min_examples - 10 :])
    assert found is not None
    assert "forest" == found[1].champion


def test_where_the_champion_was_not_asked_nothing_is_compared() -> None:
    held = contest("linear", "forest")
    for _ in range(2000):
        held.observe({"linear": 0.1, "forest": 0.9})

    assert contest("linear", "forest").export() == held.export()


def test_evidence_starts_anew_with_a_promotion() -> None:
    held = contest("linear", "forest")
    race = ({**losses, "forest": 0.45} for losses in duel(0.3))
    assert first(held, islice(race, 1000)) is not None

    fresh = (TrialState(),) * len(promotion.SPANS)
    assert ContestState(champion="linear", trials={"pair": fresh, "forest": fresh}) == held.export()


def test_a_challenger_that_is_behind_in_full_is_not_promoted() -> None:
    """Held within the bound it would be ahead."""
    race = [{"pair": 1.0, "linear": 0.75 if place % 25 else 13.0} for place in range(5000)]
    bounded = [{**each, "linear": min(each["linear"], 1.0 + promotion.BOUND)} for each in race]

    assert first(contest(), bounded) is not None
    assert first(contest(), race) is None


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_losses_that_are_no_numbers_are_ignored(odd: float) -> None:
    plain, disturbed = contest(), contest()
    for losses in islice(duel(0.0), 300):
        plain.observe(losses)
        disturbed.observe({**losses, "linear": odd})
        disturbed.observe({**losses, "pair": odd})
        disturbed.observe({**losses, "unheard_of": odd})

    assert plain.export() == disturbed.export()


def test_huge_losses_leave_a_state_of_numbers() -> None:
    held = contest()
    for sign in (1.0, 1.0, -1.0, 1.0):
        held.observe({"pair": sign * 1e308, "linear": -sign * 1e308})
    text = msgspec.json.encode(held.export())

    assert held.export() == msgspec.json.decode(text, type=ContestState)


@pytest.mark.parametrize("stop", [0, 1, 199, 200, 777, 1999, 2000, 2001, 2100, 2600])
def test_going_on_from_an_export_is_as_if_nothing_had_stopped(stop: int) -> None:
    shown = [*islice(duel(0.0), 2100), *islice(duel(0.2, seed=8), 600)]
    whole, begun = contest(), contest()
    decided = [whole.observe(losses) for losses in shown]
    before = [begun.observe(losses) for losses in shown[:stop]]
    resumed = contest(state=msgspec.json.decode(msgspec.json.encode(begun.export()), type=ContestState))

    assert decided == before + [resumed.observe(losses) for losses in shown[stop:]]
    assert any(decided)
    assert whole.export() == resumed.export()
    assert whole.champion == resumed.champion


def state_of(*kinds: str, champion: str) -> ContestState:
    trials = (TrialState(examples=3, total=1.5, squares=0.75, raw=1.5),) * len(promotion.SPANS)
    return ContestState(champion=champion, trials=dict.fromkeys(kinds, trials))


def test_kinds_that_are_gone_are_dropped_and_new_ones_start_at_zero() -> None:
    held = contest("linear", "forest", state=state_of("linear", "batch", champion="pair"))
    counts = {kind: [trial.examples for trial in trials] for kind, trials in held.export().trials.items()}

    assert {"linear": [3, 3, 3], "forest": [0, 0, 0]} == counts


def test_the_champion_of_the_state_is_served() -> None:
    held = contest(state=state_of("pair", champion="linear"))

    assert "linear" == held.champion
    assert ["pair"] == list(held.export().trials)


def test_a_champion_that_is_gone_gives_way_to_the_declared_one_and_takes_its_evidence_along() -> None:
    held = contest(state=state_of("pair", "linear", champion="forest"))

    assert contest().export() == held.export()


def test_a_state_of_other_spans_starts_at_zero() -> None:
    known = ContestState(champion="pair", trials={"linear": (TrialState(examples=9),)})

    assert contest().export() == contest(state=known).export()


def test_a_champion_who_does_not_take_part_is_refused() -> None:
    with pytest.raises(ValueError, match="'forest' is not one of the contestants"):
        Contest(("pair", "linear"), champion="forest", rule=RULE)


def test_a_model_without_challengers_keeps_its_champion() -> None:
    held = Contest(("pair",), champion="pair", rule=RULE)

    assert held.observe({"pair": 0.3, "linear": 0.1}) is None
    assert ContestState(champion="pair") == held.export()
