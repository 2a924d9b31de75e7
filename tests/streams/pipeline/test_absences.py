import stories
from builders import click, transaction
from needstream.schemas import pack as packs
from needstream.schemas.state import ALARM_OF_SCENARIO
from needstream.streams.packs import loader

BANK = loader.load("bank")


def _alarm(scenario, *story, definitions=BANK):
    """When the alarm of a scenario is due after the story, as text; None when it is not set."""
    run = stories.Run(definitions).feed(stories.arrivals(*story), at_end=stories.ALL).finish()
    timer = run.customers()[0].timers.get(f"{ALARM_OF_SCENARIO}{scenario}")
    return None if timer is None else stories.text(timer.due_ms)


def _step(at, step="1"):
    return click("form_step", at=f"2025-03-{at}Z", form="loan_application", step=step)


def test_each_fact_sets_the_alarm_anew():
    assert "2025-03-02T10:00:00.000Z" == _alarm("application_abandoned.loan", _step("01T10:00:00"))
    assert "2025-03-02T12:00:00.000Z" == _alarm(
        "application_abandoned.loan", _step("01T10:00:00"), _step("01T12:00:00", "2")
    )


def test_what_must_not_follow_clears_the_alarm():
    assert _alarm("application_abandoned.loan", _step("01T10:00:00"), _step("01T10:05:00", "submitted")) is None
    assert _alarm("application_abandoned.card", _step("01T10:00:00")) is None


def test_of_an_event_that_clears_and_sets_the_alarm_stays_set():
    scenario = next(each for each in BANK.pack.scenarios if each.id == "loan_rate_shopping")
    absence = packs.Absence(armed_by=("interest.loan",), unless=("rates.loan",), after="5d")
    looping = stories.with_scenario(BANK, scenario, absence=absence)
    rates = click(at="2025-03-01T10:00:00Z", url="/loans/rates")

    assert "2025-03-06T10:00:00.000Z" == _alarm("loan_rate_shopping", rates, definitions=looping)


def test_the_wait_is_longer_by_the_days_of_a_feature():
    salaries = [
        transaction("deposit", at=f"2025-{day}T07:00:00Z", counterparty="payroll")
        for day in ("01-01", "01-31", "03-02")
    ]

    assert "2025-04-08T07:00:00.000Z" == _alarm("salary_missing", *salaries)


def test_a_newer_fact_without_the_condition_takes_the_alarm_away():
    """Paid, but irregularly: the older alarm must not ring for a salary that has come."""
    paid = ["01-01", "01-31", "03-02", "03-20"]
    salaries = [transaction("deposit", at=f"2025-{day}T07:00:00Z", counterparty="payroll") for day in paid]
    salaries.append(transaction("deposit", at="2025-05-30T07:00:00Z", counterparty="payroll"))

    assert _alarm("salary_missing", *salaries) is None


def test_a_late_fact_sets_an_alarm_that_is_still_ahead():
    busy = click(at="2025-03-01T10:00:01Z")

    assert "2025-03-02T10:00:00.000Z" == _alarm("application_abandoned.loan", busy, _step("01T10:00:00"))


def test_a_late_fact_sets_no_alarm_that_would_have_rung():
    busy = click(at="2025-03-02T10:00:01Z")

    assert _alarm("application_abandoned.loan", busy, _step("01T10:00:00")) is None


def test_a_late_fact_does_not_pull_a_later_alarm_forward():
    assert "2025-03-02T12:00:00.000Z" == _alarm(
        "application_abandoned.loan", _step("01T12:00:00", "2"), _step("01T10:00:00")
    )


def test_a_late_clearing_takes_away_only_an_alarm_that_was_set_before_it():
    submitted = _step("01T11:00:00", "submitted")
    busy = click(at="2025-03-01T11:30:00Z")

    assert _alarm("application_abandoned.loan", _step("01T10:00:00"), busy, submitted) is None
    assert "2025-03-02T12:00:00.000Z" == _alarm("application_abandoned.loan", _step("01T12:00:00"), busy, submitted)


def test_a_late_fact_without_the_condition_leaves_the_alarm_alone():
    looks = [click(at=f"2025-03-01T1{n}:00:00Z", url="/loans/rates") for n in range(4)]
    strict = next(each for each in BANK.pack.scenarios if each.id == "loan_rate_shopping")
    absence = packs.Absence(
        armed_by=("rates.loan",), after="5d", only_if=packs.Condition(feature="days_since.apply.loan", at_least=300)
    )
    definitions = stories.with_scenario(BANK, strict, absence=absence)
    applied = click("form_step", at="2025-03-01T13:30:00Z", form="loan_application", step="submitted")
    late = click(at="2025-03-01T09:00:00Z", url="/loans/rates")

    assert "2025-03-06T13:00:00.000Z" == _alarm("loan_rate_shopping", *looks, applied, late, definitions=definitions)
