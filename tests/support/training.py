"""Labelled examples with something in them to learn, the same ones every time.

model = trained(200)                       # an OnlineModel that has learned 200 of them
standing = standing_of(200)                # where a model stands whose champion has learned them
for values, label in examples(50): ...
"""

import hashlib
import random

from needstream.models.online_model import OnlineModel
from needstream.models.rules import Rules
from needstream.models.snapshots import feature_set
from needstream.models.standing import Standing
from needstream.models.track import Track
from needstream.schemas.signals import LabelledExample

FEATURES = ("count_7d.interest.loan", "balance", "balance_ratio", "idle_days", "salary_overdue_days", "credit_score")
FEATURE_SET = feature_set(FEATURES)


def examples(count: int, seed: int = 7) -> list[tuple[list[float], bool]]:
    """Feature values of very different sizes, one of them constant, with a label that two of them tell of."""
    chance = random.Random(seed)
    drawn = []
    for _ in range(count):
        interest, balance = chance.expovariate(0.5), chance.lognormvariate(8, 2)
        idle_days = chance.choice([0.0, 3.5, 365.0])
        values = [interest, balance, chance.gauss(1, 0.3), idle_days, chance.uniform(-30, 30), 0.0]
        drawn.append((values, chance.random() < (0.8 if interest > 3 and balance < 5_000 else 0.1)))
    return drawn


def trained(count: int, *, name: str = "loan", seed: int = 7) -> OnlineModel:
    """A model that has learned ``count`` examples."""
    model = OnlineModel(name, FEATURES)
    for values, label in examples(count, seed):
        model.learn(values, label)
    return model


def track_of(count: int, *, name: str = "loan", seed: int = 7, rules: Rules | None = None) -> Track:
    """The track of a model that has learned ``count`` examples, one after the other on its topic."""
    track = Track(name, FEATURES, rules=rules or Rules())
    for offset, (values, label) in enumerate(examples(count, seed)):
        track.pass_by(offset)
        track.learn(labelled(values, label, model=name))
    return track


def standing_of(count: int, *, name: str = "loan", seed: int = 7, rules: Rules | None = None) -> Standing:
    """Where such a model stands."""
    return track_of(count, name=name, seed=seed, rules=rules).standing()


def labelled(values: list[float], label: bool, *, score: float | None = None, model: str = "loan") -> LabelledExample:
    """The example as a learner receives it, each of a customer of its own."""
    identity = hashlib.blake2b(repr((values, model)).encode(), digest_size=8).hexdigest()
    return LabelledExample(
        example_id=identity,
        customer_id=f"c-{identity}",
        model=model,
        features=tuple(values),
        feature_set=FEATURE_SET,
        score=score,
        model_version="cold" if score is None else f"{model}-1",
        label=label,
        predicted_at="2025-03-01T12:00:00.000Z",
        due_at="2025-03-15T12:00:00.000Z",
    )
