"""Too many dead letters: tells the operator, and stops the worker where that was asked for.

In come counts of read and rejected records per topic; out go a gauge, a warning for each excess, and an error before
the batch that went too far is acknowledged. The invariant it protects: a producer gone wrong does not drain an input
into the dead letters unnoticed.
"""

import logging

from needstream.streams.dead_letter_rate import DeadLetterRate
from needstream.streams.metrics import Metrics

_LOG = logging.getLogger("needstream.rejections")


class TooManyDeadLetters(RuntimeError):
    """Raised when a larger share of a topic is rejected than the settings bear; says what to do."""


class Rejections:
    """Watches all inputs of one worker.

    Args:
        alert: the share of rejected records above which one is warned; more than 0, at most 1.
        stop: the share above which the worker stops; None for never.
    """

    def __init__(self, *, alert: float, stop: float | None, metrics: Metrics) -> None:
        self._warned = DeadLetterRate(alert)
        self._borne = DeadLetterRate(stop) if stop is not None else None
        self._limit = stop
        self._metrics = metrics

    def observe(self, topic: str, *, read: int, rejected: int) -> None:
        """Count a batch.

        Raises:
            TooManyDeadLetters: with it more is rejected than the settings bear; it must not be acknowledged.
        """
        excess = self._warned.observe(topic, read=read, rejected=rejected)
        self._metrics.dead_letter_ratio.labels(topic).set(self._warned.share(topic))
        if excess is not None:
            facts = {"topic": topic, "rejected": excess.rejected, "seen": excess.seen, "share": round(excess.share, 3)}
            _LOG.warning("too many dead letters", extra={"facts": facts})
        beyond = self._borne.observe(topic, read=read, rejected=rejected) if self._borne is not None else None
        if beyond is not None:
            msg = (
                f"{beyond.rejected} of the last {beyond.seen} records of {topic} had to be rejected, more than "
                f"NEEDSTREAM_DEAD_LETTER_STOP={self._limit}: look at the dead letters, correct the producer, and start "
                "with a larger limit or `off` to get past what is there"
            )
            raise TooManyDeadLetters(msg)
