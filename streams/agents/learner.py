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
from faust.types import TP, EventT

from needstream.models.learner import Learner
from needstream.models.snapshots import sign
from needstream.schemas.signals import LabelledExample
from needstream.streams import topics
from needstream.streams.lane import Send
from needstream.streams.metrics import Metrics

PUBLISH_EVERY_S = 1.0

_LOG = logging.getLogger("needstream.learner")
_DECODER = msgspec.json.Decoder(LabelledExample)
_ENCODER = msgspec.json.Encoder()


class LearnerAgent:
    """Feeds a ``Learner`` from the topic of labelled examples.

    Batches are learned as they come and published together every ``PUBLISH_EVERY_S``: only then are
    they acknowledged.
    """

    def __init__(
        self,
        app: faust.App,
        learner: Learner,
        *,
        send: Send,
        model_key: bytes,
        metrics: Metrics,
    ) -> None:
        self._app = app
        self._learner = learner
        self._send = send
        self._model_key = model_key
        self._metrics = metrics
        self._touched: set[str] = set()
        self._unacknowledged: list[EventT[Any]] = []
        self._round = asyncio.Lock()

    async def read(self, stream: Any) -> None:
        """The agent: learn batch after batch until the stream ends."""
        async for event in stream.noack().events():
            try:
                self._learn(event.value)
            except Exception as error:
                _LOG.exception("learning failed")
                await self._app.crash(error)
                raise
            self._unacknowledged.append(event)

    async def beat(self) -> None:
        """Publish and acknowledge now and then, for as long as the app runs."""
        while not self._app.should_stop:
            await asyncio.sleep(PUBLISH_EVERY_S)
            try:
                await self.publish()
            except Exception as error:
                _LOG.exception("publishing failed")
                await self._app.crash(error)
                raise

    async def publish(self) -> None:
        """Publish every model that has learned since, then acknowledge what it learned."""
        async with self._round:
            touched, self._touched = self._touched, set()
            learned, self._unacknowledged = self._unacknowledged, []
            if touched:
                records = [(name.encode(), self._signed(name), (), None) for name in sorted(touched)]
                await self._send({TP(topics.MODEL_SNAPSHOTS, 0): records})
                self._metrics.judge(self._learner.quality())
            for event in learned:
                event.ack()

    def _learn(self, records: Iterable[Any]) -> None:
        for record in records:
            try:
                example = _DECODER.decode(record.value)
            except msgspec.MsgspecError:
                _LOG.warning(
                    "labelled example cannot be read, skipped",
                    extra={"facts": {"partition": record.partition, "offset": record.offset}},
                )
                continue
            if self._learner.knows(example):
                self._learner.learn(example, offset=record.offset)
                self._touched.add(example.model)

    def _signed(self, name: str) -> bytes:
        return _ENCODER.encode(sign(self._learner.publish(name), self._model_key))
