"""The thread in which aiokafka fetches for the batch transport, and what it knows of each partition's position.

Private names of aiokafka are used here and in `transport_records` only.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

import aiokafka
from aiokafka import errors
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from needstream.streams import transport_records
from needstream.streams.pulse import Pulse

#: How long the broker may hold a fetch of idle partitions. Faust asks for 1.5 s, and meanwhile a busy partition of the
#: same broker that was just drained is not asked for: aiokafka keeps one fetch per broker in flight.
FETCH_WAIT_MS = 10
#: How much the broker is to gather meanwhile: an answer of a few records costs as much as one of hundreds.
FETCH_BYTES = 16_384
#: How soon a released partition is looked at again while nothing else arrives.
POLL_S = 0.05
#: The most records of one partition that leave aiokafka's buffer at a time.
RECORDS_PER_FETCH = 1000
#: The least time between two fetches of a broker when the first brought nothing.
EMPTY_FETCH_S = 0.012


def rest_between_empty_fetches(consumer: aiokafka.AIOKafkaConsumer) -> None:
    """Let a started aiokafka consumer pause after a fetch that came back empty at once.

    A Kafka broker waits for records before it answers, `FETCH_WAIT_MS` here; the embedded one does not, and aiokafka
    would ask it thousands of times a second.
    """
    fetcher = consumer._fetcher
    fetch = fetcher._proc_fetch_request

    async def fetch_and_rest(*request: Any) -> Any:
        started = time.monotonic()
        found = False
        # As the fetch itself does, but for its pause after a fault: a closing fetcher awaits what it cancels.
        with suppress(asyncio.CancelledError):
            found = await fetch(*request)
            if not found:
                await asyncio.sleep(max(0.0, EMPTY_FETCH_S - (time.monotonic() - started)))
        return found

    fetcher._proc_fetch_request = fetch_and_rest


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that owns the aiokafka consumer."""

    #: Positions the latest fetch left behind: while one still holds, what was fetched is what comes next.
    left_at: Mapping[TP, int | None] = {}
    #: The worker's membership in the group.
    pulse: Pulse

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._fetch_min_bytes = FETCH_BYTES
        # Faust takes aiokafka's round robin for an app without tables, and that tears co-partitioned inputs apart.
        self._assignor = self.app.assignor
        consumer._partition_assignment_strategy = [self._assignor]
        return consumer

    async def on_start(self) -> None:
        """Start the consumer."""
        await super().on_start()
        consumer = self._ensure_consumer()
        transport_records.receive(consumer)  # the first of the two: it starts from aiokafka's own fetch
        rest_between_empty_fetches(consumer)
        self._feel_pulse(consumer._coordinator)

    def _feel_pulse(self, coordinator: Any) -> None:
        """Note what the group's coordinator accepts from now on; this comes before the group is joined."""
        self.pulse = Pulse(self.app.conf.broker_session_timeout, lambda: cast(int, coordinator.generation))
        send = coordinator._send_req

        async def send_and_note(request: Any) -> Any:
            sent_s = time.monotonic()
            response = await send(request)
            # While the others join anew a member keeps its partitions, and its heartbeats are answered so.
            if isinstance(request, SyncGroupRequest | HeartbeatRequest) and errors.for_code(response.error_code) in (
                errors.NoError,
                errors.RebalanceInProgressError,
            ):
                self.pulse.accepted(sent_s)
            return response

        coordinator._send_req = send_and_note

    async def _fetch_records(  # noqa: PLR0917 - the driver's signature
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP] | None,
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Any:
        if active_partitions is None:  # a client without a group
            return await super()._fetch_records(consumer, cast(set[TP], None), timeout, max_records)
        # Partition by partition and a few at a time: left alone, aiokafka turns all it has buffered into records, the
        # first partition's before the others', and a broker may send far more than it was asked for.
        records: dict[Any, Any] = {}
        for tp in [tp for tp in consumer._fetcher._records if tp in active_partitions]:
            try:
                records |= await super()._fetch_records(consumer, {tp}, 0.0, RECORDS_PER_FETCH)
            except KafkaError:
                if records:
                    break  # these are ours now; the next fetch meets the error again
                raise
        if not records:
            records = dict(await super()._fetch_records(consumer, active_partitions, timeout, RECORDS_PER_FETCH))
        self.left_at = {tp: self.position_now(tp) for tp in active_partitions}
        return records

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        # Apache Kafka accepts a commit until everybody has joined again; a broker that went to the next generation with
        # the first who joined refuses it. Then the events come again, and that is all. aiokafka would also give up its
        # member id and join as somebody new, while the group waits for the old member until its session ends. A member
        # that the group really has forgotten learns so when it joins.
        coordinator = self._ensure_consumer()._coordinator
        coordinator.reset_generation = coordinator.request_rejoin
        try:
            return await super()._commit(offsets)
        finally:
            vars(coordinator).pop("reset_generation", None)

    @property
    def has_consumer(self) -> bool:
        """Whether the aiokafka consumer exists yet."""
        return self._consumer is not None

    def partition_state(self, tp: TP) -> Any:
        """Return aiokafka's state of an assigned partition, or None."""
        subscription = self._ensure_consumer()._subscription.subscription
        assignment = None if subscription is None else subscription.assignment
        return None if assignment is None or tp not in assignment.tps else assignment.state_value(tp)

    def position_now(self, tp: TP) -> int | None:
        """Return the offset that is fetched next, or None while it is unknown."""
        state = self.partition_state(tp)
        return cast(int, state.position) if state is not None and state.has_valid_position else None

    async def rewind(self, tp: TP, offset: int) -> None:
        """Seek back to a record that was fetched and not delivered, unless somebody has sought elsewhere since."""
        if self.is_current(tp):
            self._ensure_consumer().seek(aiokafka.TopicPartition(*tp), offset)

    def is_current(self, tp: TP) -> bool:
        """Tell whether the partition still stands where the latest fetch left it."""
        position = self.position_now(tp)
        return position is not None and position == self.left_at.get(tp)
