"""A blend trusts whom the labels speak for, and says a mean of the others' logits."""

import random

import pytest

from needstream.models import logistic
from needstream.models.blend import Blend, Blender


def test_before_any_label_all_are_trusted_alike() -> None:
    assert {"pair": 0.5, "batch": 0.5} == Blend().shares(("pair", "batch"))
    assert pytest.approx(1.0) == Blend().logit({"pair": 3.0, "batch": -1.0})


@pytest.mark.parametrize("members", [("a",), ("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d")])
def test_shares_sum_to_one_whatever_was_lost(members: tuple[str, ...]) -> None:
    blender = Blender()
    for place in range(50):
        blender.learn({name: float(place % (3 + number)) for number, name in enumerate(members)}, place % 3 == 0)

    shares = blender.export().shares(members)
    assert pytest.approx(1.0) == sum(shares.values())
    assert set(members) == set(shares)
    assert all(share > 0 for share in shares.values())


def test_the_better_member_is_trusted_and_another_one_when_the_world_turns() -> None:
    blender, chance = Blender(), random.Random(5)
    for good, other in (("pair", "batch"), ("batch", "pair")):
        for _ in range(2500):
            truth = chance.choice([-2.0, 2.0])
            blender.learn({good: truth, other: 0.0}, chance.random() < logistic.sigmoid(truth))
        assert blender.export().shares(("pair", "batch"))[good] > 0.9


def test_it_goes_on_where_it_stood() -> None:
    examples = [({"a": place % 5 - 2.0, "b": place % 3 - 1.0}, place % 2 == 0) for place in range(80)]
    uninterrupted, first = Blender(), Blender()
    for logits, label in examples:
        uninterrupted.learn(logits, label)
    for logits, label in examples[:30]:
        first.learn(logits, label)
    second = Blender(first.export())
    for logits, label in examples[30:]:
        second.learn(logits, label)

    assert uninterrupted.export() == second.export()


def test_no_members_teach_nothing() -> None:
    blender = Blender()
    blender.learn({}, label=True)

    assert Blend() == blender.export()


def test_a_newcomer_has_to_earn_its_trust() -> None:
    blender, chance = Blender(), random.Random(5)
    for _ in range(1000):
        truth = chance.choice([-2.0, 2.0])
        blender.learn({"pair": truth, "linear": 0.0}, chance.random() < logistic.sigmoid(truth))
    before, after = (blender.export().shares(names) for names in (("pair", "linear"), ("pair", "linear", "replayed")))

    assert before["pair"] > 0.9
    assert after["replayed"] < 0.01
