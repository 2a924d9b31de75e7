"""Slices: figures by group against their definitions, gaps where there are some and hardly elsewhere."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from needstream.models import linear, prequential, slices
from needstream.models.slices import Gap, SliceBook

Drawn = tuple[dict[str, str], float, bool]


def stream(count: int, *, seed: int = 7, shifted: str = "", offset: float = 0.0, noise: float = 0.0) -> list[Drawn]:
    """Honest scores; those of tier ``shifted`` are ``offset`` too low, and blurred by ``noise``, on the logit."""
    chance = random.Random(seed)
    drawn = []
    for _ in range(count):
        tier = chance.choice(["basic", "basic", "gold", "private"])
        logit = chance.gauss(-1.5, 1.2) + (tier == "private")
        label = chance.random() < linear.sigmoid(logit)
        if tier == shifted:
            logit += chance.gauss(-offset, noise)
        groups = {"tier": tier, "age_band": chance.choice(["18-29", "30-44", "65+"]), "channel": "push"}
        drawn.append((groups, linear.sigmoid(logit), label))
    return drawn


def book(examples: list[Drawn]) -> SliceBook:
    kept = SliceBook("loan")
    for groups, score, label in examples:
        kept.observe(groups, score, label=label, reached=score >= 0.5)
    return kept


def names(kept: SliceBook, attribute: str) -> list[str]:
    return [figures.value for figures in kept.figures() if figures.attribute == attribute]


def found(gaps: list[Gap]) -> list[tuple[str, str, str]]:
    return [(gap.attribute, gap.value, gap.measure) for gap in gaps]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20), st.booleans()), min_size=1, max_size=60))
def test_figures_of_a_group_are_those_of_its_examples(drawn: list[tuple[str, int, bool]]) -> None:
    examples: list[Drawn] = [({"tier": tier}, place / 20, label) for tier, place, label in drawn]
    tiers = {figures.value: figures for figures in book(examples).figures() if figures.attribute == "tier"}

    assert {tier for tier, _, _ in drawn} == set(tiers)
    for tier, figures in tiers.items():
        own = [(score, label) for groups, score, label in examples if groups["tier"] == tier]
        positives, mean = sum(label for _, label in own), sum(score for score, _ in own) / len(own)
        assert (len(own), positives) == (figures.examples, figures.positives)
        assert pytest.approx(mean) == figures.mean_score
        assert pytest.approx(mean - positives / len(own), abs=1e-12) == figures.calibration_gap
        assert pytest.approx(sum(prequential.log_loss(*pair) for pair in own) / len(own)) == figures.log_loss
        assert pytest.approx(prequential.roc_auc(own)) == figures.auc
        assert pytest.approx(sum(score >= 0.5 for score, _ in own) / len(own)) == figures.rate


def test_every_example_is_in_one_group_of_each_attribute() -> None:
    kept = book([({"tier": "gold"}, 0.3, False), ({}, 0.4, True), ({"tier": "", "channel": "push"}, 0.5, True)])

    assert ["unknown"] == names(kept, "age_band")
    assert ["push", "unknown"] == names(kept, "channel")
    assert ["gold", "unknown"] == names(kept, "tier")
    assert [3] * 3 == [
        sum(figures.examples for figures in kept.figures() if figures.attribute == attribute)
        for attribute in slices.ATTRIBUTES
    ]


def test_an_attribute_that_is_none_of_the_three_is_not_kept() -> None:
    kept = book([({"customer_id": "c1", "tier": "gold"}, 0.3, False)])

    assert set(slices.ATTRIBUTES) == {figures.attribute for figures in kept.figures()}


def test_an_example_without_a_score_tells_nothing() -> None:
    kept = SliceBook("loan")
    kept.observe({"tier": "gold"}, None, label=True, reached=False)

    assert [] == kept.figures()


@pytest.mark.parametrize(
    "value",
    ["a b", "x" * 25, "jane.doe@example.org", 'a"}', "gold\n", "金", "other"],
    ids=lambda value: repr(value)[:9],
)
def test_an_unusual_name_is_other(value: str) -> None:
    assert ["other"] == names(book([({"tier": value}, 0.3, False)]), "tier")


def test_names_in_use_keep_their_own() -> None:
    usual = ["18-29", "65+", "<18", ">=65", "GOLD_2", "x" * 24]

    assert sorted(usual) == names(book([({"age_band": value}, 0.3, False) for value in usual]), "age_band")


def test_however_many_names_there_are_groups_stay_few_for_good() -> None:
    flood: list[Drawn] = [({"tier": f"t{place}"}, 0.3, False) for place in range(3 * slices.GENERATION)]
    kept = SliceBook("loan")
    seen = set()
    for place, (groups, score, label) in enumerate(flood):
        kept.observe(groups, score, label=label, reached=False)
        if place % 5000 == 0:
            seen |= set(names(kept, "tier"))
    assert len(seen | set(names(kept, "tier"))) <= slices.MOST_VALUES + 1


def test_figures_are_of_the_newest_generations() -> None:
    old: list[Drawn] = [({"tier": "gold"}, 0.9, False)] * slices.GENERATION
    new: list[Drawn] = [({"tier": "gold"}, 0.1, False)] * (2 * slices.GENERATION + 1)
    figures = book(old + new).figures()[-1]

    assert (slices.GENERATION + 1, pytest.approx(0.1)) == (figures.examples, figures.mean_score)


def test_a_group_whose_scores_are_too_low_is_found() -> None:
    gaps = book(stream(6000, shifted="private", offset=1.0)).gaps()

    assert ("tier", "private", "calibration_gap") in found(gaps)
    assert {"private"} == {gap.value for gap in gaps}
    assert all(gap.deviations >= slices.DEVIATIONS for gap in gaps)


def test_a_group_that_is_ranked_badly_is_found() -> None:
    gaps = book(stream(6000, shifted="basic", noise=3.0)).gaps()

    assert {("tier", "basic", "auc"), ("tier", "basic", "log_loss")} <= set(found(gaps))


def test_a_group_of_another_share_of_positives_is_no_gap() -> None:
    """Those of tier private convert twice as often, so their plain log loss is higher: their scores say so."""
    kept = book(stream(20_000))
    losses = {figures.value: figures.log_loss for figures in kept.figures() if figures.attribute == "tier"}

    assert losses["basic"] + 0.05 < losses["private"]
    assert [] == kept.gaps()


def test_too_few_examples_are_no_gap() -> None:
    few = [example for example in stream(6000, shifted="private", offset=2.0) if example[0]["tier"] == "private"]
    others = [example for example in stream(3000, seed=8) if example[0]["tier"] != "private"]

    assert [] == book(others + few[: slices.FEWEST_EXAMPLES - 1]).gaps()
    assert [] != book(others + few[: slices.FEWEST_EXAMPLES]).gaps()


def test_honest_scores_raise_no_alarm_however_often_one_looks() -> None:
    alarms = []
    for seed in range(5):
        kept = SliceBook("loan")
        for place, (groups, score, label) in enumerate(stream(6000, seed=seed)):
            kept.observe(groups, score, label=label, reached=False)
            if place % 400 == 399:
                alarms += kept.gaps()

    assert [] == alarms


def test_a_difference_within_the_margin_is_no_gap_however_sure() -> None:
    slight: list[Drawn] = []
    for place in range(19_000):
        tier = "gold" if place % 2 else "basic"
        slight.append(({"tier": tier}, 0.2 if tier == "basic" else 0.18, place % 10 in {0, 1}))
    kept = book(slight)

    assert [] == [gap for gap in kept.gaps() if gap.measure == "calibration_gap"]
