"""From a consumed record to what a lane takes in: an arrival, or why there is none.

In comes a record of an input; out goes its event with its origin, or a rejection. The invariant it protects: a record
never stops the lane, even one that makes decoding itself fail.
"""

import logging
from typing import Any

from needstream.schemas import codecs
from needstream.schemas.dead_letters import Rejected, RejectReason
from needstream.streams.pipeline import inputs
from needstream.streams.steps import NOT_THE_RECORD

_LOG = logging.getLogger("needstream.decoding")


def arrival(record: Any, *, latest_ms: int) -> inputs.Arrival | Rejected:
    """The arrival of a record; one that makes decoding fail is rejected like any other bad record.

    Decoding is a function of the bytes alone, so it is not tried again.

    Args:
        record: a consumed record of an input.
        latest_ms: newest acceptable event time, milliseconds since the epoch.
    """
    try:
        return _arrival(record, latest_ms=latest_ms)
    except NOT_THE_RECORD:
        raise
    except Exception as error:
        facts = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        _LOG.warning("a record made decoding fail", extra={"facts": facts}, exc_info=error)
        return Rejected(RejectReason.POISON_PILL, detail=type(error).__name__)


def _arrival(record: Any, *, latest_ms: int) -> inputs.Arrival | Rejected:
    family = record.topic.partition(".")[0]
    decoded = codecs.decode(record.value or b"", family=family, latest_ms=latest_ms, key=record.key)
    if isinstance(decoded, Rejected):
        return decoded
    return inputs.arrival(decoded, record.topic, offset=record.offset, partition=record.partition, key=record.key)
