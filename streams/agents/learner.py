"""The learner agent: reads labelled examples, learns them, publishes signed snapshots, then acks.

The topic is keyed by model and a model's examples stand in one partition, so each model has one
writer. A snapshot carries the offset it has learned through: after a crash the learner goes on
behind it. A lane that crashed sends the examples of its last round again, at other offsets: they are recognised by
their ids. Each example is learned once.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import faust
import msgspec
from faust.types import EventT
from msgspec import Struct

from needstream.models.learner import Learner
from needstream.schemas.signals import LabelledExample, ModelDecision
from needstream.streams.example_log import ExampleLog
from needstream.streams.lane import Fail
from needstream.streams.metrics import Metrics
from needstream.streams.model_feed import ModelTopic

PUBLISH_EVERY_S = 1.0

Done = TypeVar("Done")

_LOG = logging.getLogger("needstream.learner")
_DECODER = msgspec.json.Decoder(LabelledExample)


class LearnerTopics(Struct, frozen=True):
    """What a learner needs of the topics it writes to and reads back."""

    models: ModelTopic
    examples: ExampleLog


class LearnerAgent:
    """Feeds a ``Learner`` from the topic of labelled examples.

    Batches are learned as they come and published together every ``PUBLISH_EVERY_S``: only then are they acknowledged.
    With every new assignment the learner first goes on from the newest published models, which another worker may have
    written since.
    """

    def __init__(
        self, app: faust.App, learner: Learner, *, topics: LearnerTopics, metrics: Metrics, fail: Fail
    ) -> None:
        self._app = app
        self._learner = learner
        self._models = topics.models
        self._examples = topics.examples
        self._metrics = metrics
        self._fail = fail
        self._generation: int | None = None
        self._recalled: set[int] = set()
        self._touched: set[str] = set()
        self._decided: list[ModelDecision] = []
        self._unacknowledged: list[EventT[Any]] = []
        self._round = asyncio.Lock()

    async def read(self, stream: Any) -> None:
        """The agent: learn batch after batch until the stream ends."""
        async for event in stream.noack().events():
            try:
                if await self._is_current(event.message.generation_id, event.value[0]):
                    await self._take(event)
            except Exception as error:
                _LOG.exception("learning failed")
                await self._fail(error)
                raise

    async def beat(self) -> None:
        """Publish and acknowledge now and then, for as long as the app runs."""
        while not self._app.should_stop:
            await asyncio.sleep(PUBLISH_EVERY_S)
            try:
                await self.publish()
            except Exception as error:
                _LOG.exception("publishing failed")
                await self._fail(error)
                raise

    async def publish(self) -> None:
        """Publish every model that has learned since and what was decided, then acknowledge what it learned."""
        async with self._round:
            touched, self._touched = self._touched, set()
            learned, self._unacknowledged = self._unacknowledged, []
            decided, self._decided = self._decided, []
            if touched:
                standings = await self._aside(lambda: [self._learner.standing(name) for name in sorted(touched)])
                for standing in standings:
                    self._learner.serve(standing)
                await self._models.publish(standings, decided)
                self._metrics.models.show(self._learner, standings)
                self._metrics.models.decide(decided)
            for event in learned:
                event.ack()

    async def _is_current(self, generation: int, first: Any) -> bool:
        """Get ready for a batch that begins with ``first``; False when its assignment has gone meanwhile.

        A new assignment goes on from what is published. Before the first batch of a partition the learner reads back
        what was learned shortly before it.
        """
        async with self._round:
            if generation != self._generation:
                self._learner.begin_anew(await self._models.newest())
                self._recalled, self._touched = set(), set()
                self._decided, self._unacknowledged = [], []
                self._generation = generation
            if first.partition not in self._recalled:
                most = self._learner.recalls()
                earlier = await self._examples.before(first.partition, first.offset, most=most)
                await self._aside(lambda: self._learner.recall(earlier))
                self._recalled.add(first.partition)
        return generation == self._app.consumer_generation_id

    async def _take(self, event: EventT[Any]) -> None:
        async with self._round:
            await self._aside(lambda: self._learn(event.value))
            self._unacknowledged.append(event)

    async def _aside(self, work: Callable[[], Done]) -> Done:
        """Do the work here, or in a thread where a contestant is fitted as a whole, so that the lanes go on."""
        return await asyncio.to_thread(work) if self._learner.recalls() is None else work()

    def _learn(self, records: Iterable[Any]) -> None:
        for record in records:
            try:
                example = _DECODER.decode(record.value or b"")
            except msgspec.MsgspecError:
                facts = {"partition": record.partition, "offset": record.offset}
                _LOG.warning("labelled example cannot be read, skipped", extra={"facts": facts})
                continue
            if self._learner.knows(example):
                self._decided += self._learner.learn(example, offset=record.offset)
                self._touched.add(example.model)
