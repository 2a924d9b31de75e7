"""Wires the worker: settings in, a Faust app out. There is no module-level app."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Mapping, Sequence
from importlib.metadata import version

import faust
from faust.types import TP
from mode import CrashingSupervisor

from needstream.models import track
from needstream.models.learner import Learner
from needstream.models.scorer import Scorer
from needstream.schemas.times import duration_text
from needstream.streams import changelog, model_files, sending, state_folder, tables, topics, transport
from needstream.streams.agents.lanes import Lanes
from needstream.streams.agents.learner import LearnerAgent, LearnerTopics
from needstream.streams.example_log import ExampleLog
from needstream.streams.health import install_pages
from needstream.streams.lane import Lane, LaneSetup
from needstream.streams.metrics import Metrics
from needstream.streams.model_feed import ModelFeed, ModelTopic
from needstream.streams.outgoing import Addresses
from needstream.streams.packs import loader
from needstream.streams.pipeline import learning
from needstream.streams.pipeline.partition import Partition
from needstream.streams.receipts import Receipts
from needstream.streams.rejections import Rejections
from needstream.streams.settings import DEVELOPMENT_KEY, Settings, SettingsRefused
from needstream.streams.snapshot_writer import Found

LARGEST_REQUEST_BYTES = 2_000_000
"""A dead letter is a whole input record, which Kafka limits to about 1 MB, and its error headers."""

LARGEST_BATCH_BYTES = 524_288
"""A partition's batches go one after another, each once the one before is acknowledged: one should hold a whole round,
and brokers take 1 MB."""

REQUEST_TIMEOUT_S = 30.0
STOP_WITHIN_S = 30.0
COMPARE_EVERY_S = 15.0
"""Between two looks at how far what is predicted from has moved."""

_LOG = logging.getLogger("needstream.app")


class Worker:
    """One worker: the app and what its agents share.

    Args:
        settings: how to run.
        partitions: the partition count of the input topics.
        open_partition: makes the partition a lane applies its events to.
    """

    def __init__(self, settings: Settings, partitions: int, *, open_partition: type[Partition] = Partition) -> None:
        self.settings = settings
        self.partitions = partitions
        self._open_partition = open_partition
        self.definitions = loader.load(settings.pack)
        if settings.idle_after_ms < self.definitions.allowed_lateness_ms:
            lateness = duration_text(self.definitions.allowed_lateness_ms)
            msg = f"NEEDSTREAM_IDLE_AFTER must be at least the pack's allowed lateness, {lateness}"
            raise SettingsRefused(msg)
        self.scorer = Scorer(self.definitions.readiness(), is_pinned=settings.models is not None)
        features = self.definitions.pack.features
        self.metrics = Metrics(version("needstream"), self.definitions.version, features=features)
        names = [model.declared.name for model in self.definitions.models]
        self._rules = learning.rules(self.definitions)
        self.learner = Learner(self._rules, features, scorer=self.scorer, publishes=False)
        self.app = faust.App(
            settings.app_id,
            broker=transport.url(settings.broker),
            # The states lie in our own stores; Faust's stays empty.
            store="memory://",
            datadir=str(settings.data_dir),
            topic_partitions=partitions,
            topic_disable_leader=True,
            table_standby_replicas=settings.standby,
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
            producer_max_request_size=LARGEST_REQUEST_BYTES,
            producer_max_batch_size=LARGEST_BATCH_BYTES,
            producer_request_timeout=REQUEST_TIMEOUT_S,
        )
        in_memory = settings.store == "memory://"
        folder = None if in_memory else state_folder.StateFolder(settings.data_dir, changelog.TABLE)
        self.states = tables.CustomerStates(settings.broker, settings.app_id, folder=folder, partitions=partitions)
        tables.define(self.app, self.states, partitions=partitions)
        self.fault: Exception | None = None
        self.lanes = Lanes(
            self.app,
            self._open_lane,
            fail=self.fail,
            ordering_wait_s=settings.ordering_wait_ms / 1000,
            idle_after_s=settings.idle_after_ms / 1000,
        )
        self._feed = ModelFeed(
            settings.broker,
            key=settings.model_key,
            features=self.definitions.pack.features,
            serve=self.scorer.publish,
            lag=self.metrics.models.snapshot_lag.observe,
        )
        self._learner_agent: LearnerAgent | None = None
        self._addresses = Addresses(partitions=partitions, receipts=Receipts(tuple(names), settings.model_key))
        self._rejections = Rejections(
            alert=settings.dead_letter_alert, stop=settings.dead_letter_stop, metrics=self.metrics
        )
        self._install()

    async def fail(self, error: Exception) -> None:
        """Stop the worker because of an error that is not bad data; the first one is what it stops with."""
        if self.fault is None:
            self.fault = error
        await self.app.crash(error)

    async def send(
        self, records: Mapping[TP, Sequence[sending.Record]], may_repeat: sending.MayRepeat
    ) -> dict[TP, int]:
        """Send records by topic-partition, wait for every acknowledgement and return the last offset of each.

        Args:
            records: by topic-partition.
            may_repeat: asked before each repeat after a fault of the broker.
        """
        return await sending.send_packed(self.app, records, may_repeat=may_repeat)

    async def _read_changelog(self, place: TP, begin: int, *, end: int | None) -> Found:
        """Records of the changelog between two offsets, in order."""
        number = place.partition
        async with changelog.reader(self.settings.broker, place.topic) as reader:
            if end is None:
                end = (await reader.extents([number]))[number].end
            span = {number: changelog.Extent(begin, end)}
            batches = [records async for _, records in reader.read(span)]
        return Found([(record.key, record.value) for records in batches for record in records], end)

    def _install(self) -> None:
        learns = self.settings.models is None
        batched = (*topics.MERGED, topics.LABELLED_EXAMPLES) if learns else topics.MERGED
        transport.install(self.app, batched, settle=self._settle)
        self.app.agent(transport.topic(self.app, topics.MERGED), name="inputs")(self.lanes.read)
        if learns:
            models = ModelTopic(
                self.settings.broker,
                key=self.settings.model_key,
                features=self.definitions.pack.features,
                send=self.send,
                addresses=self._addresses,
            )
            own = LearnerTopics(models, ExampleLog(self.settings.broker))
            learner = LearnerAgent(self.app, self.learner, topics=own, metrics=self.metrics, fail=self.fail)
            examples = transport.topic(self.app, [topics.LABELLED_EXAMPLES])
            self.app.agent(examples, name="learner")(learner.read)
            self.app.task(learner.beat)
            self._learner_agent = learner
        self.app.task(self._start_models)
        self.app.task(self._watch_models)
        self.app.task(self.lanes.beat)
        stall_after_s = self.settings.stall_after_ms / 1000
        install_pages(self.app, metrics=self.metrics, lanes=self.lanes, stall_after_s=stall_after_s)

    async def _watch_models(self) -> None:
        while not self.app.should_stop:
            await self.app.sleep(COMPARE_EVERY_S)
            self.metrics.models.compare(self.scorer.published())

    async def _start_models(self) -> None:
        if self.settings.models is None and self.settings.model_key == DEVELOPMENT_KEY:
            _LOG.warning("model snapshots are signed with the development key; set NEEDSTREAM_MODEL_KEY")
        await self._feed.follow()

    async def prepare(self) -> None:
        """Check stores and changelog; serve the pinned models, or go on from the newest; before the app starts."""
        await self.states.prepare()
        if self.settings.models is not None:
            features = self.definitions.pack.features
            for model in model_files.read(self.settings.models, key=self.settings.model_key, features=features):
                if model.name in self._rules:
                    self.scorer.publish(track.readied(model, self._rules[model.name]))
            return
        for model in (await self._feed.start()).values():
            self.learner.resume(model)

    async def finish(self) -> None:
        """Release what the app does not own; after it stopped."""
        try:
            await self._feed.stop()
        finally:
            self.states.close()

    async def _settle(self, partitions: frozenset[TP]) -> None:
        inputs = {tp for tp in partitions if tp.topic in topics.MERGED}
        await self.lanes.settle(inputs)
        if self._learner_agent is not None:
            await self._learner_agent.publish()

    def _open_lane(self, number: int) -> Lane:
        store = self.states.partition(number)
        partition = self._open_partition(topics.MERGED, self.definitions, scorer=self.scorer, store=store)
        setup = LaneSetup(
            send=self.send,
            read_changelog=self._read_changelog,
            membership=transport.consumer(self.app).membership,
            addresses=self._addresses,
            changelog=self.states.changelog,
            metrics=self.metrics,
            rejections=self._rejections,
            future_tolerance_ms=self.settings.future_tolerance_ms,
            ordering_wait_s=self.settings.ordering_wait_ms / 1000,
            identity_wait_s=self.settings.identity_wait_ms / 1000,
        )
        return Lane(number, partition, store=store, setup=setup)


def create_app(settings: Settings, partitions: int) -> faust.App:
    """The Faust app of a worker with these settings."""
    return Worker(settings, partitions).app


async def run(worker: Worker, stop: asyncio.Event) -> None:
    """Run a worker until ``stop`` is set or it crashes; ``stop`` counts from the first moment.

    Raises:
        BaseException: what kept the worker from starting, or the first error that stopped it; an error of the stop
            itself only where there was none before.
    """
    facts = {"pack": worker.definitions.version, "partitions": worker.partitions, "app": worker.settings.app_id}
    _LOG.info("worker starting", extra={"facts": facts})
    first: BaseException | None = None
    try:
        await _work(worker, stop)
    except BaseException as error:
        first = error
        raise
    finally:
        await _release(worker, first)


async def _work(worker: Worker, stop: asyncio.Event) -> None:
    app = worker.app
    stopped = asyncio.ensure_future(stop.wait())
    starting = asyncio.ensure_future(_start(worker))
    halted = asyncio.ensure_future(app.wait_until_stopped())
    kept_from_starting: BaseException | None = None
    try:
        await asyncio.wait({stopped, starting, halted}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            kept_from_starting = starting.exception()
            if kept_from_starting is None:
                await asyncio.wait({stopped, halted}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in (stopped, starting, halted):
            waiter.cancel()
        # A start that was broken off has to be over before anything of it is released; what it says then is no news.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(stopped, starting, halted, return_exceptions=True), STOP_WITHIN_S)
    fault = worker.fault or app.crash_reason or kept_from_starting
    if fault is not None:
        raise fault


async def _start(worker: Worker) -> None:
    await worker.prepare()
    await worker.app.start()


async def _release(worker: Worker, first: BaseException | None) -> None:
    """Stop the app, and in any case release the rest; raise what went wrong only now, unless something did before."""
    errors: list[Exception] = []
    try:
        errors += await _errors(_stop(worker.app))
    finally:
        errors += await _errors(worker.finish())
    later = worker.fault or worker.app.crash_reason or next(iter(errors), None)
    if first is None and later is not None:
        raise later


async def _stop(app: faust.App) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(app.stop(), STOP_WITHIN_S)


async def _errors(step: Awaitable[None]) -> list[Exception]:
    try:
        await step
    except Exception as error:
        # A crash ends the consumer's thread, and the stop may trip over that: what matters is why it crashed.
        _LOG.warning("not stopped in order", exc_info=True)
        return [error]
    return []
