"""A small simulated population, and models pinned to what they had learned of it."""

import msgspec
import pytest

import stories
from needstream.models.learner import Learner
from needstream.models.scorer import Scorer
from needstream.schemas import codecs
from needstream.schemas.signals import LabelledExample
from needstream.simulation import parameters, simulator
from needstream.streams import topics
from needstream.streams.packs import loader
from needstream.streams.pipeline import inputs

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
def lived(population):
    """The population's whole run."""
    return population.run().feed(population.log).finish(until=max(each.at_ms for each in population.log))


def _bank():
    """The bank pack, with models that speak after a handful of labels."""
    shipped = loader.load("bank")
    models = tuple(
        msgspec.structs.replace(model, min_labels=50, min_positives=3, enter_score=0.3, leave_score=0.1)
        for model in shipped.pack.models
    )
    return stories.changed(shipped, models=models)


def _learned(definitions, log):
    names = [model.declared.name for model in definitions.models]
    learner = Learner(names, definitions.pack.features, scorer=Scorer(definitions.readiness()))
    for example in stories.Run(definitions).feed(log).finish().of(LabelledExample):
        learner.learn(example)
    pinned = Scorer(definitions.readiness())
    for model in learner.export():
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
        key = codecs.event_key(event)
        offset = counted[record.topic]
        arrived.append(inputs.Arrival(event, key, inputs.at_ms(event), record.topic, 0, offset))
        counted[record.topic] += 1
    return arrived
