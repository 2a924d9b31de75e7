"""Broker restart and pause: it goes away and comes back while events are processed, and nobody touches the worker."""

import os
import signal
import time

from needstream.simulation.chaos import plans
from needstream.simulation.chaos.comparison import compare
from needstream.simulation.chaos.fleet import Fleet
from needstream.simulation.chaos.outcomes import Outcome
from needstream.simulation.chaos.plans import BrokerOutage, Outage
from needstream.simulation.chaos.stand import Stand
from needstream.simulation.chaos.theatre import RECORDS, Clock, Theatre, phase
from needstream.streams import brokers
from needstream.streams.brokers.local import LocalBroker

REACHED_WITHIN_S = 300.0


def play(theatre: Theatre, outcome: Outcome) -> None:
    """Carry out the outages, let the worker finish, and compare.

    Raises:
        ValueError: the broker is not Apache Kafka; the embedded one loses what it had acknowledged.
    """
    log, options = theatre.scenes.arriving, theatre.options
    outages = plans.outages(options.seed, restart_s=options.stopped_s, pause_s=options.paused_s)
    if options.broker != brokers.ApacheBroker.name:
        msg = "the broker drill needs Apache Kafka: --broker apache"
        raise ValueError(msg)
    expected = theatre.uninterrupted(log)
    outcome.events = len(log)
    with theatre.stage("broker", outcome) as (stand, fleet):
        clock = Clock(outcome)
        stand.produce(log.lines)
        fleet.start()
        for outage in outages:
            fleet.wait(lambda at=outage.share: _share(fleet, len(log)) >= at, REACHED_WITHIN_S)  # type: ignore[misc]
            clock.hit(f"{outage.outage} {outage.lasts_s:.0f} s", _share(fleet, len(log)), phase=phase(fleet.workers[0]))
            _take_away(stand, fleet, outage=outage)
        theatre.finish(stand, fleet)
        outcome.comparison = compare(expected, stand.observe(), learning=theatre.learning)


def _share(fleet: Fleet, count: int) -> float:
    return sum(worker.figure(RECORDS) for worker in fleet.workers) / count


def _take_away(stand: Stand, fleet: Fleet, *, outage: BrokerOutage) -> None:
    back_s = time.monotonic() + outage.lasts_s
    if outage.outage is Outage.RESTART:
        stand.broker.stop()
        fleet.wait(lambda: time.monotonic() >= back_s, outage.lasts_s)
        stand.broker.start()
        return
    group = _process_group(stand.broker)
    os.killpg(group, signal.SIGSTOP)
    try:
        fleet.wait(lambda: time.monotonic() >= back_s, outage.lasts_s)
    finally:
        os.killpg(group, signal.SIGCONT)


def _process_group(broker: brokers.Broker) -> int:
    process = broker._process if isinstance(broker, LocalBroker) else None
    if process is None:
        msg = "the broker does not run as a child process"
        raise RuntimeError(msg)
    return process.pid
