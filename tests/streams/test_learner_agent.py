"""The learner agent publishes before it acknowledges, and a new assignment goes on from what is published."""

from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

import training
from needstream.models.learner import Learner
from needstream.models.rules import Rules
from needstream.models.scorer import Scorer
from needstream.models.standing import Standing
from needstream.schemas.signals import LabelledExample, ModelDecision
from needstream.streams.agents.learner import LearnerAgent, LearnerTopics
from needstream.streams.metrics import Metrics

EXAMPLES = training.examples(40)


class Topic:
    """The snapshot topic as several workers share it."""

    def __init__(self) -> None:
        self.published: dict[str, Standing] = {}
        self.broken = False

    async def newest(self) -> list[Standing]:
        return list(self.published.values())

    async def publish(self, models: Sequence[Standing], decisions: Sequence[ModelDecision]) -> None:
        if self.broken:
            raise BrokenPipeError
        for model in models:
            self.published[model.name] = model


class Log:
    """The examples' topic, read back."""

    def __init__(self) -> None:
        self.asked: list[int | None] = []

    async def before(self, partition: int, offset: int, *, most: int | None) -> list[LabelledExample]:
        assert partition == 0
        self.asked.append(most)
        return [training.labelled(*EXAMPLES[place]) for place in range(offset)]


class Batch:
    """Consecutive examples as the transport delivers them."""

    def __init__(self, first: int, last: int, *, generation: int = 1) -> None:
        self.value = [_record(offset) for offset in range(first, last)]
        self.message = SimpleNamespace(generation_id=generation)
        self.acked = False

    def ack(self) -> None:
        self.acked = True


class Stream:
    """What an agent iterates over."""

    def __init__(self, *batches: Batch) -> None:
        self._batches = batches

    def noack(self) -> "Stream":
        return self

    async def events(self) -> AsyncIterator[Batch]:
        for batch in self._batches:
            yield batch


def _record(offset: int) -> Any:
    example = training.labelled(EXAMPLES[offset][0], EXAMPLES[offset][1])
    return SimpleNamespace(value=msgspec.json.encode(example), partition=0, offset=offset)


def _agent(topic: Topic, generation: int = 1, *, log: Log | None = None, rules: Rules | None = None) -> LearnerAgent:
    learner = Learner({"loan": rules or Rules()}, training.FEATURES, scorer=Scorer({}))
    app = SimpleNamespace(consumer_generation_id=generation)

    async def fail(error: Exception) -> None:
        raise AssertionError from error

    return LearnerAgent(
        app, learner, topics=LearnerTopics(topic, log or Log()), metrics=Metrics("0", "bank"), fail=fail
    )


@pytest.mark.asyncio
async def test_a_batch_is_acknowledged_when_what_it_taught_is_published() -> None:
    topic, batch = Topic(), Batch(0, 10)
    agent = _agent(topic)

    await agent.read(Stream(batch))
    assert not batch.acked

    await agent.publish()
    assert batch.acked
    assert (10, 9) == (topic.published["loan"].version, topic.published["loan"].learned_through)


@pytest.mark.asyncio
async def test_a_batch_whose_model_could_not_be_published_is_never_acknowledged() -> None:
    topic, batch = Topic(), Batch(0, 10)
    agent = _agent(topic)
    await agent.read(Stream(batch))
    topic.broken = True

    with pytest.raises(BrokenPipeError):
        await agent.publish()
    topic.broken = False
    await agent.publish()

    assert not batch.acked
    assert {} == topic.published


@pytest.mark.asyncio
async def test_a_worker_that_takes_over_goes_on_behind_the_other_ones_work() -> None:
    """It started before the other one had learned anything, and learns no example a second time."""
    topic = Topic()
    first, second = _agent(topic), _agent(topic, generation=2)
    await first.read(Stream(Batch(0, 30)))
    await first.publish()

    await second.read(Stream(Batch(20, 40, generation=2)))
    await second.publish()

    assert (40, 39) == (topic.published["loan"].version, topic.published["loan"].learned_through)
    assert topic.published["loan"].contestants == training.standing_of(40).contestants


@pytest.mark.asyncio
async def test_an_example_that_a_crashed_lane_sends_again_is_learned_once() -> None:
    """It stands at another offset, and the learner was started again in between as well."""
    topic = Topic()
    first, second = _agent(topic), _agent(topic, generation=2)
    await first.read(Stream(Batch(0, 30)))
    await first.publish()

    repeated = Batch(20, 35, generation=2)
    for place, record in enumerate(repeated.value):
        record.offset = 30 + place
    await second.read(Stream(repeated))
    await second.publish()

    assert (35, 44) == (topic.published["loan"].version, topic.published["loan"].learned_through)
    assert topic.published["loan"].contestants == training.standing_of(35).contestants


@pytest.mark.asyncio
async def test_what_was_learned_and_not_published_before_a_rebalance_is_learned_again() -> None:
    topic = Topic()
    agent = _agent(topic)
    await agent.read(Stream(Batch(0, 30)))
    agent._app.consumer_generation_id = 2
    await agent.read(Stream(Batch(0, 30, generation=2)))
    await agent.publish()

    assert 30 == topic.published["loan"].version


@pytest.mark.asyncio
async def test_a_batch_of_an_assignment_that_has_gone_is_left_alone() -> None:
    topic, stale = Topic(), Batch(0, 10, generation=1)
    agent = _agent(topic, generation=2)

    await agent.read(Stream(stale))
    await agent.publish()

    assert not stale.acked
    assert {} == topic.published


@pytest.mark.asyncio
async def test_what_is_no_example_is_passed_over() -> None:
    topic, batch = Topic(), Batch(0, 3)
    batch.value[1].value = None
    batch.value[2].value = b"{"
    agent = _agent(topic)

    await agent.read(Stream(batch))
    await agent.publish()

    assert batch.acked
    assert 1 == topic.published["loan"].version


@pytest.mark.asyncio
async def test_a_forest_that_goes_on_is_shown_every_example_again() -> None:
    """Its memory does not travel; what was learned in one piece equals what was learned with a restart."""
    rules = Rules(champion="pair", challengers=("forest",))
    stopped, log, uninterrupted = Topic(), Log(), Topic()
    first = _agent(stopped, rules=rules)
    await first.read(Stream(Batch(0, 30)))
    await first.publish()
    second = _agent(stopped, 2, log=log, rules=rules)
    await second.read(Stream(Batch(20, 40, generation=2)))
    await second.publish()
    alone = _agent(uninterrupted, rules=rules)
    await alone.read(Stream(Batch(0, 40)))
    await alone.publish()

    assert [None] == log.asked
    assert uninterrupted.published["loan"].contestants == stopped.published["loan"].contestants


@pytest.mark.asyncio
async def test_only_the_newest_examples_are_shown_again_to_models_that_travel() -> None:
    log = Log()
    agent = _agent(Topic(), log=log)
    await agent.read(Stream(Batch(0, 5)))

    assert [20_000] == log.asked


@pytest.mark.asyncio
async def test_nothing_is_published_of_what_was_learned_before_a_rebalance_and_not_published() -> None:
    topic = Topic()
    agent = _agent(topic)
    await agent.read(Stream(Batch(0, 30)))
    agent._app.consumer_generation_id = 2
    assert await agent._is_current(2, Batch(0, 30, generation=2).value[0])
    await agent.publish()

    assert {} == topic.published
