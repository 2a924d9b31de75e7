"""The threshold of a customer: an expert's before the labels', the labels' before the declared one."""

import pytest

from needstream.schemas import pack
from needstream.schemas.parts import Traits
from needstream.streams.packs import loader
from needstream.streams.pipeline import bars

LOAN = loader.load("bank").models[0].declared
PREMIUM = pack.Override(tier="premium", enter_score=0.8, author="R. Lee", reason="adviser's clients")
YOUNG = pack.Override(tier="premium", age_band="18-25", enter_score=0.1, author="R. Lee", reason="test")


def _declared(*overrides):
    values = {name: getattr(LOAN, name) for name in LOAN.__struct_fields__}
    return pack.Model(**(values | {"enter_score": 0.4, "leave_score": 0.1, "overrides": overrides}))


def test_without_labels_and_experts_the_declared_threshold_holds():
    assert bars.Bar(0.4, 0.1) == bars.bar(_declared(), Traits(), chosen=None)


def test_a_chosen_threshold_keeps_the_declared_proportion_of_the_leaving_one():
    chosen = bars.bar(_declared(), Traits(), chosen=0.2)

    assert 0.2 == chosen.enter
    assert pytest.approx(0.05) == chosen.leave


def test_an_expert_has_the_last_word_for_the_customers_meant():
    declared = _declared(PREMIUM)

    assert (0.8, PREMIUM) == (bars.bar(declared, Traits(tier="premium"), chosen=0.2).enter, PREMIUM)
    assert 0.2 == bars.bar(declared, Traits(tier="standard"), chosen=0.2).enter


def test_an_override_holds_for_customers_who_match_all_it_names_and_the_first_counts():
    declared = _declared(YOUNG, PREMIUM)

    assert YOUNG == bars.bar(declared, Traits(tier="premium", age_band="18-25"), chosen=None).override
    assert PREMIUM == bars.bar(declared, Traits(tier="premium", age_band="40-60"), chosen=None).override
    assert bars.bar(declared, Traits(age_band="18-25"), chosen=None).override is None
