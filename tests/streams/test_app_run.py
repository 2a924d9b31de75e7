"""Whatever happens while a worker stops: the caller sees the first fault, and everything is released."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import mode
import pytest

from needstream.streams import app


class First(Exception):
    """What stops a worker."""


class Later(Exception):
    """What goes wrong on the way out."""


class Working(mode.Service):
    """An app that does nothing; it trips when it is stopped, if it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.trips: Exception | None = None
        self.crashes_at_stop: Exception | None = None

    async def on_stop(self) -> None:
        if self.crashes_at_stop is not None:
            await self.crash(self.crashes_at_stop)
        if self.trips is not None:
            raise self.trips


class Bank:
    """A worker as `run` knows it."""

    def __init__(self) -> None:
        self.definitions = SimpleNamespace(version="bank-1")
        self.settings = SimpleNamespace(app_id="bank")
        self.partitions = 1
        self.app = Working()
        self.fault: Exception | None = None
        self.kept_from_starting: Exception | None = None
        self.may_start = asyncio.Event()
        self.may_start.set()
        self.finish_fails: Exception | None = None
        self.steps: list[str] = []

    async def prepare(self) -> None:
        try:
            await self.may_start.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            self.steps.append("start broken off")
            raise
        if self.kept_from_starting is not None:
            raise self.kept_from_starting
        self.steps.append("prepared")

    async def finish(self) -> None:
        self.steps.append("finished")
        if self.finish_fails is not None:
            raise self.finish_fails


async def _run(worker: Bank, stop: asyncio.Event) -> BaseException | None:
    """What a run raises."""
    try:
        await app.run(cast(Any, worker), stop)
    except (First, Later, asyncio.CancelledError) as raised:
        return raised
    return None


async def _started(worker: Bank, stop: asyncio.Event) -> "asyncio.Task[BaseException | None]":
    running = asyncio.create_task(_run(worker, stop))
    while not worker.app.started:
        await asyncio.sleep(0)
    return running


@pytest.fixture
def worker() -> Bank:
    return Bank()


@pytest.fixture
def stop() -> asyncio.Event:
    return asyncio.Event()


@pytest.mark.asyncio
async def test_a_worker_that_is_told_to_stop_ends_without_an_error(worker: Bank, stop: asyncio.Event) -> None:
    running = await _started(worker, stop)
    stop.set()

    assert await running is None
    assert ["prepared", "finished"] == worker.steps


@pytest.mark.asyncio
async def test_a_fault_is_seen_however_the_stop_and_the_end_go(worker: Bank, stop: asyncio.Event) -> None:
    first = First()
    worker.app.trips, worker.finish_fails = RuntimeError("Event loop is closed"), Later()
    running = await _started(worker, stop)
    worker.fault = first
    await worker.app.crash(Later())

    assert await running is first
    assert ["prepared", "finished"] == worker.steps


@pytest.mark.asyncio
async def test_a_crash_that_nobody_noted_is_seen(worker: Bank, stop: asyncio.Event) -> None:
    first = First()
    worker.app.trips = Later()
    running = await _started(worker, stop)
    await worker.app.crash(first)

    assert await running is first
    assert ["prepared", "finished"] == worker.steps


@pytest.mark.asyncio
async def test_what_keeps_a_worker_from_starting_is_seen_however_the_stop_goes(
    worker: Bank, stop: asyncio.Event
) -> None:
    worker.kept_from_starting = first = First()
    worker.app.trips, worker.finish_fails = Later(), Later()

    assert await _run(worker, stop) is first
    assert ["finished"] == worker.steps


@pytest.mark.asyncio
async def test_a_crash_while_it_starts_ends_the_start(worker: Bank, stop: asyncio.Event) -> None:
    worker.may_start.clear()
    first = First()
    running = asyncio.create_task(_run(worker, stop))
    await asyncio.sleep(0)
    await worker.app.crash(first)

    assert await running is first
    assert ["start broken off", "finished"] == worker.steps


@pytest.mark.asyncio
async def test_a_fault_that_comes_up_while_it_stops_is_seen(worker: Bank, stop: asyncio.Event) -> None:
    worker.app.crashes_at_stop, worker.app.trips = First(), Later()
    running = await _started(worker, stop)
    stop.set()

    assert await running is worker.app.crashes_at_stop
    assert ["prepared", "finished"] == worker.steps


@pytest.mark.asyncio
@pytest.mark.parametrize("trips", [True, False])
async def test_an_error_of_the_stop_or_the_end_is_seen_where_there_is_no_other(
    worker: Bank, stop: asyncio.Event, *, trips: bool
) -> None:
    later = Later()
    worker.app.trips, worker.finish_fails = (later, None) if trips else (None, later)
    running = await _started(worker, stop)
    stop.set()

    assert await running is later
    assert ["prepared", "finished"] == worker.steps


@pytest.mark.asyncio
async def test_a_stop_during_the_start_releases_nothing_before_the_start_is_over(
    worker: Bank, stop: asyncio.Event
) -> None:
    worker.may_start.clear()
    running = asyncio.create_task(_run(worker, stop))
    await asyncio.sleep(0)
    stop.set()

    assert await running is None
    assert ["start broken off", "finished"] == worker.steps


@pytest.mark.asyncio
async def test_a_run_that_is_cancelled_releases_everything_and_ends_as_cancelled(
    worker: Bank, stop: asyncio.Event
) -> None:
    worker.app.trips = Later()
    running = await _started(worker, stop)
    running.cancel()

    assert isinstance(await running, asyncio.CancelledError)
    assert ["prepared", "finished"] == worker.steps
