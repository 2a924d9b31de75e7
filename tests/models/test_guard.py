"""The guard keeps out what nobody honest gives, and lets everything honest pass, in small populations too."""

import math
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import training
from needstream.models import features, guard
from needstream.models.guard import Guard
from needstream.schemas.signals import LabelledExample
from needstream.schemas.times import DAY_MS

WIDE = tuple(float(place) + 0.5 for place in range(12))


def example(customer: str = "c1", values: tuple[float, ...] | None = None, **changes: Any) -> LabelledExample:
    fields: dict[str, Any] = {
        "example_id": "e1",
        "customer_id": customer,
        "model": "loan",
        "features": WIDE if values is None else values,
        "feature_set": training.FEATURE_SET,
        "score": 0.3,
        "model_version": "loan-1",
        "label": False,
        "predicted_at": "2025-03-01T12:00:00.000Z",
        "due_at": "2025-03-15T12:00:00.000Z",
    }
    return LabelledExample(**(fields | changes))


def drawn(chance: random.Random) -> tuple[float, ...]:
    return tuple(chance.uniform(2.0, 300.0) for _ in range(12))


def population(customers: int, rounds: int, *, seed: int = 7) -> list[LabelledExample]:
    """Everybody is sampled once in each round, in another order each time, some now and then not."""
    chance = random.Random(seed)
    given_in_order = []
    for _ in range(rounds):
        for customer in chance.sample(range(customers), customers):
            if chance.random() < 0.7:
                given_in_order.append(example(f"c{customer}", drawn(chance)))
    return given_in_order


def verdicts(examples: list[LabelledExample]) -> list[str]:
    keeper = Guard()
    return [keeper.judge(each) for each in examples]


@pytest.mark.parametrize("reason", ["suspected_bot", "repeated"])
def test_what_the_step_set_aside_stays_so(reason: str) -> None:
    assert [reason] == verdicts([example(quarantine=reason)])


@pytest.mark.parametrize(
    "changes",
    [
        {"values": (math.nan, 1.0)},
        {"values": (math.inf, 1.0)},
        {"values": (-math.inf, 1.0)},
        {"values": (1e300, 1.0)},
        {"values": (0.0, -1e19)},
        {"score": 1.5},
        {"score": -0.1},
        {"score": math.nan},
        {"contestants": {"linear": math.nan}},
        {"contestants": {"linear": 0.4, "pair": 2.0}},
        {"predicted_at": "2025-03-16T12:00:00.000Z"},
        {"predicted_at": ""},
        {"due_at": "zzz"},
        {"due_at": "2025-03-15T12:00:00"},
        {"due_at": "2999-03-15T12:00:00.000Z"},
        {"predicted_at": "1960-03-01T12:00:00.000Z"},
    ],
    ids=str,
)
def test_what_cannot_be_is_impossible(changes: dict[str, Any]) -> None:
    assert ["impossible"] == verdicts([example(**changes)])


@pytest.mark.parametrize(
    "changes",
    [
        {"score": None},
        {"score": 0.0},
        {"score": 1.0, "contestants": {"pair": 0.0, "linear": 1.0}},
        {"values": (1e15, -1e15)},
        {"values": ()},
        {"due_at": "2025-03-01T12:00:00.000Z"},
        {"stage": "assumed"},
        {"stage": "assumed", "label": True},
        {"stage": "converted", "label": True},
        {"stage": "converted", "label": False},
    ],
    ids=str,
)
def test_what_can_be_is_learned(changes: dict[str, Any]) -> None:
    assert [""] == verdicts([example(**changes)])


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("count_7d.view.loan", 0.0, 1e9),
        ("days_since.tx.purchase", 0.0, 365.0),
        ("pace.click.login", 0.0, 10.0),
        ("salary_overdue_days", -365.0, 365.0),
        ("balance_ratio", -100.0, 100.0),
        ("credit_score", 0.0, 1000.0),
        ("balance", -guard.LARGEST, guard.LARGEST),
    ],
)
def test_with_names_every_value_is_held_to_what_its_family_can_be(name: str, low: float, high: float) -> None:
    keeper = Guard(features=(name,))

    assert ["", ""] == [keeper.judge(example(values=(value,))) for value in (low, high)]
    beyond = (math.nextafter(low, -math.inf), math.nextafter(high, math.inf))
    assert ["impossible"] * 2 == [keeper.judge(example(values=(value,))) for value in beyond]


