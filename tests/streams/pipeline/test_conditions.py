import pytest

import stories
from needstream.schemas import pack as packs
from needstream.streams.packs import loader
from needstream.streams.pipeline.conditions import Compiler
from needstream.streams.pipeline.vocabulary import Vocabulary

BANK = loader.load("bank")
TRUE = packs.Condition(feature="salaries", at_most=0)
FALSE = packs.Condition(feature="salaries", above=0)


def _holds(condition):
    compiler = Compiler(Vocabulary(BANK.pack), BANK.half_lives_ms)
    return compiler.condition(condition, "when").holds(stories.new_customer(), 0)


@pytest.mark.parametrize(
    ("bounds", "holds"),
    [
        ({"at_least": 365}, True),
        ({"at_least": 365.1}, False),
        ({"at_most": 365}, True),
        ({"at_most": 364.9}, False),
        ({"above": 365}, False),
        ({"above": 364.9}, True),
        ({"below": 365}, False),
        ({"below": 365.1}, True),
        ({"at_least": 300, "below": 365}, False),
    ],
)
def test_bounds_are_inclusive_or_exclusive_as_their_names_say(bounds, *, holds):
    assert holds is _holds(packs.Condition(feature="days_since.apply.loan", **bounds))


@pytest.mark.parametrize(
    ("combination", "holds"),
    [
        ({"all": (TRUE, TRUE)}, True),
        ({"all": (TRUE, FALSE)}, False),
        ({"any": (FALSE, TRUE)}, True),
        ({"any": (FALSE, FALSE)}, False),
        ({"none": (FALSE, FALSE)}, True),
        ({"none": (FALSE, TRUE)}, False),
        ({"all": (packs.Condition(any=(FALSE, TRUE)), packs.Condition(none=(FALSE,)))}, True),
    ],
)
def test_combinations_say_what_their_words_mean(combination, *, holds):
    assert holds is _holds(packs.Condition(**combination))


def test_evidence_shows_the_comparisons_that_hold_and_nothing_of_what_must_not():
    compiler = Compiler(Vocabulary(BANK.pack), BANK.half_lives_ms)
    compiled = compiler.condition(
        packs.Condition(all=(packs.Condition(any=(FALSE, TRUE)), packs.Condition(none=(FALSE,)))), "when"
    )

    assert [("salaries", 0.0, "at most 0")] == [
        (each.feature, each.value, each.compared) for each in compiled.evidence(stories.new_customer(), 0)
    ]


def test_what_conditions_read_is_counted():
    compiler = Compiler(Vocabulary(BANK.pack), BANK.half_lives_ms)
    for name in ("hours_open.card", "monthly.tx.deposit", "balance", "pace.click.login"):
        compiler.feature(name, "features")

    assert {"form.card", "apply.card", "amount.tx.deposit", "click.login"} == compiler.counted
