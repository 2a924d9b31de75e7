"""The rebalance storm: workers join, leave and vanish while events are produced at a pace."""

import threading

from needstream.simulation.chaos import plans
from needstream.simulation.chaos.comparison import compare
from needstream.simulation.chaos.outcomes import Outcome
from needstream.simulation.chaos.plans import Change
from needstream.simulation.chaos.theatre import Clock, Theatre, phase
from needstream.streams import producing

SENT_WITHIN_S = 1_800.0


def play(theatre: Theatre, outcome: Outcome) -> None:
    """Carry out the storm, let one worker finish, and compare; events come in the order of their time."""
    log, options = theatre.scenes.live, theatre.options
    expected = theatre.uninterrupted(log)
    outcome.events = len(log)
    count = len(log)
    moves = plans.storm(options.seed, options.rounds)
    pace = producing.Pace(rate=len(log) / (options.move_s * max(1, len(moves))))
    with theatre.stage("rebalance", outcome) as (stand, fleet):
        clock = Clock(outcome)
        sent = [0]
        trouble: list[Exception] = []

        def produce() -> None:
            try:
                stand.produce(log.lines, pace, on_progress=lambda count, _: sent.__setitem__(0, count))
            except Exception as error:
                trouble.append(error)

        producer = threading.Thread(target=produce, daemon=True)
        fleet.start()
        producer.start()
        for move in moves:
            fleet.wait(lambda at=move.share: trouble or sent[0] >= at * count, SENT_WITHIN_S)  # type: ignore[misc]
            if move.change is Change.JOIN:
                fleet.start()
                found = f"{len(fleet.workers)} workers now"
            else:
                victim = fleet.workers[int(move.draw * len(fleet.workers))]
                found = phase(victim)
                if move.change is Change.LEAVE:
                    fleet.stop(victim)
                else:
                    fleet.kill(victim)
            clock.hit(str(move.change), sent[0] / len(log), phase=found)
        fleet.wait(lambda: trouble or not producer.is_alive(), SENT_WITHIN_S)
        if trouble:
            raise trouble[0]
        theatre.finish(stand, fleet)
        outcome.notes.append(f"produced at {pace.rate:.0f} events a second")
        outcome.comparison = compare(expected, stand.observe(), learning=theatre.learning)