def test_with_names_there_is_a_value_for_each() -> None:
    assert "impossible" == Guard(features=("balance", "idle_days")).judge(example(values=(1.0,)))


def test_the_caps_are_of_families_there_are() -> None:
    assert set(guard._CAPS) <= set(features.FAMILIES)


def test_one_informative_vector_under_many_customers_is_repeated() -> None:
    """The first ones could not be known; from the fifth customer on none is learned."""
    attack = [example(f"bot{place}") for place in range(20)]

    assert [""] * 4 + ["repeated"] * 16 == verdicts(attack)


def test_a_replayed_attack_among_honest_examples_is_repeated() -> None:
    honest = population(200, 10)
    attack = [example(f"bot{place}", label=True) for place in range(100)]
    mixed = [each for pair in zip(honest[: len(attack)], attack, strict=True) for each in pair] + honest[len(attack) :]
    counted = Counter(zip((each.features == WIDE for each in mixed), verdicts(mixed), strict=True))

    assert {(True, ""): 4, (True, "repeated"): 96, (False, ""): len(honest)} == counted


@pytest.mark.parametrize(
    "dormant",
    [
        (0.0,) * 30 + (365.0, 365.0, 1.0, 1.0, 0.0),
        # One event a week ago, exactly as many others have had: three counts, twice, its age, twice, and a pace.
        (0.0078125, 0.5, 0.85, 0.5, 0.85, 7.0, 7.0, 2.1, 0.851) + (0.0,) * 20 + (365.0, 1.0),
    ],
    ids=["dormant", "one-event"],
)
def test_customers_who_did_next_to_nothing_share_a_vector_honestly(dormant: tuple[float, ...]) -> None:
    assert {""} == set(verdicts([example(f"c{place}", dormant) for place in range(3000)]))


def test_one_customer_may_give_the_same_vector_again() -> None:
    """Assumed first and corrected later, or sampled twice while nothing happened."""
    assert [""] * 8 == verdicts([example("c1")] * 8)


def test_what_is_old_is_no_copy() -> None:
    chance = random.Random(1)
    between = [example(f"c{place % 1500}", drawn(chance)) for place in range(guard.NEWEST)]
    spread = [each for bot in range(6) for each in (example(f"bot{bot}"), *between)]

    assert {""} == set(verdicts(spread))


def test_one_customer_among_many_has_a_bounded_share() -> None:
    """A thousand customers give one or two each while the flood comes."""
    honest = population(1000, 3)
    flood = [example("flood", drawn(random.Random(place)), label=True) for place in range(len(honest))]
    mixed = [each for pair in zip(honest, flood, strict=True) for each in pair]
    judged = list(zip(mixed, verdicts(mixed), strict=True))
    learned = [each.customer_id for each, reason in judged if not reason]

    assert len(honest) == len([name for name in learned if name != "flood"])
    assert {"", "dominant"} == {reason for each, reason in judged if each.customer_id == "flood"}
    assert Counter(learned)["flood"] <= guard.ALWAYS_FREE


