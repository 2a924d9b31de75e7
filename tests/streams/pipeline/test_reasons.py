"""A score is explained in words that a person can read: what points to it, what points away from it, and no more."""

import re

import msgspec
import pytest

import training
from needstream.models import feature_words
from needstream.models.contributions import Explainer, Explanation
from needstream.models.linear import Contribution
from needstream.models.pair import PairClassifier
from needstream.schemas import signals
from needstream.streams.packs import loader
from needstream.streams.pipeline import reasons

BANK = loader.load("bank")
SHIPPED = [
    (definitions, name) for definitions in map(loader.load, loader.shipped()) for name in definitions.pack.features
]
BY_SIGN = [name for name, words in feature_words.FAMILIES.items() if isinstance(words, feature_words.BySign)]
INTERNAL = re.compile(r"[a-z]_|_[a-z]|[a-z]\.[a-z]|[{}*]")
CAUSAL = re.compile(r"because|cause|due to|therefore|leads to|因为|由于|导致|所以|原因")

LOAN = Explanation(
    -1.5,
    (
        Contribution("count_1d.interest.loan", 1.2, 0.2, 1.1),
        Contribution("count_7d.interest.loan", 5.1, 1.4, 2.6),
        Contribution("balance", 120.0, 0.7, -1.3),
        Contribution("balance_ratio", 0.5, 0.3, -0.8),
        Contribution("credit_score_drop", 0.0, 0.1, 0.02),
        Contribution("idle_days", 1.0, 0.04, -1.2),
        Contribution("days_since.click.login", 9.0, -0.6, 1.4),
    ),
)


def _explained(*parts):
    return reasons.of(Explanation(0.0, parts), BANK, count=4)


def test_a_whole_explanation_reads_as_sentences():
    said = reasons.of(LOAN, BANK, count=4).sentence

    assert (
        "What points to it: many more loan page visits and searches in about the last week than most customers"
        " (about 5); a lower balance than most customers (120);"
        " a somewhat lower balance relative to its own usual level than average (half the usual)."
        " What points away from it: a longer time without logins than most customers (9 days)."
    ) == said.en
    assert (
        "支持这一判断的迹象：近一周贷款浏览与搜索次数远多于多数客户（约 5 次）；余额低于多数客户（120）；"
        "余额与自身平常水平之比略低于平均水平（平常的一半）。"
        "相反的迹象：距上次登录的时间长于多数客户（9 天）。"
    ) == said.zh


def test_evidence_carries_feature_value_strength_and_words():
    against = reasons.of(LOAN, BANK, count=4).speaking_against

    assert (
        signals.Evidence(
            feature="days_since.click.login",
            value=9.0,
            compared="-0.600 log-odds",
            text=signals.Explanation(
                en="A longer time without logins than most customers (9 days).",
                zh="距上次登录的时间长于多数客户（9 天）。",
            ),
        ),
    ) == against


def test_codes_name_what_speaks_for_it_the_strongest_first():
    assert (
        "high.count_7d.interest.loan",
        "low.balance",
        "low.balance_ratio",
        "high.count_1d.interest.loan",
    ) == reasons.of(LOAN, BANK, count=4).codes


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (1, 1), (9, 4)])
def test_no_more_than_asked_are_shown_and_none_at_its_mean_or_without_weight(count, shown):
    assert shown == len(reasons.of(LOAN, BANK, count=count).speaking_for)


def test_a_feature_at_its_mean_leaves_its_place_to_the_next():
    at_mean = Contribution("balance", 500.0, 2.0, 0.0)
    found = reasons.of(Explanation(0.0, (at_mean, *LOAN.parts)), BANK, count=1)

    assert ["count_7d.interest.loan"] == [each.feature for each in found.speaking_for]


def test_counts_of_one_fact_are_said_once_and_listed_all():
    found = _explained(*LOAN.parts[:2])

    assert 2 == len(found.speaking_for)
    assert 1 == found.sentence.en.count("loan page visits")


def test_what_is_one_sided_has_one_sentence():
    assert "What points away from it: a lower balance than most customers (120)." == (
        _explained(Contribution("balance", 120.0, -0.7, -1.3)).sentence.en
    )


def test_what_is_about_the_average_is_left_out_however_much_it_weighs():
    average = Contribution("balance", 500.0, 2.0, -0.4)

    found = _explained(average, Contribution("idle_days", 9.0, 0.3, 1.2))

    assert ["idle_days"] == [each.feature for each in found.speaking_for]
    assert ("high.idle_days",) == found.codes
    assert "balance" not in found.sentence.en


def test_when_all_is_about_the_average_nothing_is_said():
    assert reasons.NONE == _explained(
        Contribution("balance", 500.0, 2.0, -0.4), Contribution("idle_days", 1.0, -0.7, 0.3)
    )


def test_when_nothing_speaks_there_is_no_sentence():
    assert reasons.NONE == _explained(
        Contribution("balance", 120.0, 0.7, 0.0), Contribution("idle_days", 1.0, 0.0, 2.0)
    )


@pytest.mark.parametrize(("definitions", "name"), SHIPPED, ids=[f"{d.pack.name}-{name}" for d, name in SHIPPED])
def test_every_feature_of_a_shipped_pack_has_words_in_both_languages_and_directions(definitions, name):
    parts = [
        Contribution(name, value, logit, z)
        for value in (0.0, 0.3, 1.0, 4.6, 1234.5, -20.0, 365.0)
        for logit in (1.0, -1.0)
        for z in (-2.5, -1.2, -0.7, 0.7, 1.2, 2.5, None)
    ]
    said = [reasons.of(Explanation(0.0, (part,)), definitions, count=1).sentence for part in parts]
    sentences = [each.en for each in said] + [each.zh for each in said]

    assert [] == [sentence for sentence in sentences if INTERNAL.search(sentence) or CAUSAL.search(sentence)]
    assert [] == [each.zh for each in said if re.search("[A-Za-z]", each.zh)]
    # What is told by its sign alone has no grades.
    assert len({(each.en, each.zh) for each in said}) > len(parts) / (10 if name in BY_SIGN else 4)


def test_the_words_of_opposite_directions_differ():
    for definitions, name in SHIPPED:
        low, high = (
            reasons.of(Explanation(0.0, (Contribution(name, 2.0, 1.0, z),)), definitions, count=1) for z in (-1.2, 1.2)
        )

        assert (low.sentence.en != high.sentence.en) == (name not in BY_SIGN)
        assert (low.sentence.zh != high.sentence.zh) == (name not in BY_SIGN)
        assert (f"low.{name}", f"high.{name}") == low.codes + high.codes


def test_a_learned_model_is_explained_and_the_reasons_travel():
    pair = PairClassifier("loan", training.FEATURES)
    for values, label in training.examples(600):
        pair.learn(values, label)
    explained = Explainer(pair.export()).explain([9.0, 100.0, 1.0, 3.5, 0.0, 0.0])

    found = reasons.of(explained, BANK, count=2)

    assert {"high.count_7d.interest.loan", "low.balance"} == set(found.codes)
    assert found == msgspec.json.decode(msgspec.json.encode(found), type=reasons.Reasons)
