"""The kill-loop: SIGKILL a worker again and again at planned moments, and start it again each time."""

import time

from needstream.simulation.chaos import plans
from needstream.simulation.chaos.comparison import compare
from needstream.simulation.chaos.fleet import Fleet
from needstream.simulation.chaos.outcomes import Outcome
from needstream.simulation.chaos.plans import Kill, Moment
from needstream.simulation.chaos.stand import Stand
from needstream.simulation.chaos.theatre import RECORDS, Clock, Theatre, phase

REACHED_WITHIN_S = 180.0
ASSIGNED_WITHIN_S = 60.0
PUBLISHED_WITHIN_S = 3.0
EXAMPLES = "needstream_model_examples"


def play(theatre: Theatre, outcome: Outcome) -> None:
    """Carry out the plan, let the last worker finish, and compare."""
    log = theatre.scenes.arriving
    expected = theatre.uninterrupted(log)
    outcome.events = len(log)
    with theatre.stage("kill", outcome) as (stand, fleet):
        stand.produce(log.lines)
        loop = _Loop(stand, fleet, clock=Clock(outcome), theatre=theatre)
        fleet.start()
        for kill in plans.kills(theatre.options.seed, theatre.options.kills):
            loop.carry_out(kill)
        theatre.finish(stand, fleet)
        outcome.comparison = compare(expected, stand.observe(), learning=theatre.learning)


class _Loop:
    """One worker at a time; `base` is what was committed before it started."""

    def __init__(self, stand: Stand, fleet: Fleet, *, clock: Clock, theatre: Theatre) -> None:
        self._stand = stand
        self._fleet = fleet
        self._count = clock.outcome.events
        self._learning = theatre.learning
        self._clock = clock
        self._base = 0

    def carry_out(self, kill: Kill) -> None:
        fleet = self._fleet
        if kill.moment not in plans.AT_ONCE:
            fleet.wait(lambda: self._share() >= kill.share or self._caught_up(), REACHED_WITHIN_S)
        if kill.moment is Moment.RECOVERY:
            fleet.wait(lambda: fleet.workers[0].ready().get("assigned"), ASSIGNED_WITHIN_S)
        if kill.moment is Moment.LEARNING and self._learning:
            learned = fleet.workers[0].figure(EXAMPLES)
            fleet.wait(lambda: fleet.workers[0].figure(EXAMPLES) != learned, PUBLISHED_WITHIN_S)
        share, found = self._share(), phase(fleet.workers[0])
        if kill.moment is Moment.SHUTDOWN:
            fleet.workers[0].ask_to_stop()
        time.sleep(kill.delay_s)
        worker = fleet.workers[0]
        if kill.moment is Moment.SHUTDOWN:
            found = "stopping" if worker.code is None else "gone"
        fleet.kill(worker)
        self._clock.hit(f"kill {kill.moment}", share, phase=found)
        self._base = self._stand.committed_events()
        fleet.start()

    def _share(self) -> float:
        worker = self._fleet.workers[0]
        # Reading runs ahead of applying: what waits for merge order is not done yet.
        waiting: float = worker.ready().get("waiting", 0)
        done = max(0.0, worker.figure(RECORDS) - waiting)
        return (self._base + done) / self._count

    def _caught_up(self) -> bool:
        return bool(self._fleet.workers[0].ready().get("caught_up"))