@pytest.mark.parametrize("customers", [1, 2, 3, 5, 9, 10, 20, 60, 250])
def test_a_small_population_is_learned_whole(customers: int) -> None:
    assert {""} == set(verdicts(population(customers, 6000 // customers)))


def test_a_population_in_which_few_are_active_and_many_dormant_is_learned_whole() -> None:
    chance = random.Random(5)
    active = [f"a{chance.randrange(100)}" for _ in range(9000)]
    names = [name if chance.random() < 0.75 else f"d{chance.randrange(5000)}" for name in active]

    assert {""} == set(verdicts([example(name, drawn(chance)) for name in names]))


def test_a_flood_in_a_small_population_is_bounded() -> None:
    honest = population(20, 300)
    flood = [example("flood", drawn(random.Random(place))) for place in range(len(honest))]
    mixed = [each for pair in zip(honest, flood, strict=True) for each in pair]
    judged = list(zip(mixed, verdicts(mixed), strict=True))

    assert {""} == {reason for each, reason in judged if each.customer_id != "flood"}
    learned = [each for each, reason in judged if not reason and each.customer_id == "flood"]
    assert len(learned) < len(flood) // 5


def test_accounts_that_give_one_example_each_do_not_make_the_others_dominant() -> None:
    """Not as long as they give fewer than half of the examples; here it is a quarter."""
    chance = random.Random(6)
    honest = [f"c{chance.randrange(100)}" for _ in range(3000)]
    names = [
        name for place, honestly in enumerate(honest) for name in (honestly, f"sybil{place}")[: 1 + place % 3 // 2]
    ]
    judged = zip(names, verdicts([example(name, drawn(chance)) for name in names]), strict=True)

    assert {""} == {reason for name, reason in judged if name.startswith("c")}


few = st.tuples(st.sampled_from("abcdefghijkl"), st.integers(0, 2), st.booleans())


@given(st.lists(few, max_size=120), st.lists(few, max_size=30))
def test_shown_the_newest_again_it_stands_where_it_stood(
    before: list[tuple[str, int, bool]], after: list[tuple[str, int, bool]]
) -> None:
    given_before, given_after = (
        [
            example(name, (*WIDE[:11], float(vector)), quarantine="suspected_bot" if bot else "")
            for name, vector, bot in each
        ]
        for each in (before, after)
    )
    keeper, rebuilt = Guard(), Guard()
    for each in given_before:
        keeper.judge(each)
        rebuilt.judge(each)

    assert [keeper.judge(each) for each in given_after] == [rebuilt.judge(each) for each in given_after]


def test_the_newest_examples_are_all_it_rests_on() -> None:
    mixed = [*population(300, 30), *[example(f"bot{place}") for place in range(50)], *population(12, 30)]
    mixed += [example("flood", drawn(random.Random(place))) for place in range(50)]
    later = [*population(12, 5, seed=9), *[example("flood")] * 30, *[example(f"bot{place}") for place in range(9)]]
    whole, rebuilt = Guard(), Guard()
    for each in mixed:
        whole.judge(each)
    for each in mixed[-guard.NEWEST :]:
        rebuilt.judge(each)

    answers = [whole.judge(each) for each in later]
    assert {"dominant", "repeated", ""} == set(answers)
    assert answers == [rebuilt.judge(each) for each in later]


def test_memory_is_bounded_and_holds_no_customer_id() -> None:
    keeper, chance = Guard(), random.Random(2)
    for place in range(12_000):
        keeper.judge(example(f"customer-{place}", drawn(chance)))
    dominance, copies = keeper._dominance, keeper._copies

    assert guard.NEWEST == len(dominance._newest) == len(dominance._given)
    assert guard.NEWEST == len(copies._newest) == len(copies._customers_of)
    assert {int} == {type(customer) for customer in dominance._given}


def test_an_example_is_due_one_horizon_after_it_was_asked() -> None:
    guard = Guard(horizon_ms=14 * DAY_MS)

    assert ["", "impossible"] == [
        guard.judge(example(customer_id=name, due_at=due_at))
        for name, due_at in (("a", "2025-03-15T12:00:00.000Z"), ("b", "2025-03-15T12:00:00.001Z"))
    ]
