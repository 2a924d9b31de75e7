"""A wrong pack is refused with file, line, field, value and what would be valid, and never half applied."""

import shutil
from importlib import resources
from pathlib import Path

import pytest

from needstream.models import contestants
from needstream.streams.packs import loader

BANK = Path(str(resources.files("needstream.streams.packs") / "bank"))


@pytest.fixture
def folder(tmp_path):
    target = tmp_path / "pack"
    shutil.copytree(BANK, target)
    return target


def _change(folder, file, *, old, new):
    """Replace the first occurrence of ``old`` and return the line on which it stands."""
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def _refusal(folder):
    with pytest.raises(loader.PackRefused) as refused:
        loader.load(str(folder))
    return str(refused.value)


@pytest.mark.parametrize("name", loader.shipped())
def test_every_shipped_pack_loads(name):
    assert loader.load(name).pack.name == name


def test_an_unknown_name_lists_the_shipped_packs():
    with pytest.raises(loader.PackRefused, match=r"'nopack' is neither a shipped pack \(bank.*\) nor a folder"):
        loader.load("nopack")


CARD = "    converts_on: [apply.card]\n    horizon: 14d\n    challengers: [linear, blend]\n"

MISTAKES = {
    "unknown field": (
        "scenarios.yaml",
        "    confidence: 0.75\n",
        "    confidence: 0.75\n    colour: red\n",
        +1,
        ["scenarios.repeated_loan_queries.colour: there is no such field", "triggered_by", "products"],
    ),
    "unknown field at the top": (
        "pack.yaml",
        "products: [",
        "produkts: [",
        0,
        ["produkts: there is no such field; fields are name, version, title, products"],
    ),
    "wrong type": (
        "scenarios.yaml",
        "at_least: 3.3",
        "at_least: often",
        0,
        ["scenarios.repeated_loan_queries.when.all[0].at_least", "'often'", "a number"],
    ),
    "word out of a closed list": (
        "scenarios.yaml",
        "treatment: sales",
        "treatment: advertising",
        0,
        ["scenarios.repeated_loan_queries.treatment", "'advertising'", "sales, service"],
    ),
    "number out of range": (
        "scenarios.yaml",
        "confidence: 0.75",
        "confidence: 75",
        0,
        ["scenarios.repeated_loan_queries.confidence", "75", "at least 0", "at most 1"],
    ),
    "unknown feature": (
        "scenarios.yaml",
        "count_7d.interest.loan, at_least",
        "weekly.interest.loan, at_least",
        0,
        ["when.all[0].feature", "'weekly.interest.loan'", "balance_ratio", "count_7d", "salary_overdue_days"],
    ),
    "feature that needs a fact": (
        "models.yaml",
        "  - count_1d.interest.loan\n",
        "  - count_1d\n",
        0,
        ["features[0]", "'count_1d'", "count_1d.<fact>"],
    ),
    "typo in a fact": (
        "scenarios.yaml",
        "triggered_by: [tx.instalment]",
        "triggered_by: [tx.instalmant]",
        0,
        ["scenarios.liquidity_stress.triggered_by[0]", "'tx.instalmant'", "tx.instalment", "tx.salary"],
    ),
    "unknown fact family": (
        "scenarios.yaml",
        "armed_by: [tx.salary]",
        "armed_by: [transaction.salary]",
        0,
        ["scenarios.salary_missing.absence.armed_by[0]", "'transaction.salary'", "families are apply, click"],
    ),
    "unknown family of a whole family": (
        "models.yaml",
        "score_on: [interest.*",
        "score_on: [interests.*",
        0,
        ["score_on[0]", "'interests.*'", "interest"],
    ),
    "product in a fact that is none": (
        "models.yaml",
        "converts_on: [apply.card]",
        "converts_on: [apply.cards]",
        0,
        ["models.card.converts_on[0]", "'apply.cards'", "apply.card,"],
    ),
    "fact in the name of a feature": (
        "models.yaml",
        "count_7d.rates.loan",
        "count_7d.rates.card",
        0,
        ["features[3]", "'rates.card'", "rates.loan"],
    ),
    "amount of what has none": (
        "models.yaml",
        "monthly.tx.card_payment",
        "monthly.interest.card",
        0,
        ["'interest.card'", "no amount", "tx.card_payment"],
    ),
    "activity": ("pack.yaml", "  - click.*\n", "  - clicks.*\n", 0, ["activity[0]", "'clicks.*'", "click"]),
    "bad duration": (
        "scenarios.yaml",
        "after: 5d",
        "after: five days",
        0,
        ["scenarios.loan_rate_shopping.absence.after", "'five days'", "30m or 14d"],
    ),
    "no duration at all": (
        "pack.yaml",
        "sample_every: 7d",
        "sample_every: 0d",
        0,
        ["time.sample_every", "'0d'", "longer than nothing"],
    ),
    "missing consent rule": (
        "pack.yaml",
        "  care: {purpose: service, default: GRANTED}\n",
        "",
        None,
        ["scenarios.liquidity_stress.treatment", "'care'", "no consent rule", "retention, risk, sales, service"],
    ),
    "missing priority": (
        "pack.yaml",
        "priority: {care: 90, ",
        "priority: {",
        None,
        ["scenarios.liquidity_stress.treatment", "'care'", "no priority rule"],
    ),
    "missing field": (
        "scenarios.yaml",
        "    confidence: 0.75\n",
        "",
        None,
        ["scenarios.repeated_loan_queries: confidence is missing", "a number at least 0"],
    ),
    "unknown need": (
        "scenarios.yaml",
        "    need: wealth",
        "    need: welth",
        0,
        ["'welth' is no need", "choose from", "wealth"],
    ),
    "duplicate id": (
        "scenarios.yaml",
        "- id: balance_drop",
        "- id: balance_jump",
        0,
        ["scenarios.balance_jump: 'balance_jump' is declared twice"],
    ),
    "duplicate model": ("models.yaml", "- name: wealth", "- name: loan", 0, ["models.loan: 'loan' is declared twice"]),
    "duplicate key": (
        "scenarios.yaml",
        "    confidence: 0.75\n",
        "    confidence: 0.75\n    confidence: 0.5\n",
        +1,
        ["confidence is declared twice"],
    ),
    "section in two files": (
        "models.yaml",
        "score_on: ",
        "name: bank\nscore_on: ",
        0,
        ["name is declared in", "pack.yaml already"],
    ),
    "yaml syntax": ("scenarios.yaml", "kind: need\n", "kind: [need\n", None, ["no valid YAML"]),
    "yaml tag": ("pack.yaml", "title: Retail bank", "title: !secret bank", 0, ["no valid YAML", "!secret"]),
    "yaml that contains itself": (
        "pack.yaml",
        "suitability: []",
        "suitability: &all [*all]",
        None,
        ["something in it contains itself"],
    ),
    "a key that YAML takes for a truth value": (
        "scenarios.yaml",
        "    confidence: 0.75\n",
        "    on: [tx.deposit]\n    confidence: 0.75\n",
        0,
        ["the key on", "truth values", "quotes"],
    ),
    "no trigger": (
        "scenarios.yaml",
        "    triggered_by: [interest.loan]\n",
        "",
        None,
        ["scenarios.repeated_loan_queries: needs triggered_by, absence or both"],
    ),
    "trigger without condition": (
        "scenarios.yaml",
        "    when: {feature: credit_score_drop, at_least: 40}\n",
        "",
        None,
        ["scenarios.credit_score_drop: needs when"],
    ),
    "condition without bound": (
        "scenarios.yaml",
        "{feature: balance_ratio, at_least: 1.8}",
        "{feature: balance_ratio}",
        0,
        ["when.all[0]: balance_ratio needs a bound: at_least, at_most, above or below"],
    ),
    "condition with nothing to say": (
        "scenarios.yaml",
        "{feature: balance_ratio, at_least: 1.8}",
        "{at_least: 1.8}",
        0,
        ["when.all[0]: write either a feature with its bounds, or one of all, any, none"],
    ),
    "empty combination": (
        "scenarios.yaml",
        "    when: {feature: credit_score_drop, at_least: 40}\n    rearm",
        "    when: {any: []}\n    rearm",
        0,
        ["scenarios.credit_score_drop.when.any: any needs at least one condition"],
    ),
    "placeholder that is no feature": (
        "scenarios.yaml",
        "{credit_score_drop} points",
        "{credit_drop} points",
        0,
        ["scenarios.credit_score_drop.text.en", "'credit_drop'", "credit_score_drop"],
    ),
    "score in the text of a scenario": (
        "scenarios.yaml",
        "{credit_score_drop} points",
        "{score} points",
        0,
        ["text.en", "'score' is no feature"],
    ),
    "unbalanced brace": (
        "scenarios.yaml",
        "{credit_score_drop} points",
        "{credit_score_drop points",
        0,
        ["text.en", "brace"],
    ),
    "unknown distress scenario": (
        "pack.yaml",
        "distress: [liquidity_stress,",
        "distress: [liquidity,",
        0,
        ["distress[0]", "'liquidity'", "liquidity_stress"],
    ),
    "page of an unknown product": (
        "pack.yaml",
        "{path: /loan, product: loan}",
        "{path: /loan, product: loans}",
        0,
        ["pages[3].product", "'loans'", "loan, mortgage"],
    ),
    "keywords of an unknown product": (
        "pack.yaml",
        "  loan: [loan,",
        "  loans: [loan,",
        0,
        ["keywords.loans", "loan, "],
    ),
    "topic named as a family": (
        "pack.yaml",
        "{path: /loans/rates, product: loan, topic: rates}",
        "{path: /loans/rates, product: loan, topic: view}",
        0,
        ["pages[0].topic", "'view'", "reserved"],
    ),
    "model without label": (
        "models.yaml",
        "    converts_on: [apply.card]\n",
        "",
        None,
        ["models.card: needs exactly one of converts_on, absence_of, declines; found none"],
    ),
    "model with two label rules": (
        "models.yaml",
        "    converts_on: [apply.card]\n",
        "    converts_on: [apply.card]\n    absence_of: [tx.card_payment]\n",
        -2,
        ["models.card: needs exactly one of", "found converts_on and absence_of"],
    ),
    "decline of something that is no feature": (
        "models.yaml",
        "declines: {feature: monthly.tx.card_payment",
        "declines: {feature: weekly.tx.card_payment",
        0,
        ["models.soft_churn.declines.feature", "'weekly.tx.card_payment' is no feature", "monthly"],
    ),
    "decline of a feature whose value is not kept": (
        "models.yaml",
        "declines: {feature: monthly.tx.card_payment",
        "declines: {feature: monthly.tx.withdrawal",
        0,
        [
            "models.soft_churn.declines.feature",
            "'monthly.tx.withdrawal' is not among",
            "choose from count_1d",
            "balance",
        ],
    ),
    "decline that is out of reach": (
        "models.yaml",
        "to: 0.75",
        "to: 0.5",
        0,
        ["models.soft_churn.declines.to", "0.5 is out of reach", "is left after 30d", "more than that"],
    ),
    "decline to more than before": (
        "models.yaml",
        "to: 0.75",
        "to: 1.5",
        0,
        ["models.soft_churn.declines.to", "1.5", "at least 0 at most 1"],
    ),
    "decline from nothing": (
        "models.yaml",
        "from_at_least: 100",
        "from_at_least: 0",
        0,
        ["models.soft_churn.declines.from_at_least", "found 0", "a number above 0"],
    ),
    "decline from infinity": (
        "models.yaml",
        "from_at_least: 100",
        "from_at_least: .inf",
        0,
        ["models.soft_churn.declines.from_at_least", "inf must be finite"],
    ),
    "decline with corrected feedback": (
        "models.yaml",
        "    declines: {",
        "    feedback: assumed_negative\n    declines: {",
        0,
        ["models.soft_churn.feedback", "'assumed_negative'", "known at the horizon", "write at_horizon"],
    ),
    "unknown feedback": (
        "models.yaml",
        "    declines: {",
        "    feedback: immediately\n    declines: {",
        0,
        ["models.soft_churn.feedback", "'immediately'", "one of assumed_negative, at_horizon"],
    ),
    "unknown kind of contestant": (
        "models.yaml",
        "    converts_on: [apply.card]\n",
        "    converts_on: [apply.card]\n    champion: river\n",
        +1,
        ["models.card.champion", "'river'", "one of batch, blend, forest, linear, pair, replayed"],
    ),
    "unknown kind of challenger": (
        "models.yaml",
        CARD,
        "    converts_on: [apply.card]\n    horizon: 14d\n    challengers: [linear, trees]\n",
        +2,
        ["models.card.challengers[1]", "'trees'", "one of batch"],
    ),
    "champion among its challengers": (
        "models.yaml",
        CARD,
        "    converts_on: [apply.card]\n    horizon: 14d\n    challengers: [linear, pair]\n",
        +2,
        ["models.card.challengers[1]", "'pair' is the champion already", "other kinds"],
    ),
    "challenger declared twice": (
        "models.yaml",
        CARD,
        "    converts_on: [apply.card]\n    horizon: 14d\n    challengers: [linear, linear]\n",
        +2,
        ["models.card.challengers[1]", "'linear' is declared twice"],
    ),
    "blend of one": (
        "models.yaml",
        CARD,
        "    converts_on: [apply.card]\n    horizon: 14d\n    challengers: [blend]\n",
        +2,
        ["models.card.challengers", "'blend'", "at least two"],
    ),
    "blend as the only champion": (
        "models.yaml",
        CARD,
        "    champion: blend\n    converts_on: [apply.card]\n    horizon: 14d\n    challengers: [pair]\n",
        0,
        ["models.card.champion", "'blend'", "at least two"],
    ),
    "threshold without a target": (
        "models.yaml",
        "    absence_of: [customer.activity]\n",
        "    absence_of: [customer.activity]\n    threshold: {}\n",
        +1,
        ["models.churn.threshold: needs exactly one of precision, costs; found none"],
    ),
    "threshold with two targets": (
        "models.yaml",
        "    absence_of: [customer.activity]\n",
        "    absence_of: [customer.activity]\n    threshold: {precision: 0.5, costs: {false_alarm: 1, missed: 9}}\n",
        +1,
        ["models.churn.threshold: needs exactly one of precision, costs; found both"],
    ),
    "precision nobody can promise": (
        "models.yaml",
        "    absence_of: [customer.activity]\n",
        "    absence_of: [customer.activity]\n    threshold: {precision: 1}\n",
        +1,
        ["models.churn.threshold.precision", "found 1", "a number above 0", "below 1"],
    ),
    "infinite cost": (
        "models.yaml",
        "    absence_of: [customer.activity]\n",
        "    absence_of: [customer.activity]\n    threshold: {costs: {false_alarm: 1, missed: .inf}}\n",
        +1,
        ["models.churn.threshold.costs.missed", "inf must be finite"],
    ),
    "forest that learns early labels": (
        "models.yaml",
        "    converts_on: [apply.card]\n    horizon: 14d\n    challengers: [linear, blend]\n",
        "    converts_on: [apply.card]\n    horizon: 14d\n    feedback: assumed_negative\n    challengers: [forest]\n",
        None,
        ["models.card.challengers", "'forest' looks at examples again", "write feedback: at_horizon"],
    ),
    "treatment that does not exist": (
        "pack.yaml",
        "  sales: {purpose: marketing",
        "  sale: {purpose: marketing",
        0,
        ["consent.sale: there is no such key; write one of care, retention, risk, sales, service"],
    ),
    "override of nobody in particular": (
        "models.yaml",
        "    converts_on: [apply.card]\n",
        "    converts_on: [apply.card]\n    overrides: [{enter_score: 0.5, author: ann, reason: pilot}]\n",
        +1,
        ["models.card.overrides[0]", "at least one of tier, age_band, channel"],
    ),
    "override that never holds": (
        "models.yaml",
        "    converts_on: [apply.card]\n",
        "    converts_on: [apply.card]\n    overrides:\n"
        "      - {tier: gold, enter_score: 0.5, author: ann, reason: pilot}\n"
        "      - {tier: gold, channel: app, enter_score: 0.6, author: ann, reason: pilot}\n",
        +3,
        ["models.card.overrides[1]", "tier 'gold' and channel 'app'", "holds before it", "narrower one first"],
    ),
    "override without an author": (
        "models.yaml",
        "    converts_on: [apply.card]\n",
        "    converts_on: [apply.card]\n    overrides: [{tier: gold, enter_score: 0.5, reason: pilot}]\n",
        +1,
        ["models.card.overrides[0]: author is missing", "a text"],
    ),
    "model that is stale at once": (
        "models.yaml",
        "    converts_on: [apply.card]\n",
        "    converts_on: [apply.card]\n    stale_after: 0d\n",
        +1,
        ["models.card.stale_after", "'0d'", "longer than nothing"],
    ),
    "promotion at any risk": (
        "pack.yaml",
        "holdout_share: 0.0\n",
        "holdout_share: 0.0\npromotion: {risk: 1.0}\n",
        +1,
        ["promotion.risk", "found 1.0", "a number above 0 below 1"],
    ),
    "promotion for less": (
        "pack.yaml",
        "holdout_share: 0.0\n",
        "holdout_share: 0.0\npromotion: {margin: -0.1}\n",
        +1,
        ["promotion.margin", "found -0.1", "a number at least 0"],
    ),
    "promotion never": (
        "pack.yaml",
        "holdout_share: 0.0\n",
        "holdout_share: 0.0\npromotion: {margin: .inf}\n",
        +1,
        ["promotion.margin", "inf must be finite"],
    ),
    "promotion of the unseen": (
        "pack.yaml",
        "holdout_share: 0.0\n",
        "holdout_share: 0.0\npromotion: {min_examples: 0}\n",
        +1,
        ["promotion.min_examples", "found 0", "a whole number at least 1"],
    ),
    "thresholds the wrong way round": (
        "models.yaml",
        "leave_score: 0.15",
        "leave_score: 0.55",
        0,
        ["models.loan.leave_score", "0.55", "enter_score (0.35)"],
    ),
    "salary pattern": (
        "pack.yaml",
        "counterparty: (?i)payroll",
        "counterparty: (payroll",
        0,
        ["salary.counterparty", "no regular expression"],
    ),
    "duration of the right form that means nothing": (
        "pack.yaml",
        "allowed_lateness: 15m",
        "allowed_lateness: 15 minutes",
        0,
        ["time.allowed_lateness", "'15 minutes'", "30m or 14d"],
    ),
    "scenario that is no mapping": (
        "scenarios.yaml",
        "scenarios:\n",
        "scenarios:\n  - repeated\n",
        +1,
        ["scenarios[0]", "'repeated'", "a mapping"],
    ),
    "word in a mapping of rules": (
        "pack.yaml",
        "sales: {purpose: marketing,",
        "sales: {purpose: adverts,",
        None,
        ["consent", "'adverts'", "one of analytics, marketing"],
    ),
    "value of a mapping": (
        "pack.yaml",
        "priority: {care: 90",
        "priority: {care: high",
        0,
        ["priority: found {'care': 'high'", "a whole number at least 0 at most 100"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_with_its_place_and_what_is_valid(folder, mistake):
    file, old, new, moved, said = MISTAKES[mistake]
    line = _change(folder, file, old=old, new=new)

    message = _refusal(folder)

    place, _, _ = message.partition(": ")
    path, _, number = place.rpartition(":")
    assert Path(path).parent == folder
    if moved is not None:
        assert (file, line + moved) == (Path(path).name, int(number))
    assert [] == [words for words in said if words not in message], message


def test_a_scenario_for_several_products_is_refused_at_its_line_in_the_file(folder):
    line = _change(folder, "scenarios.yaml", old='armed_by: ["form.{product}"]', new='armed_by: ["forms.{product}"]')

    message = _refusal(folder)

    assert message.startswith(
        f"{folder / 'scenarios.yaml'}:{line}: scenarios.application_abandoned.absence.armed_by[0]"
    )
    assert "'forms.loan'" in message


def test_a_file_that_is_no_mapping_is_refused(folder):
    (folder / "models.yaml").write_text("- models\n", encoding="utf-8")

    assert _refusal(folder).startswith(f"{folder / 'models.yaml'}:1: a pack file is a mapping")


def test_a_file_that_is_no_text_is_refused(folder):
    (folder / "models.yaml").write_bytes(b"models: \xff\xfe\n")

    assert _refusal(folder).startswith(f"{folder / 'models.yaml'}:1: no UTF-8 text")


def test_an_empty_pack_is_refused(tmp_path):
    (tmp_path / "pack.yaml").write_text("name: tiny\n", encoding="utf-8")

    assert _refusal(tmp_path).startswith(f"{tmp_path / 'pack.yaml'}:1: the pack: version is missing")


def test_a_contestant_that_is_not_installed_is_refused_with_how_to_install_it(folder, monkeypatch):
    monkeypatch.setattr(contestants, "is_available", lambda kind: kind != "batch")
    _change(folder, "models.yaml", old="challengers: [linear, blend]", new="challengers: [batch]")

    message = _refusal(folder)

    assert "models.loan.challengers: 'batch' needs LightGBM, which is not installed here" in message
    assert "pip install 'needstream[batch]', or leave it out" in message
