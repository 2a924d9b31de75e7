"""The learner agent: reads labelled examples, learns them, publishes signed snapshots, then acks.

The topic is keyed by model and a model's examples stand in one partition, so each model has one
writer. A snapshot carries the offset it has learned through: after a crash the learner goes on
behind it, and each example is learned once.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import faust
import msgspec
from faust.types import EventT

from needstream.models.learner import Learner
from needstream.schemas.signals import LabelledExample
from needstream.streams.lane import Fail
from needstream.streams.metrics import Metrics
from needstream.streams.model_feed import ModelTopic

PUBLISH_EVERY_S = 1.0

_LOG = logging.getLogger("needstream.learner")
_DECODER = msgspec.json.Decoder(LabelledExample)


class LearnerAgent:
    """Feeds a ``Learner`` from the topic of labelled examples.

    Batches are learned as they come and published together every ``PUBLISH_EVERY_S``: only then are they acknowledged.
    With every new assignment the learner first goes on from the newest published models, which another worker may have
    written since.
    """

    def __init__(self, app: faust.App, learner: Learner, *, models: ModelTopic, metrics: Metrics, fail: Fail) -> None:
        self._app = app
        self._learner = learner
        self._models = models
        self._metrics = metrics
        self._fail = fail
        self._generation: int | None = None
        self._touched: set[str] = set()
        self._unacknowledged: list[EventT[Any]] = []
        self._round = asyncio.Lock()

    async def read(self, stream: Any) -> None:
        """The agent: learn batch after batch until the stream ends."""
        async for event in stream.noack().events():
            try:
                if await self._is_current(event.message.generation_id):
                    self._learn(event.value)
                    self._unacknowledged.append(event)
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
        """Publish every model that has learned since, then acknowledge what it learned."""
        async with self._round:
            touched, self._touched = self._touched, set()
            learned, self._unacknowledged = self._unacknowledged, []
            if touched:
                await self._models.publish([self._learner.publish(name) for name in sorted(touched)])
                self._metrics.judge(self._learner.quality())
            for event in learned:
                event.ack()

    async def _is_current(self, generation: int) -> bool:
        """Go on from what is published when the assignment is new; False when it has gone again meanwhile."""
        if generation != self._generation:
            for model in await self._models.newest():
                self._learner.resume(model)
            self._generation = generation
        return generation == self._app.consumer_generation_id

    def _learn(self, records: Iterable[Any]) -> None:
        for record in records:
            try:
                example = _DECODER.decode(record.value or b"")
            except msgspec.MsgspecError:
                facts = {"partition": record.partition, "offset": record.offset}
                _LOG.warning("labelled example cannot be read, skipped", extra={"facts": facts})
                continue
            if self._learner.knows(example):
                self._learner.learn(example, offset=record.offset)
                self._touched.add(example.model)
