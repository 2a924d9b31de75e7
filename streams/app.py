"""Wires the worker: settings in, a Faust app out. There is no module-level app."""

import asyncio
import logging
import zlib
from importlib.metadata import version
from typing import Any

import faust
from faust.types import TP
from mode import CrashingSupervisor

from needstream.models.learner import Learner
from needstream.models.scorer import Scorer
from needstream.streams import model_files, sending, tables, topics, transport
from needstream.streams.agents.lanes import Lanes
from needstream.streams.agents.learner import LearnerAgent
from needstream.streams.health import install_pages
from needstream.streams.lane import Lane, LaneSetup
from needstream.streams.metrics import Metrics
from needstream.streams.model_feed import ModelFeed
from needstream.streams.packs import loader
from needstream.streams.pipeline.partition import Partition
from needstream.streams.settings import DEVELOPMENT_KEY, Settings

_LOG = logging.getLogger("needstream.app")


class Worker:
    """One worker: the app and what its agents share.

    Args:
        settings: how to run.
        partitions: the partition count of the input topics.
    """

    def __init__(self, settings: Settings, partitions: int) -> None:
        self.settings = settings
        self.partitions = partitions
        self.definitions = loader.load(settings.pack)
        self.scorer = Scorer(self.definitions.readiness())
        self.metrics = Metrics(version("needstream"), self.definitions.version)
        names = [model.declared.name for model in self.definitions.models]
        self.learner = Learner(names, self.definitions.pack.features, scorer=self.scorer)
        self.app = faust.App(
            settings.app_id,
            broker=transport.url(settings.broker),
            store=settings.store,
            datadir=str(settings.data_dir),
            topic_partitions=partitions,
            topic_disable_leader=True,
            table_standby_replicas=0,
            agent_supervisor=CrashingSupervisor,
            web_enabled=settings.web_port > 0,
            web_host=settings.web_host,
            web_bind=settings.web_host,
            web_port=settings.web_port or 6066,
            loghandlers=[],
            logging_config=None,
            reply_create_topic=False,
            broker_session_timeout=10.0,
            broker_heartbeat_interval=2.0,
            consumer_auto_offset_reset="earliest",
        )
        self.table = tables.define(self.app, partitions)
        self.lanes = Lanes(
            self.app,
            self._open_lane,
            ordering_wait_s=settings.ordering_wait_ms / 1000,
            idle_after_s=settings.idle_after_ms / 1000,
        )
        self._feed = ModelFeed(
            settings.broker,
            key=settings.model_key,
            features=self.definitions.pack.features,
            serve=self.scorer.publish,
        )
        self._learner_agent: LearnerAgent | None = None
        self._install()

    def partition_for_model(self, name: str) -> int:
        """Where a model's labelled examples stand, the same on every worker."""
        return zlib.crc32(name.encode()) % self.partitions

    async def send(self, records: Any) -> None:
        """Send records by topic-partition and wait for every acknowledgement."""
        await sending.send_packed(self.app, records)

    def _install(self) -> None:
        learns = self.settings.models is None
        batched = (*topics.INPUTS, topics.LABELLED_EXAMPLES) if learns else topics.INPUTS
        transport.install(self.app, batched, settle=self._settle)
        self.app.agent(transport.topic(self.app, topics.INPUTS), name="inputs")(self.lanes.read)
        if learns:
            learner = LearnerAgent(
                self.app,
                self.learner,
                send=self.send,
                model_key=self.settings.model_key,
                metrics=self.metrics,
            )
            examples = transport.topic(self.app, [topics.LABELLED_EXAMPLES])
            self.app.agent(examples, name="learner")(learner.read)
            self.app.task(learner.beat)
            self._learner_agent = learner
        self.app.task(self._start_models)
        self.app.task(self.lanes.beat)
        install_pages(self.app, metrics=self.metrics, lanes=self.lanes)

    async def _start_models(self) -> None:
        if self.settings.models is None and self.settings.model_key == DEVELOPMENT_KEY:
            _LOG.warning("model snapshots are signed with the development key; set NEEDSTREAM_MODEL_KEY")
        await self._feed.follow()

    async def prepare(self) -> None:
        """Serve the pinned models, or go on from the newest published ones; before the app starts."""
        if self.settings.models is not None:
            features = self.definitions.pack.features
            for model in model_files.read(self.settings.models, key=self.settings.model_key, features=features):
                self.scorer.publish(model)
            return
        for model in (await self._feed.start()).values():
            self.learner.resume(model)

    async def finish(self) -> None:
        """Release what the app does not own; after it stopped."""
        await self._feed.stop()

    async def _settle(self, partitions: frozenset[TP]) -> None:
        inputs = {tp for tp in partitions if tp.topic in topics.INPUTS}
        await self.lanes.settle(inputs)
        if self._learner_agent is not None:
            await self._learner_agent.publish()

    def _open_lane(self, number: int) -> Lane:
        store = tables.PartitionStore(self.table, number)
        partition = Partition(topics.INPUTS, self.definitions, scorer=self.scorer, store=store)
        setup = LaneSetup(
            send=self.send,
            changelog=self.table.changelog_topic.get_topic_name(),
            metrics=self.metrics,
            future_tolerance_ms=self.settings.future_tolerance_ms,
            partition_for_model=self.partition_for_model,
        )
        return Lane(number, partition, store=store, setup=setup)


def create_app(settings: Settings, partitions: int) -> faust.App:
    """The Faust app of a worker with these settings."""
    return Worker(settings, partitions).app


async def run(worker: Worker, stop: asyncio.Event) -> None:
    """Run a worker until ``stop`` is set or it crashes.

    Raises:
        BaseException: what crashed the app.
    """
    facts = {"pack": worker.definitions.version, "partitions": worker.partitions, "app": worker.settings.app_id}
    _LOG.info("worker starting", extra={"facts": facts})
    await worker.prepare()
    app = worker.app
    crashed: BaseException | None = None
    try:
        await app.start()
        halted = asyncio.ensure_future(app.wait_until_stopped())
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait({halted, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for waiter in (halted, stopped):
            waiter.cancel()
        crashed = app.crash_reason
    finally:
        await app.stop()
        await worker.finish()
    if crashed is not None:
        raise crashed
