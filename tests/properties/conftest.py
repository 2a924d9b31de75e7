"""A small simulated population, and models pinned to what they had learned of it."""

import random

import msgspec
import pytest

import stories
from builders import click, consent, customer_event, feedback, transaction
from needstream.models.learner import Learner
from needstream.models.scorer import Scorer
from needstream.schemas import codecs, times
from needstream.schemas.signals import LabelledExample
from needstream.simulation import parameters, simulator
from needstream.streams import topics
from needstream.streams.packs import loader
from needstream.streams.pipeline import inputs, learning

DISTANT_MS = 2**50


class Scene:
    """A log of arrivals, the definitions to run it through, and models that nothing changes any more."""

    def __init__(self, definitions, log, *, scorer):
        self.definitions = definitions
        self.log = log
        self.scorer = scorer

    def run(self):
        """A fresh run with nothing fed yet."""
        return stories.Run(self.definitions, scorer=self.scorer)


@pytest.fixture(scope="session")
def population():
    """60 customers over 60 days in order of arrival: some late within the allowed lateness, some twice."""
    definitions = _bank()
    log = _arrivals(seed=11, customers=60, very_late_share=0.0)
    return Scene(definitions, log, scorer=_learned(definitions, log))


@pytest.fixture(scope="session")
def few(population):
    """12 customers of such a population, for laws that run many times."""
    log = _arrivals(seed=12, customers=12, very_late_share=0.0, bots=1, anonymous_visitors=3)
    return Scene(population.definitions, log, scorer=population.scorer)


@pytest.fixture(scope="session")
def crowd(population):
    """Six customers who do something every few minutes for three days, with every delay within the allowed lateness.

    Predictions are made hourly and judged within hours, so that all alarms ring.
    """
    pack = population.definitions.pack
    time = msgspec.structs.replace(pack.time, sample_every="1h", sample_while_idle="6h")
    # A decayed sum hardly falls within hours: the rules of declines have a test of their own.
    models = tuple(msgspec.structs.replace(model, horizon="3h") for model in pack.models if model.declines is None)
    definitions = stories.changed(population.definitions, time=time, models=models)
    log = stories.delayed(stories.arrivals(*_busy_days(seed=1)), definitions.allowed_lateness_ms, seed=1)
    return Scene(definitions, log, scorer=population.scorer)


@pytest.fixture(scope="session")
def lived(population):
    """The population's whole run."""
    return population.run().feed(population.log).finish(until=max(each.at_ms for each in population.log))


def _busy_days(*, seed, customers=6, records=1_500, span_ms=3 * times.DAY_MS):
    """Anything anybody may do, erasure included, one after another."""
    chance = random.Random(seed)
    start_ms = times.parse_rfc3339("2025-03-01T00:00:00Z")
    moments = sorted(start_ms + chance.randrange(span_ms) for _ in range(records))
    for place, at_ms in enumerate(moments):
        said = {"at": times.rfc3339(at_ms), "customer": f"c{chance.randrange(customers)}", "event_id": f"e{place}"}
        kind = chance.choices(range(len(_DEEDS)), weights=[weight for weight, _ in _DEEDS])[0]
        yield _DEEDS[kind][1](chance, said)


_DEEDS = (
    (40, lambda chance, said: click(**said, url=chance.choice(["/loans", "/loans/rates", "/wealth", "/cards", "/x"]))),
    (5, lambda chance, said: click("search", **said, query=chance.choice(["borrow", "invest", "weather"]))),
    (5, lambda chance, said: click("form_step", **said, form="loan_application", step=chance.choice("123"))),
    (1, lambda chance, said: click("form_step", **said, form="loan_application", step="submitted")),
    (
        3,
        lambda chance, said: click(**said | {"customer": None, "anonymous": chance.choice(["a1", "a2"])}, url="/loans"),
    ),
    (20, lambda chance, said: transaction(**said, balance_after=f"{chance.randrange(9000)}.00")),
    (10, lambda chance, said: transaction("instalment", **said)),
    (5, lambda chance, said: transaction("transfer_in", **said, counterparty="ACME payroll")),
    (2, lambda chance, said: transaction("fx_remittance", **said)),
    (4, lambda chance, said: consent(**said, status=chance.choice(["GRANTED", "GRANTED", "DENIED"]))),
    (3, lambda chance, said: customer_event("credit_score", **said, score=chance.randrange(500, 900))),
    (1, lambda chance, said: customer_event("erasure", **said)),
    (2, lambda chance, said: feedback(**said, text="slow")),
)


def _bank():
    """The bank pack, with models that speak after a handful of labels."""
    shipped = loader.load("bank")
    models = tuple(
        msgspec.structs.replace(model, min_labels=50, min_positives=3, enter_score=0.3, leave_score=0.1)
        for model in shipped.pack.models
    )
    return stories.changed(shipped, models=models)


def _learned(definitions, log):
    learner = Learner(learning.rules(definitions), definitions.pack.features, scorer=Scorer(definitions.readiness()))
    for example in stories.Run(definitions).feed(log).finish().of(LabelledExample):
        learner.learn(example)
    pinned = Scorer(definitions.readiness())
    for model in learner.standings():
        pinned.publish(model)
    assert pinned.any_warm()
    return pinned


def _arrivals(**chosen):
    simulated = simulator.simulate(parameters.SimulationParameters(days=60, **chosen))
    counted = dict.fromkeys(topics.INPUTS, 0)
    arrived = []
    for record in simulated:
        family = record.topic.partition(".")[0]
        event = codecs.decode(record.event, family=family, latest_ms=DISTANT_MS)
        arrived.append(inputs.arrival(event, record.topic, offset=counted[record.topic]))
        counted[record.topic] += 1
    return arrived
