"""A producer gone wrong is told of once, and stops the worker where that was asked for."""

import logging

import pytest

from needstream.streams import topics
from needstream.streams.metrics import Metrics
from needstream.streams.rejections import Rejections, TooManyDeadLetters


def test_an_excess_is_warned_of_once_and_shown_as_a_share(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics("0", "bank")
    rejections = Rejections(alert=0.1, stop=None, metrics=metrics)

    with caplog.at_level(logging.WARNING, "needstream.rejections"):
        for _ in range(3):
            rejections.observe(topics.CLICKSTREAM, read=100, rejected=20)

    assert ["too many dead letters"] == [record.getMessage() for record in caplog.records]
    assert b'needstream_dead_letter_ratio{topic="clickstream.v1"} 0.2' in metrics.exposition()


def test_only_the_topic_that_went_too_far_stops_the_worker() -> None:
    rejections = Rejections(alert=1.0, stop=0.1, metrics=Metrics("0", "bank"))
    rejections.observe(topics.TRANSACTIONS, read=100, rejected=5)

    with pytest.raises(TooManyDeadLetters, match=r"20 of the last 100 records of clickstream\.v1"):
        rejections.observe(topics.CLICKSTREAM, read=100, rejected=20)
