"""Every fact of the vocabulary has words in both languages, and a pack names what is its own."""

import re
import shutil
from importlib import resources
from pathlib import Path

import pytest

import stories
from needstream.schemas.pack import Texts
from needstream.streams.packs import loader
from needstream.streams.pipeline import fact_words
from needstream.streams.pipeline.refusals import DefinitionError

BANK = loader.load("bank")
PACKS = [loader.load(name) for name in loader.shipped()]
INTERNAL = re.compile(r"[a-z]_|_[a-z]|[a-z]\.[a-z]|[{}*]")
LATIN = re.compile("[A-Za-z]")


def _facts(definitions):
    return [
        f"{family}.{fact}" for family, facts in definitions.vocabulary.families.items() for fact in sorted(facts)
    ] + list(definitions.products)


@pytest.mark.parametrize("definitions", PACKS, ids=loader.shipped())
def test_every_fact_and_product_of_a_shipped_pack_has_words_in_both_languages(definitions):
    said = {fact: fact_words.of(fact, definitions.pack.words) for fact in _facts(definitions)}

    assert {} == {fact: words.en for fact, words in said.items() if not words.en or INTERNAL.search(words.en)}
    assert {} == {fact: words.zh for fact, words in said.items() if not words.zh or LATIN.search(words.zh)}


def test_a_fact_of_a_product_is_called_by_the_words_of_the_product():
    said = fact_words.of("interest.loan", BANK.pack.words)

    assert ("loan page visits and searches", "贷款浏览与搜索") == (said.en, said.zh)


def test_a_fact_of_a_topic_is_called_by_both_words():
    said = fact_words.of("rates.loan", BANK.pack.words)

    assert ("visits to loan pages about rates", "贷款利率页面浏览") == (said.en, said.zh)


def test_a_pack_may_name_a_whole_fact():
    whole = Texts(en="looks at loans", zh="关注贷款")

    assert whole == fact_words.of("interest.loan", {**BANK.pack.words, "interest.loan": whole})


def test_what_a_pack_does_not_name_is_called_by_its_name_without_underscores():
    said = fact_words.of("view.home_loan", {})

    assert ("visits to home loan pages", "home loan页面浏览") == (said.en, said.zh)


@pytest.mark.parametrize("name", ["loan", "rates", "interest.loan", "rates.loan", "tx.fee"])
def test_words_for_what_a_pack_knows_are_taken(name):
    changed = stories.changed(BANK, words={name: Texts(en="a", zh="b")})

    fact_words.check(changed.pack, changed.vocabulary)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("lone", "'lone' is no product or topic; these are: account, card"),
        ("interest.lone", "'interest.lone' is no fact; of this family there are"),
        ("interests.loan", "'interests.loan' is of no family of facts"),
    ],
)
def test_words_for_what_a_pack_does_not_know_are_refused(name, problem):
    words = {name: Texts(en="a", zh="b")}

    with pytest.raises(DefinitionError, match=problem) as refused:
        fact_words.check(stories.changed(BANK, words=words).pack, BANK.vocabulary)

    assert f"words.{name}" == refused.value.place


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("loan: loan", "words.loan: found 'loan'; write a mapping of en and zh, each a text"),
        ("loan: {en: loan}", "words.loan: zh is missing; write a text"),
        ("loan: {en: loan, zh: 3}", "words.loan.zh: found 3; write a text"),
        ("loan: {en: loan, zh: b, fr: c}", "words.loan.fr: there is no such field; fields are en, zh"),
    ],
)
def test_words_that_are_not_both_texts_are_refused_by_name_and_line(tmp_path, written, problem):
    folder = tmp_path / "pack"
    shutil.copytree(Path(str(resources.files("needstream.streams.packs") / "bank")), folder)
    before = re.sub(r"(?ms)^words:.*?(?=^\S|\Z)", "", (folder / "pack.yaml").read_text(encoding="utf-8"))
    text = f"{before.rstrip()}\nwords:\n  card: {{en: a, zh: b}}\n  {written}\n"
    (folder / "pack.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(loader.PackRefused) as refused:
        loader.load(str(folder))

    assert f"{folder / 'pack.yaml'}:{text.count(chr(10))}: {problem}" == str(refused.value)
