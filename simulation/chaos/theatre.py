"""What all drills share: the options, the log, pinned models, the uninterrupted run, and waiting for quiet.

In: options and a folder. Out: stands, fleets and observations. The uninterrupted run over a log is made once for each
kind of models and kept.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from needstream.simulation.chaos import event_log
from needstream.simulation.chaos.event_log import EventLog, Scenes
from needstream.simulation.chaos.fleet import Fleet, Worker
from needstream.simulation.chaos.observations import Observation
from needstream.simulation.chaos.outcomes import Hit, Outcome
from needstream.simulation.chaos.stand import GROUP, Stand
from needstream.streams import topics
from needstream.streams.packs import loader
from needstream.streams.replay import Replay, ReplayOptions
from needstream.streams.settings import DEVELOPMENT_KEY

PACK = "bank"
PAUSE_S = 3.0
"""An idle partition follows the event time of the others after two seconds; quiet is what is quiet twice."""

STALLED_AFTER_S = 120.0
COMMITTED_WITHIN_S = 60.0
ORDERING_WAIT = "500ms"
RECORDS = "needstream_records_total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The choices of one run of the drills.

    Attributes:
        broker: embedded or apache.
        partitions: of every shared topic.
        store: of the workers, ``memory://`` or ``rocksdict://``.
        seed: of events and plans.
        customers, days: how much is simulated; about 1.35 events for each customer and day.
        kills: of the kill-loop.
        rounds: of the rebalance storm, each 1 -> 3 -> 2 -> 1 workers.
        move_s: seconds of producing for each move of the storm.
        stopped_s, paused_s: how long the broker is away.
    """

    broker: str
    partitions: int
    store: str
    seed: int
    customers: int
    days: int
    kills: int
    rounds: int
    move_s: float
    stopped_s: float
    paused_s: float


@dataclass
class Theatre:
    """One log, and the drills that are played with it."""

    options: Options
    folder: Path
    scenes: Scenes
    learning: bool
    models: Path | None = None
    _uninterrupted: dict[str, Observation] = field(default_factory=dict)
    _stands: int = 0

    @property
    def kind(self) -> str:
        """How models are served: pinned or learning."""
        return "learning" if self.learning else "pinned"

    @contextmanager
    def stage(self, name: str, outcome: Outcome | None = None) -> Iterator[tuple[Stand, Fleet]]:
        """A fresh broker, and workers for it; what happens to them is told to the outcome, however the drill ends.

        Without an outcome the first failure of a worker ends it.
        """
        self._stands += 1
        settings = {
            "app_id": GROUP,
            "pack": PACK,
            "store": self.options.store,
            "ordering_wait": ORDERING_WAIT,
            "idle_after": "7d",  # the clock never moves event time on: no two runs take equally long
            "log_level": "INFO",
        }
        if self.models is not None:
            settings["models"] = str(self.models)
        folder = self.folder / f"{self._stands:02d}-{self.kind}-{name}"
        with Stand(self.options.broker, self.options.partitions) as stand:
            settings["broker"] = stand.bootstrap
            with Fleet(folder, settings, stand.bury) as fleet:
                if outcome is None:
                    fleet.most_failures = 0
                    yield stand, fleet
                    return
                outcome.failures = fleet.failures
                try:
                    yield stand, fleet
                finally:
                    outcome.starts = fleet.starts

    def uninterrupted(self, log: EventLog) -> Observation:
        """What one undisturbed worker makes of the log.

        Raises:
            Hopeless: even that run fails; there is nothing to compare with.
        """
        if log.name not in self._uninterrupted:
            with self.stage(f"uninterrupted-{log.name}") as (stand, fleet):
                stand.produce(log.lines)
                fleet.start()
                self.finish(stand, fleet)
                self.keep(log, stand.observe())
        return self._uninterrupted[log.name]

    def keep(self, log: EventLog, observation: Observation) -> None:
        """Remember what an uninterrupted run over the log has come to."""
        self._uninterrupted.setdefault(log.name, observation)

    def finish(self, stand: Stand, fleet: Fleet) -> None:
        """Wait until everything is applied and committed, then stop every worker; what is not is a failure."""
        self._await_quiet(fleet)
        left = -1
        deadline = time.monotonic() + COMMITTED_WITHIN_S
        while time.monotonic() < deadline and (left := stand.uncommitted(learning=self.learning)):
            fleet.revive()
            time.sleep(0.5)
        if left:
            fleet.fail(f"{left} records were not committed within {COMMITTED_WITHIN_S:.0f} s of quiet")
        for worker in list(fleet.workers):
            fleet.stop(worker)

    @staticmethod
    def _await_quiet(fleet: Fleet) -> None:
        calm, seen, changed_s = 0, -1.0, time.monotonic()
        while calm < 2:  # noqa: PLR2004
            fleet.revive()
            if all(worker.ready().get("caught_up") for worker in fleet.workers):
                calm += 1
                time.sleep(PAUSE_S)
                continue
            calm = 0
            read = sum(worker.figure(RECORDS) for worker in fleet.workers)
            if read != seen:
                seen, changed_s = read, time.monotonic()
            if time.monotonic() - changed_s > STALLED_AFTER_S:
                told = "; ".join(f"{phase(worker)} {worker.ready()}" for worker in fleet.workers)
                fleet.fail(f"nothing was read for {STALLED_AFTER_S:.0f} s: {told}")
                return
            time.sleep(0.3)


@dataclass
class Clock:
    """Writes hits down with the time since the drill began."""

    outcome: Outcome
    started_s: float = field(default_factory=time.monotonic)

    def hit(self, planned: str, share: float, *, phase: str) -> None:
        """One more thing was done."""
        at_s = round(time.monotonic() - self.started_s, 2)
        self.outcome.hits.append(Hit(planned, round(min(1.0, share), 4), phase, at_s))


def phase(worker: Worker) -> str:
    """What a worker is doing."""
    if worker.code is not None:
        return "gone"
    told = worker.ready()
    if not told:
        return "starting"
    assigned, opened = told.get("assigned", 0), told.get("open", 0)
    if not assigned:
        return "joining"
    if opened < assigned:
        return "recovering"
    return "caught up" if told.get("caught_up") else "working"


def pinned_models(scenes: Scenes, folder: Path) -> Path:
    """Models that replay learns from the same events."""
    options = ReplayOptions(latest_ms=time.time_ns() // 1_000_000, model_key=DEVELOPMENT_KEY)
    Replay(loader.load(PACK), options).run(scenes.folder, folder)
    return folder / f"{topics.MODEL_SNAPSHOTS}.jsonl"


def open_theatres(options: Options, folder: Path, *, kinds: list[str]) -> Iterator[Theatre]:
    """Simulate once, and yield a theatre for each kind of models (pinned, learning)."""
    scenes = event_log.simulate(folder / "events", customers=options.customers, days=options.days, seed=options.seed)
    for kind in kinds:
        models = pinned_models(scenes, folder / "replayed") if kind == "pinned" else None
        yield Theatre(options, folder, scenes, learning=models is None, models=models)
