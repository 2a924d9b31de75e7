"""What scenarios and models propose: once per turn of the condition or the score, with what speaks for and against."""

import msgspec

import stories
from builders import click, customer_event, ms, transaction
from needstream.models.linear import LinearModel
from needstream.models.scorer import Scorer
from needstream.models.standing import Standing
from needstream.schemas.signals import Alert
from needstream.streams.packs import loader
from needstream.streams.pipeline import candidates, labels
from needstream.streams.pipeline.occasions import Occasion

BANK = loader.load("bank")


def _scorer(intercept=0.0, weight=2.0, enter_score=None):
    """A warm model of loans that looks at last week's loan interest alone."""
    features = BANK.pack.features
    scorer = Scorer(BANK.readiness())
    zeros = tuple(0.0 for _ in features)
    weights = tuple(weight if name == "count_7d.interest.loan" else 0.0 for name in features)
    model = LinearModel(
        name="loan",
        version=1000,
        positives=100,
        features=features,
        means=zeros,
        variances=tuple(1.0 for _ in features),
        weights=weights,
        squares=zeros,
        intercept=intercept,
    )
    said = {"name": "loan", "features": features, "version": 1000, "labels": 1000, "positives": 100}
    standing = Standing(**said, champion="linear", contestants={"linear": model}, enter_score=enter_score)
    scorer.publish(msgspec.structs.replace(standing, newest_ms=ms("2025-03-01T00:00:00Z")))
    return scorer


def _state(looks=3, day=1):
    run = stories.Run(BANK)
    run.feed(stories.arrivals(*(click(at=f"2025-03-{day:02d}T10:0{n}:00Z", url="/loans") for n in range(looks))))
    (state, *_) = run.finish().customers()
    state.first_ms -= BANK.sample_every_ms
    return state


def _asked(occasion):
    return candidates.from_models(occasion, labels.outlook(occasion))


def _proposed(state, scorer, at):
    found = _asked(Occasion(state, ms(at), "e1", BANK, scorer))
    return [(each.scenario, each.score, each.model_version) for each in found]


def test_a_model_proposes_when_its_score_rises_over_the_entry_threshold():
    (proposal,) = _proposed(_state(), _scorer(-2.0), "2025-03-01T11:00:00Z")

    assert ("model.loan", "loan-linear-1000") == (proposal[0], proposal[2])
    assert 0.35 <= proposal[1] < 0.75


def test_a_threshold_that_labels_speak_for_replaces_the_declared_one():
    over, under = _scorer(-2.0, enter_score=0.9), _scorer(-6.0, enter_score=0.001)

    assert [] == _proposed(_state(), over, "2025-03-01T11:00:00Z")
    assert 1 == len(_proposed(_state(), under, "2025-03-01T11:00:00Z"))


def test_a_decision_says_which_threshold_was_passed():
    (loan,) = _asked(Occasion(_state(), ms("2025-03-01T11:00:00Z"), "e1", BANK, _scorer(-2.0)))

    assert "the threshold was 0.35" == loan.note


def test_below_the_entry_threshold_nothing_is_proposed():
    assert [] == _proposed(_state(), _scorer(-6.0), "2025-03-01T11:00:00Z")


def test_models_say_nothing_of_a_customer_younger_than_what_they_learned_from():
    state = _state()
    state.first_ms += 1_000_000

    assert [] == _proposed(state, _scorer(-2.0), "2025-03-01T10:10:00Z")


def test_cold_models_propose_nothing():
    assert [] == _proposed(_state(), Scorer(BANK.readiness()), "2025-03-01T11:00:00Z")


def test_a_model_stays_silent_until_its_score_has_fallen_to_the_leaving_threshold():
    state, scorer = _state(), _scorer(-2.0)
    days = ("03-01", "03-02", "03-12", "03-13", "04-20", "04-21")

    proposed = [len(_proposed(state, scorer, f"2025-{day}T11:00:00Z")) for day in days[:2]]
    assert [1, 0] == proposed

    between = _proposed(state, _scorer(-1.2, 0.0), "2025-03-12T11:00:00Z")
    assert [] == between
    assert [] == _proposed(state, scorer, "2025-03-12T12:00:00Z")

    assert [] == _proposed(state, _scorer(-5.0, 0.0), "2025-03-13T11:00:00Z")
    assert 1 == len(_proposed(state, _scorer(0.0), "2025-03-14T11:00:00Z"))


def test_a_score_is_explained_by_what_speaks_for_and_against_it():
    (loan,) = _asked(Occasion(_state(), ms("2025-03-01T11:00:00Z"), "e1", BANK, _scorer(-2.0)))
    (doubted,) = _asked(Occasion(_state(), ms("2025-03-01T11:00:00Z"), "e1", BANK, _scorer(6.0, -2.0)))

    assert [("count_7d.interest.loan", 2.99)] == [(each.feature, round(each.value, 2)) for each in loan.evidence]
    assert () == loan.counter_evidence
    assert ["count_7d.interest.loan"] == [each.feature for each in doubted.counter_evidence]


def test_a_scenario_carries_the_score_of_the_model_of_its_need():
    scenario = next(each for each in BANK.scenarios if each.key == "repeated_loan_queries")
    state = _state(4)
    state.armings.clear()
    found = candidates.from_scenario(Occasion(state, ms("2025-03-01T10:05:00Z"), "e1", BANK, _scorer()), scenario)

    assert ("loan-linear-1000", "14d") == (found.model_version, found.horizon)
    assert 0.5 < found.score < 1


def test_counter_evidence_halves_the_confidence_and_suggests_the_other_reading():
    scores = [
        customer_event("credit_score", at=f"2025-03-0{day}T06:00:00Z", score=score)
        for day, score in ((1, 700), (2, 640))
    ]
    state = stories.Run(BANK).feed(stories.arrivals(*scores)).finish().customers()[0]
    for n in range(4):
        state.counters["interest.loan"] = [float(ms("2025-03-02T10:00:00Z")), 4.0, 4.0, 4.0 + n]
    scenario = next(each for each in BANK.scenarios if each.key == "repeated_loan_queries")
    occasion = Occasion(state, ms("2025-03-02T10:00:00Z"), "e1", BANK, Scorer(BANK.readiness()))

    found = candidates.from_scenario(occasion, scenario)

    assert scenario.declared.confidence / 2 == found.confidence
    assert ["credit_score_drop"] == [each.feature for each in found.counter_evidence]
    assert "relief from debt" in found.alternative_reading


def test_a_score_that_recovers_only_half_does_not_arm_the_scenario_again():
    days = ((1, 700), (2, 640), (3, 675), (4, 640))
    story = [customer_event("credit_score", at=f"2025-03-0{day}T06:00:00Z", score=score) for day, score in days]
    run = stories.Run(BANK).feed(stories.arrivals(*story)).finish()

    assert 1 == len([*run.of(Alert)])
    assert not run.customers()[0].armings["credit_score_drop"].armed


def test_the_ring_of_an_absence_is_a_new_occasion_each_time():
    """The customer's habits stay as they are; each absence is news."""
    story = [click("login", at=f"2025-{day}T09:00:00Z") for day in ("01-01", "01-02", "01-03", "01-04", "01-05")]
    story += [click("login", at=f"2025-{day}T09:00:00Z") for day in ("03-01", "03-02", "03-03", "03-04", "03-05")]
    story += [transaction("fee", at="2025-04-01T09:00:00Z")]
    run = stories.Run(BANK).feed(stories.arrivals(*story)).finish()

    assert ["2025-01-26", "2025-03-26"] == [each.event_time[:10] for each in run.of(Alert)]
