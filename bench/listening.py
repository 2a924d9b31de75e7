"""The process that waits for signals: ``python -m needstream.bench.listening BOOTSTRAP PARTITIONS FILE``.

Notes the machine's clock the moment the client hands a record over, and writes a line for each signal of the frequent
scenario: when it came, in microseconds, and its trigger; for one that a gate stopped, 0 and its trigger. It looks for
records every millisecond where the broker does not wait with an answer until there are some; that millisecond is part
of what is measured.
"""

import asyncio
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiokafka
import orjson

from needstream.bench import live_pack
from needstream.streams import runtime, topics

TOPICS = (topics.NEED_SIGNALS, topics.CHURN_ALERTS, topics.ALERTS, topics.DECISIONS)
SCENARIO = f'"{live_pack.SCENARIO}"'.encode()
REST_S = 0.001
FETCH_WAIT_MS = 100


async def listen(bootstrap: str, partitions: int, *, heard: Path) -> None:
    """Write what comes until SIGTERM."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=FETCH_WAIT_MS
    )
    await consumer.start()
    try:
        places = [aiokafka.TopicPartition(name, number) for name in TOPICS for number in range(partitions)]
        consumer.assign(places)
        await consumer.seek_to_end(*places)
        _rest_between_empty_fetches(consumer)
        with heard.open("w", encoding="utf-8") as lines:
            lines.write("ready\n")
            lines.flush()
            while not over.is_set():
                fetched = await consumer.getmany(timeout_ms=200)
                now_us = time.time_ns() // 1000
                for records in fetched.values():
                    for record in records:
                        if SCENARIO in record.value:
                            lines.write(_line(orjson.loads(record.value), record.topic, now_us=now_us))
                lines.flush()
    finally:
        await consumer.stop()


def _line(said: dict[str, Any], topic: str, *, now_us: int) -> str:
    if topic == topics.DECISIONS:
        return "" if said["verdict"] == "fired" else f"0 {said['trigger_event_id']}\n"
    return f"{now_us} {said['trigger_event_id']}\n"


def _rest_between_empty_fetches(consumer: aiokafka.AIOKafkaConsumer) -> None:
    # The embedded broker answers an empty fetch at once, and aiokafka asks again at once: the core they share would be
    # busy with nothing else. A private name of aiokafka; without it the figures are only slower.
    fetcher = consumer._fetcher
    fetch = fetcher._proc_fetch_request

    async def fetch_and_rest(*request: Any) -> Any:
        found = False
        with suppress(asyncio.CancelledError):
            started_s = time.monotonic()
            found = await fetch(*request)
            if not found:
                await asyncio.sleep(max(0.0, REST_S - (time.monotonic() - started_s)))
        return found

    fetcher._proc_fetch_request = fetch_and_rest


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=runtime.fastest_loop) as runner:
        runner.run(listen(sys.argv[1], int(sys.argv[2]), heard=Path(sys.argv[3])))
