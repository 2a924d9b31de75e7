"""Redelivery: the group is rewound while no worker runs; nothing may change, nothing new be said."""

from needstream.simulation.chaos import plans
from needstream.simulation.chaos.comparison import compare, learned_wrongly
from needstream.simulation.chaos.outcomes import Outcome
from needstream.simulation.chaos.theatre import Clock, Theatre


def play(theatre: Theatre, outcome: Outcome) -> None:
    """Run to the end, rewind and run again, several times, and compare with what was there before.

    Models may learn: an event that was applied is not scored again, so everything has to be equal all the same.
    """
    log = theatre.scenes.arriving
    outcome.events = len(log)
    with theatre.stage("redelivery", outcome) as (stand, fleet):
        clock = Clock(outcome)
        stand.produce(log.lines)
        fleet.start()
        theatre.finish(stand, fleet)
        before = stand.observe()
        if not fleet.failures:
            theatre.keep(log, before)
        for share in plans.rewinds(theatre.options.seed):
            count = stand.rewind(share)
            clock.hit(f"rewind {count:,} records", share, phase="no worker runs")
            fleet.start()
            theatre.finish(stand, fleet)
        after = stand.observe()
        outcome.comparison = compare(before, after, learning=False)
        if theatre.learning:
            outcome.comparison.learned_wrongly = learned_wrongly(after)
        again = sum(after.sent.values()) - sum(before.sent.values())
        outcome.notes.append(f"{again} records were sent again")
