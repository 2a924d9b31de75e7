"""A wrong pack is refused with file, line, field, value and what would be valid, and never half applied."""

import shutil
from importlib import resources
from pathlib import Path

import pytest

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
        ["models.card: needs either converts_on or absence_of"],
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
