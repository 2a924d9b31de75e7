"""The learner agent: reads labelled examples, learns them, publishes signed snapshots, then acks.

The topic is keyed by model and a model's examples stand in one partition, so each model has one
writer. A snapshot carries the offset it has learned through: after a crash the learner goes on
behind it, and each example is learned once.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

import faust
import msgspec
from faust.types import TP

from needstream.models.learner import Learner
from needstream.models.snapshots import sign
from needstream.schemas.signals import LabelledExample
from needstream.streams import topics
from needstream.streams.lane import Send
from needstream.streams.metrics import Metrics

_LOG = logging.getLogger("needstream.learner")
_DECODER = msgspec.json.Decoder(LabelledExample)
_ENCODER = msgspec.json.Encoder()


class LearnerAgent:
    """Feeds a ``Learner`` from the topic of labelled examples."""

    def __init__(
        self,
        app: faust.App,
        learner: Callable[[], Learner],
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

    async def read(self, stream: Any) -> None:
        """The agent: learn batch after batch until the stream ends."""
        async for event in stream.noack().events():
            try:
                await self._publish(self._learn(event.value))
            except Exception as error:
                _LOG.exception("learning failed")
                await self._app.crash(error)
                raise
            event.ack()

    def _learn(self, records: Iterable[Any]) -> set[str]:
        learner = self._learner()
        touched = set()
        for record in records:
            try:
                example = _DECODER.decode(record.value)
            except msgspec.MsgspecError:
                _LOG.warning(
                    "labelled example cannot be read, skipped",
                    extra={"facts": {"partition": record.partition, "offset": record.offset}},
                )
                continue
            learner.learn(example, offset=record.offset)
            touched.add(example.model)
        return touched

    async def _publish(self, names: set[str]) -> None:
        learner = self._learner()
        known = {model.name for model in learner.export()}
        records = [
            (name.encode(), _ENCODER.encode(sign(learner.publish(name), self._model_key)), (), None)
            for name in sorted(names & known)
        ]
        if records:
            await self._send({TP(topics.MODEL_SNAPSHOTS, 0): records})
            self._metrics.judge(learner.quality())
