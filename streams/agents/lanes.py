"""The agent that reads every input: batches go to their partition's lane, and each lane runs its own rounds.

A lane's rounds run one after another, in a task of its own: while one lane waits for the broker, others use the
processor, and what is read meanwhile makes the next round larger. A pacemaker runs the rounds that no batch starts:
when the inputs have been read to their end and stayed silent for the ordering wait, when event time passes on an idle
partition, and when a partition was assigned and has alarms due.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

import faust
from faust.types import TP, EventT

from needstream.streams import topics, transport
from needstream.streams.lane import Fail, Lane
from needstream.streams.ownership import LaneAbandoned
from needstream.streams.rejections import TooManyDeadLetters

READ_AHEAD = 1_000
"""While a lane is at work and so many records have not had their turn, nothing more is read: what is decoded takes
memory. What a round has looked at and holds back does not count: other inputs have to be read for it to go."""

MOST_WAITING = 20_000
"""Above this many waiting records a lane reads no more of the inputs that are ahead."""

CLOCK_S = 0.002
"""How much earlier than asked for the event loop may wake a lane."""

STOOD_STILL_S = 1.0
"""A pacemaker this much behind its time means that the process stood still."""

FOLLOW_AFTER_S = 2.0
"""A caught-up partition this long without records follows the event time of the others."""

_LOG = logging.getLogger("needstream.lanes")


class Lanes:
    """The lanes of the partitions this worker is assigned."""

    def __init__(
        self,
        app: faust.App,
        open_lane: Callable[[int], Lane],
        *,
        fail: Fail,
        ordering_wait_s: float,
        idle_after_s: float,
    ) -> None:
        self._app = app
        self._open_lane = open_lane
        self._fail = fail
        self._ordering_wait_s = ordering_wait_s
        self._idle_after_s = idle_after_s
        self._lanes: dict[int, Lane] = {}
        self._openings: set[asyncio.Task[None]] = set()
        self._running: dict[Lane, asyncio.Task[None]] = {}

    async def read(self, stream: Any) -> None:
        """The agent: take batches until the stream ends."""
        events: AsyncIterable[EventT[Any]] = stream.noack().events()
        async for event in events:
            number = event.message.partition
            try:
                lane = self._lane(number)
                lane.add(event)
                self._restrain(lane)
            except LaneAbandoned:
                _note_abandoned(number)
            except Exception as error:
                # Not bad data: leave everything unacknowledged and stop, before Faust acks in passing.
                if not isinstance(error, TooManyDeadLetters):
                    _LOG.exception("batch not taken", extra={"facts": {"partition": number}})
                await self._fail(error)
                raise
            if self._listens(lane):
                continue
            self._start(lane)
            while lane.unseen > READ_AHEAD and lane in self._running:
                lane.looked.clear()
                await lane.looked.wait()

    async def beat(self) -> None:
        """The pacemaker: run the rounds that no batch starts, for as long as the app runs."""
        pause_s = max(0.01, self._ordering_wait_s)
        while not self._app.should_stop:
            slept_s = time.monotonic()
            await asyncio.sleep(pause_s)
            if time.monotonic() - slept_s > pause_s + STOOD_STILL_S:
                self._forget_silence()
            for number in self._assigned():
                try:
                    # It may have been given up while another one was in work.
                    if number in self._lanes or number in self._assigned():
                        await self._pace(self._lane(number))
                except LaneAbandoned:
                    _note_abandoned(number)
                except Exception as error:
                    _LOG.exception("round failed", extra={"facts": {"partition": number}})
                    await self._fail(error)
                    raise

    async def settle(self, partitions: Iterable[TP]) -> None:
        """Finish and forget the lanes of partitions that are given up, all at once: their time is limited."""
        numbers = {tp.partition for tp in partitions} & self._lanes.keys()
        await asyncio.gather(*[self._lanes.pop(number).close() for number in sorted(numbers)])

    @property
    def open(self) -> list[Lane]:
        """The lanes in work."""
        return [lane for lane in self._lanes.values() if lane.is_open]

    def stalled(self, after_s: float) -> list[int]:
        """The partitions whose lanes have work and have not got on for so many seconds."""
        since_s = time.monotonic() - after_s
        return sorted(
            lane.number
            for lane in self._lanes.values()
            if lane.progress_s < since_s and (lane.has_work or not lane.is_open)
        )

    @property
    def assigned(self) -> int:
        """How many partition numbers of the inputs this worker has."""
        return len(self._partition_numbers())

    @property
    def caught_up(self) -> bool:
        """Whether every assigned input has been read and applied to its end."""
        return len(self._lanes) == self.assigned > 0 and all(
            lane.is_open and not lane.has_work and len(self._read_to_end(lane)) == len(topics.MERGED)
            for lane in self._lanes.values()
        )

    def _assigned(self) -> list[int]:
        """Partition numbers whose inputs may be read now: recovered, sought and resumed."""
        consumer = transport.consumer(self._app)
        ready = {
            number
            for number in self._partition_numbers()
            if any(consumer.position_is_at_end(TP(topic, number)) for topic in topics.MERGED)
        }
        return sorted(ready | set(self._lanes))

    def _partition_numbers(self) -> set[int]:
        consumer = transport.consumer(self._app)
        assignment = consumer.assignment() if consumer.is_started else set()
        return {tp.partition for tp in assignment if tp.topic in topics.MERGED}

    def _forget_silence(self) -> None:
        """After a pause of the whole process nobody knows what was silent: begin to listen anew."""
        for lane in self._lanes.values():
            lane.hear_anew()
            lane.progress_s = time.monotonic()

    def _lane(self, number: int) -> Lane:
        lane = self._lanes.get(number)
        if lane is None:
            lane = self._lanes[number] = self._open_lane(number)
            opening = asyncio.ensure_future(self._open(lane))
            self._openings.add(opening)
            opening.add_done_callback(self._openings.discard)
        return lane

    def _start(self, lane: Lane) -> asyncio.Task[None]:
        """The task that runs the lane's rounds; a new one unless one is at it."""
        running = self._running.get(lane)
        if running is None:
            # By lane, not by number: one that was given up may not be through when its successor begins.
            running = self._running[lane] = asyncio.ensure_future(self._run(lane))
        return running

    async def _run(self, lane: Lane) -> None:
        """Rounds until everything that came meanwhile has had its turn, too."""
        taken_in = -1
        try:
            while taken_in != lane.taken_in:
                taken_in = lane.taken_in
                await lane.run(self._at_end(lane))
                self._restrain(lane)
        except LaneAbandoned:
            _note_abandoned(lane.number)
        except Exception as error:
            # Not bad data: everything stays unacknowledged.
            _LOG.exception("round failed", extra={"facts": {"partition": lane.number}})
            await self._fail(error)
        finally:
            del self._running[lane]
            lane.looked.set()

    def _wake(self, lane: Lane) -> None:
        """Run the rounds of what has waited long enough, unless the lane is gone meanwhile."""
        if self._lanes.get(lane.number) is not lane or not lane.is_certain:
            return
        running = self._running.get(lane)
        if running is None:
            self._start(lane)
        else:
            # Its rounds may have been begun before anything was ripe.
            running.add_done_callback(lambda _: self._wake(lane))

    async def _open(self, lane: Lane) -> None:
        try:
            await lane.open()
        except Exception as error:
            _LOG.exception("lane not opened", extra={"facts": {"partition": lane.number}})
            await self._fail(error)

    def _has_read_everything(self) -> bool:
        return all(len(self._read_to_end(lane)) == len(topics.MERGED) for lane in self._lanes.values())

    def _read_to_end(self, lane: Lane) -> frozenset[str]:
        consumer = transport.consumer(self._app)
        return frozenset(topic for topic in topics.MERGED if consumer.position_is_at_end(TP(topic, lane.number)))

    def _listens(self, lane: Lane) -> bool:
        """Whether a lane only waits for what its inputs may still say, and is woken then: a round finds nothing now."""
        if lane in self._running or lane.unseen > READ_AHEAD or not lane.is_certain:
            return False
        self._at_end(lane)
        return lane.hearing.awaits

    def _at_end(self, lane: Lane) -> frozenset[str]:
        """Inputs that are not waited for: read to their end, and silent for the ordering wait.

        What had come before each of them was read to its end is not waited with for long, however busy they are.
        """
        now_s = time.monotonic()
        read_to_end = self._read_to_end(lane)
        if lane.hearing.read_to_end(read_to_end, lane.partition.merger.pushed, now_s=now_s):
            # The pacemaker would notice a little later.
            asyncio.get_running_loop().call_later(self._ordering_wait_s + CLOCK_S, self._wake, lane)
        return read_to_end & lane.hearing.silent(now_s)

    async def _pace(self, lane: Lane) -> None:
        if not lane.is_certain:
            lane.hear_anew()  # without the broker nobody can speak
            return
        if lane in self._running or lane.hearing.awaits:
            return
        if lane.partition.awaiting and not self._has_read_everything():
            lane.wait_anew()  # the visitor's partition may be one that is still behind
        at_end = self._at_end(lane)
        tick_ms = None
        if len(at_end) == len(topics.MERGED):
            tick_ms = self._event_time(lane, lane.hearing.silent_s(time.monotonic()))
        if lane.has_work or tick_ms is not None:
            await lane.run(at_end, tick_ms=tick_ms)
            self._restrain(lane)

    def _event_time(self, lane: Lane, silent_s: float) -> int | None:
        """Event time of an idle partition: that of the others, later that of the clock going on."""
        watermark = lane.partition.watermark
        if silent_s < FOLLOW_AFTER_S:
            return None
        others = [
            other.partition.watermark.at_ms
            for other in self._lanes.values()
            if other.partition.watermark.at_ms is not None
        ]
        if watermark.newest_ms is not None and silent_s >= self._idle_after_s:
            others.append(watermark.newest_ms + round((silent_s - self._idle_after_s) * 1000))
        furthest = max(others, default=None)
        if furthest is None or (watermark.at_ms is not None and furthest <= watermark.at_ms):
            return None
        return furthest

    def _restrain(self, lane: Lane) -> None:
        """While too much waits, hold what is ahead of the slowest; everything until the lane is open."""
        consumer = transport.consumer(self._app)
        held: frozenset[str] = frozenset()
        if lane.waiting > MOST_WAITING:
            held = self._to_hold(lane)
        for topic in topics.MERGED:
            place = TP(topic, lane.number)
            if topic in held:
                consumer.hold(place)
            else:
                consumer.release(place)

    def _to_hold(self, lane: Lane) -> frozenset[str]:
        if not lane.is_open:
            return frozenset(topics.MERGED)
        if lane.parked > MOST_WAITING:
            return frozenset(topics.INPUTS)
        # Never what brings the histories that others wait for.
        return lane.partition.merger.ahead(self._read_to_end(lane)) - {topics.IDENTITIES}


def _note_abandoned(number: int) -> None:
    """The group gives the partition to somebody, perhaps to this worker again; a new lane goes on from its state."""
    _LOG.warning("round abandoned", extra={"facts": {"partition": number}})
