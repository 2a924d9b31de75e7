"""What facts set going, as the bank pack declares it."""

from builders import click, transaction
from needstream.streams.packs import loader
from needstream.streams.pipeline import classifier

BANK = loader.load("bank")


def _keys(scenarios):
    return [scenario.key for scenario in scenarios]


def test_a_plan_names_each_scenario_once_however_many_facts_concern_it():
    plan = BANK.planner.plan(("interest.loan", "interest.loan", "tx.balance", "tx.deposit"))

    assert ["repeated_loan_queries", "balance_jump", "balance_drop"] == _keys(plan.triggers)


def test_a_fact_takes_alarms_away_and_sets_others():
    plan = BANK.planner.plan(("apply.loan", "form.card", "customer.activity"))

    assert ["loan_rate_shopping", "application_abandoned.loan"] == _keys(plan.cancels)
    assert ["application_abandoned.card", "inactivity"] == _keys(plan.arms)


def test_only_what_something_reads_is_counted():
    plan = classifier.classify(click("logout"), BANK)

    assert ("click.logout", "customer.activity") == plan.facts
    assert ("customer.activity",) == plan.counted


def test_the_session_that_closes_is_no_activity():
    plan = BANK.session_closed

    assert (("session.closed",), False) == (plan.facts, plan.is_activity)


def test_events_of_one_kind_share_a_plan():
    first = classifier.classify(click(url="/loans/rates?from=mail", product="loan"), BANK)
    second = classifier.classify(click(url="/loans/compare"), BANK)

    assert first is second


def test_salary_and_another_deposit_are_two_plans():
    salary = classifier.classify(transaction("deposit", counterparty="ACME Payroll"), BANK)
    other = classifier.classify(transaction("deposit", counterparty="a friend"), BANK)

    assert (True, False) == (salary.is_salary, other.is_salary)
