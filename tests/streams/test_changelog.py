"""Reading the changelog outlasts a broker that is away, and nothing else."""

import logging

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NotLeaderForPartitionError,
    TopicAuthorizationFailedError,
)

from needstream.streams import changelog
from needstream.streams.changelog import LONGEST_PAUSE_S


class Reading:
    """Work that meets these faults, one at each attempt, and a pause that only counts."""

    def __init__(self, *faults: BaseException) -> None:
        self.faults = list(faults)
        self.attempts = 0
        self.pauses: list[float] = []

    async def work(self) -> None:
        self.attempts += 1
        if self.faults:
            raise self.faults.pop(0)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.mark.asyncio
async def test_faults_of_the_broker_are_outlasted_with_longer_pauses_and_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = [KafkaConnectionError(), KafkaTimeoutError(), NotLeaderForPartitionError()] * 400
    reading = Reading(*away)

    with caplog.at_level(logging.WARNING):
        await changelog.outlasting(reading.work, pause=reading.pause)

    assert 1_201 == reading.attempts
    assert [0.2, 0.4, 0.8, 1.6, 3.2, LONGEST_PAUSE_S, LONGEST_PAUSE_S] == reading.pauses[:7]
    assert LONGEST_PAUSE_S == max(reading.pauses)
    assert ["the changelog cannot be read; trying until it can"] == [line.getMessage() for line in caplog.records]


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", [TopicAuthorizationFailedError(), KafkaError(), OSError(), ValueError()])
async def test_what_waiting_does_not_mend_is_raised_at_once(fault: Exception) -> None:
    reading = Reading(KafkaConnectionError(), fault)

    with pytest.raises(type(fault)) as raised:
        await changelog.outlasting(reading.work, pause=reading.pause)

    assert fault is raised.value
    assert (2, 1) == (reading.attempts, len(reading.pauses))
