"""How unusual a customer is: noted with every prediction, and known to the next one only."""

import random

import pytest

import stories
from builders import click
from needstream.models.anomaly import WINDOW, AnomalyLearner
from needstream.models.scorer import Scorer
from needstream.models.standing import Standing
from needstream.schemas import state as states
from needstream.schemas.times import DAY_MS, parse_rfc3339
from needstream.streams.packs import loader
from needstream.streams.pipeline import keeping

_SHIPPED = loader.load("bank")
BANK = stories.changed(_SHIPPED, features=(*_SHIPPED.pack.features, "unusual"))
"""A pack whose models look at it too."""
FEATURES = BANK.pack.features
START_MS = parse_rfc3339("2025-03-01T09:00:00Z")


@pytest.fixture(scope="module")
def knowing() -> Scorer:
    """A scorer that has been told what is usual, and nothing else."""
    chance = random.Random(1)
    learner = AnomalyLearner(FEATURES)
    for _ in range(2 * WINDOW):
        learner.learn([chance.choice((0.0, chance.uniform(0, 8))) for _ in FEATURES])
    scorer = Scorer(BANK.readiness())
    name = BANK.models[0].declared.name
    scorer.publish(Standing(name=name, features=FEATURES, champion="pair", contestants={}, anomaly=learner.export()))
    return scorer


def _after(days: int, scorer: Scorer | None) -> states.CustomerState:
    """A customer who has logged in every day for so many days."""
    logins = [click("login", at=stories.text(START_MS + day * DAY_MS)) for day in range(days)]
    (customer,) = stories.Run(BANK, scorer=scorer).feed(stories.arrivals(*logins)).finish().customers()
    return customer


def _seen(prediction: states.Prediction) -> float:
    return keeping.unpacked(prediction.features, len(FEATURES))[FEATURES.index("unusual")]


def test_nobody_is_unusual_while_nobody_can_tell() -> None:
    customer = _after(9, None)

    assert (1, 0.0) == (len(customer.predictions), customer.unusual)


def test_unusual_is_noted_with_a_prediction(knowing: Scorer) -> None:
    values = keeping.unpacked(_after(9, knowing).predictions[0].features, len(FEATURES))

    assert round(knowing.unusual(values) or 0.0, 4) == _after(9, knowing).unusual > 0


def test_a_prediction_knows_the_word_of_the_one_before_only(knowing: Scorer) -> None:
    first, second = _after(9, knowing), _after(16, knowing)

    assert [0.0, pytest.approx(first.unusual)] == [_seen(prediction) for prediction in second.predictions]
