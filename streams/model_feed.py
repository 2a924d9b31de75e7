"""The model feed: every worker follows the snapshot topic by itself, without a consumer group.

At start it reads the newest snapshot of every model before the first event is scored; afterwards
it follows, so that a model learned on another worker is served here within moments. A snapshot
that is not authentic is refused with a warning and the last good model keeps serving.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

import aiokafka
import msgspec
from aiokafka.errors import KafkaError
from faust.types import TP

from needstream.models.snapshots import SnapshotRefused, sign, verify
from needstream.models.standing import Standing
from needstream.schemas.signals import ModelDecision
from needstream.streams import outputs, sending, topics, transport
from needstream.streams.lane import Send
from needstream.streams.outgoing import Addresses

_LOG = logging.getLogger("needstream.model_feed")
_ENCODER = msgspec.json.Encoder()
_POLL_MS = 500
_PAUSE_S = 1.0


class ModelFeed:
    """Reads ``model-snapshots.v1`` and hands every authentic model to ``serve``."""

    def __init__(
        self,
        broker: str,
        *,
        key: bytes,
        features: tuple[str, ...],
        serve: Callable[[Standing], object],
        lag: Callable[[float], object] = lambda _: None,
    ) -> None:
        self._broker = broker
        self._key = key
        self._features = features
        self._serve = serve
        self._lag = lag
        self._consumer: aiokafka.AIOKafkaConsumer | None = None

    async def start(self) -> dict[str, Standing]:
        """Read what is on the topic now.

        Returns:
            The newest authentic model of each name.
        """
        self._consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=self._broker, group_id=None, enable_auto_commit=False
        )
        await self._consumer.start()
        transport.rest_between_empty_fetches(self._consumer)
        place = aiokafka.TopicPartition(topics.MODEL_SNAPSHOTS, 0)
        self._consumer.assign([place])
        await self._consumer.seek_to_beginning(place)
        end = (await self._consumer.end_offsets([place]))[place]
        newest: dict[str, Standing] = {}
        while await self._consumer.position(place) < end:
            for model, _ in await self._read():
                if model.name not in newest or model.version >= newest[model.name].version:
                    newest[model.name] = model
        for model in newest.values():
            self._serve(model)
        return newest

    async def follow(self) -> None:
        """Serve what others publish, until cancelled."""
        while True:
            try:
                for model, published_ms in await self._read():
                    self._serve(model)
                    self._lag(max(0.0, time.time() - published_ms / 1000))
            except KafkaError as fault:
                await _outlast(fault)

    async def stop(self) -> None:
        """Close the connection."""
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None

    async def _read(self) -> list[tuple[Standing, int]]:
        """The next models, each with the broker's time of its record in milliseconds."""
        if self._consumer is None:
            await asyncio.sleep(_POLL_MS / 1000)
            return []
        fetched = await self._consumer.getmany(timeout_ms=_POLL_MS)
        models = []
        for records in fetched.values():
            for record in records:
                try:
                    model = verify(record.value or b"", self._key, features=self._features)
                    models.append((model, record.timestamp))
                except SnapshotRefused as error:
                    _LOG.warning(
                        "model snapshot refused",
                        extra={"facts": {"offset": record.offset, "cause": str(error)}},
                    )
        return models


class ModelTopic:
    """What a learner needs of ``model-snapshots.v1``: the newest models, and a place to publish and to tell."""

    def __init__(self, broker: str, *, key: bytes, features: tuple[str, ...], send: Send, addresses: Addresses) -> None:
        self._broker = broker
        self._key = key
        self._features = features
        self._send = send
        self._addresses = addresses

    async def newest(self) -> list[Standing]:
        """The newest authentic model of each name, as the topic stands now; a broker that is away is waited for."""
        while True:
            feed = ModelFeed(self._broker, key=self._key, features=self._features, serve=lambda _: None)
            try:
                return list((await feed.start()).values())
            except KafkaError as fault:
                await _outlast(fault)
            finally:
                await feed.stop()

    async def publish(self, models: Sequence[Standing], decisions: Sequence[ModelDecision] = ()) -> None:
        """Send what was decided, then sign and send the models; all is acknowledged on return.

        After a crash in between the same examples are learned again, and decide the same under the same ids.
        """
        for decision in decisions:
            for record in outputs.records(decision):
                place = TP(record.topic, self._addresses.of_model(decision.model))
                await self._send({place: [(record.key, record.value, record.headers, None)]}, _again)
        records = [(model.name.encode(), _ENCODER.encode(sign(model, self._key)), (), None) for model in models]
        await self._send({TP(topics.MODEL_SNAPSHOTS, 0): records}, _again)


async def _again(_repeat: int) -> bool:
    """What is learned and not published holds back the learner, so it may wait for its broker."""
    return True


async def _outlast(fault: KafkaError) -> None:
    """Wait a moment after a broker's fault; raise any other."""
    if not sending.is_of_broker(fault):
        raise fault
    await asyncio.sleep(_PAUSE_S)
