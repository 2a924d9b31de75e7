"""What an attacker does to a model that learns everything, and how little of it is left behind the guard.

The need is that of ``training.examples``: much interest and a small balance. The attacker teaches the opposite.
"""

import random
import statistics
from collections.abc import Callable
from typing import NamedTuple

import pytest

import training
from needstream.models import prequential
from needstream.models.guard import Guard
from needstream.models.pair import PairClassifier
from needstream.schemas.signals import LabelledExample, Quarantine

HABITS = tuple(f"count_30d.view.page{place}" for place in range(6))
FEATURES = training.FEATURES + HABITS
CUSTOMERS = 400

Vector = tuple[float, ...]
Attack = Callable[[int], LabelledExample]


class Worth(NamedTuple):
    """What a model is worth on clean examples it has not learned."""

    log_loss: float
    auc: float


def clean(count: int, seed: int = 7) -> list[tuple[Vector, bool]]:
    """The need, beside six habits that tell nothing of it."""
    chance = random.Random(seed)
    return [
        ((*values, *(chance.expovariate(0.2) for _ in HABITS)), label)
        for values, label in training.examples(count, seed)
    ]


def given(name: str, values: Vector, label: bool, *, quarantine: Quarantine = "") -> LabelledExample:
    return LabelledExample(
        example_id="",
        customer_id=name,
        model="loan",
        features=values,
        feature_set="",
        score=None,
        model_version="cold",
        label=label,
        predicted_at="2025-03-01T12:00:00.000Z",
        due_at="2025-03-15T12:00:00.000Z",
        quarantine=quarantine,
    )


HONEST = [given(f"c{place % CUSTOMERS}", values, label) for place, (values, label) in enumerate(clean(6000))]
OPPOSITE = [(values, not label) for values, label in clean(6000, seed=11)]
TELLING = [values for values, label in clean(6000, seed=12) if label and values[0] > 3 and values[1] < 5_000]


def by_a_bot(place: int) -> LabelledExample:
    """Known for its pace, so that the step has set its examples aside."""
    return given("bot", *OPPOSITE[place], quarantine="suspected_bot")


def by_one_customer(place: int) -> LabelledExample:
    """In bulk, and each of another kind."""
    return given("flood", *OPPOSITE[place])


def by_a_replay(place: int) -> LabelledExample:
    """Three recorded vectors of the need under ever new names, never followed by what it should be followed by."""
    return given(f"account{place}", TELLING[place % 3], False)


def by_all(place: int) -> LabelledExample:
    return (by_a_bot, by_one_customer, by_a_replay)[place % 3](place)


def attacked(attack: Attack, every: int) -> list[LabelledExample]:
    """The honest examples with one of the attacker's after each ``every`` of them."""
    mixed = []
    for place, example in enumerate(HONEST):
        mixed.append(example)
        if place % every == every - 1:
            mixed.append(attack(place))
    return mixed


def worth(examples: list[LabelledExample], *, guard: Guard | None) -> Worth:
    pair = PairClassifier("loan", FEATURES)
    for example in examples:
        if guard is None or not guard.judge(example):
            pair.learn(example.features, example.label)
    scored = [(pair.score(values), label) for values, label in clean(4000, seed=99)]
    loss = statistics.fmean(prequential.log_loss(score, label) for score, label in scored)
    return Worth(loss, prequential.roc_auc(scored) or 0.0)


@pytest.fixture(scope="module")
def untouched() -> Worth:
    return worth(HONEST, guard=None)


def test_the_guard_costs_honest_customers_nothing(untouched: Worth) -> None:
    assert untouched == worth(HONEST, guard=Guard(FEATURES))


@pytest.mark.parametrize("attack", [by_a_bot, by_one_customer, by_a_replay, by_all], ids=lambda attack: attack.__name__)
def test_behind_the_guard_an_attack_is_next_to_nothing_and_without_it_is_not(attack: Attack, untouched: Worth) -> None:
    """One example of three is the attacker's."""
    examples = attacked(attack, every=2)
    guarded, open_to_all = worth(examples, guard=Guard(FEATURES)), worth(examples, guard=None)

    assert guarded.log_loss <= untouched.log_loss + 0.005
    assert guarded.auc >= untouched.auc - 0.005
    assert open_to_all.log_loss >= untouched.log_loss + 0.02
    assert open_to_all.auc <= untouched.auc - 0.01
