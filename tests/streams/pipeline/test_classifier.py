import pytest

from builders import click, consent, customer_event, feedback, outcome, transaction
from needstream.streams.packs import loader
from needstream.streams.pipeline import classifier

BANK = loader.load("bank")


@pytest.mark.parametrize(
    ("event", "facts"),
    [
        (click(url="/loans"), ["view.loan", "interest.loan", "click.page_view"]),
        (click(url="https://bank.example/LOANS/?a=1"), ["view.loan", "interest.loan", "click.page_view"]),
        (click(url="/loans/rates/today"), ["rates.loan", "view.loan", "interest.loan", "click.page_view"]),
        (click(page="loans/compare"), ["rates.loan", "view.loan", "interest.loan", "click.page_view"]),
        (click(url="/loans/rates", product="card"), ["view.card", "interest.card", "click.page_view"]),
        (click(url="/loans/rates", product="loan"), ["rates.loan", "view.loan", "interest.loan", "click.page_view"]),
        (click(url="/about", product="wealth"), ["view.wealth", "interest.wealth", "click.page_view"]),
        (click(url="/about", product="spaceship"), ["click.page_view"]),
        (click(url="http://[broken"), ["click.page_view"]),
        (click("feature_use", url="/transfer-abroad"), ["view.remittance", "interest.remittance", "click.feature_use"]),
        (click("login", url="/loans"), ["click.login"]),
        (click("search", query="Home LOAN or house"), ["search.mortgage", "interest.mortgage", "click.search"]),
        (click("search", query="我要贷款"), ["search.loan", "interest.loan", "click.search"]),
        (click("search", query="weather"), ["click.search"]),
        (click("search", query="weather", product="card"), ["search.card", "interest.card", "click.search"]),
        (click("search"), ["click.search"]),
        (click("form_step", form="loan_application", step="2"), ["form.loan", "click.form_step"]),
        (click("form_step", form="loan_topup", step="2"), ["form.loan", "click.form_step"]),
        (click("form_step", form="loan_application", step="Submitted"), ["apply.loan", "click.form_step"]),
        (click("form_step", form="spaceship_application", step="1"), ["click.form_step"]),
        (click("form_step"), ["click.form_step"]),
        (click("form_step", product="card"), ["form.card", "click.form_step"]),
        (transaction("application", product="fund"), ["apply.fund", "tx.application"]),
        (transaction("application"), ["tx.application"]),
        (transaction("deposit", counterparty="ACME Payroll Ltd"), ["tx.salary", "tx.deposit"]),
        (transaction("transfer_in", counterparty="my employer"), ["tx.salary", "tx.transfer_in"]),
        (transaction("transfer_out", counterparty="payroll"), ["tx.transfer_out"]),
        (transaction("deposit", counterparty="a friend"), ["tx.deposit"]),
    ],
)
def test_an_event_becomes_its_facts_and_activity(event, facts):
    assert (*facts, "customer.activity") == classifier.classify(event, BANK).facts


@pytest.mark.parametrize(
    ("event", "facts"),
    [
        (transaction("fee"), ["tx.fee"]),
        (transaction("instalment"), ["tx.instalment"]),
        (transaction("balance"), ["tx.balance"]),
        (feedback("complaint", text="slow"), ["feedback.complaint"]),
        (outcome("accepted"), ["outcome.accepted"]),
        (customer_event("credit_score", score=700), ["credit.score"]),
        (customer_event("profile", tier="gold"), []),
        (consent(), []),
    ],
)
def test_what_the_bank_does_or_notes_is_no_activity(event, facts):
    assert tuple(facts) == classifier.classify(event, BANK).facts


def test_no_event_makes_a_fact_outside_the_vocabulary():
    known = {f"{family}.{name}" for family, names in BANK.vocabulary.families.items() for name in names}
    made = {
        fact
        for kind in ("page_view", "search", "form_step")
        for product in BANK.products
        for step in ("1", "submitted")
        for fact in classifier.classify(click(kind, product=product, url="/loans/rates", step=step), BANK).facts
    }

    assert made <= known
