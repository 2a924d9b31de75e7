"""The demo: a simulated bank and a real shop, each through broker, worker and models, then a summary."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from msgspec import Struct
from rich.console import Console
from rich.live import Live

from needstream.schemas.times import DAY_MS
from needstream.simulation import emitted, live_view, parameters, scorecard, scorecard_table, simulator, truth
from needstream.simulation.adapters import online_retail
from needstream.simulation.stage import Progress, Stage
from needstream.streams import producing, topics

REAL_SAMPLE = "online_retail_sample.csv.gz"
_PLAIN_EVERY_S = 5.0


class DemoOptions(Struct, frozen=True, kw_only=True):
    """What the demo plays.

    Attributes:
        exit_after_s: stop playing after so many seconds, 0 plays everything.
        days_per_second: event-time days sent in a second, 0 as fast as it goes.
        output: folder to keep what the worker published; a temporary one without.
    """

    seed: int = 7
    customers: int = 1_000
    days: int = 120
    exit_after_s: float = 0.0
    days_per_second: float = 4.0
    output: Path | None = None


def play(options: DemoOptions, console: Console) -> None:
    """Play both acts and print what was found.

    Raises:
        WorkerFailed: a worker could not be kept alive.
    """
    deadline_s = time.monotonic() + options.exit_after_s if options.exit_after_s else None
    with _folder(options.output) as folder:
        _play_bank(options, console, folder=folder, deadline_s=deadline_s)
        if deadline_s is None or time.monotonic() < deadline_s:
            _play_shop(options, console, folder=folder, deadline_s=deadline_s)


def write_real_sample(folder: Path) -> int:
    """Write the shipped Online Retail sample as input files of the shop pack.

    Returns:
        How many events.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sample = Path(str(resources.files("needstream.simulation") / "samples" / REAL_SAMPLE))
    count = 0
    with (folder / f"{topics.TRANSACTIONS}.jsonl").open("wb") as file:
        for event in online_retail.read(sample):
            file.write(event.event + b"\n")
            count += 1
    return count


def _play_bank(options: DemoOptions, console: Console, *, folder: Path, deadline_s: float | None) -> None:
    source, output = folder / "bank-input", folder / "bank-output"
    with console.status(f"simulating {options.customers:,} bank customers over {options.days} days"):
        population = simulator.simulate(
            parameters.SimulationParameters(seed=options.seed, customers=options.customers, days=options.days)
        )
        simulator.write(population, source)
    progress = Progress(title=f"bank, simulated (seed {options.seed})", total=len(population))
    _perform("bank", source, options=options, console=console, output=output, progress=progress, deadline_s=deadline_s)
    card = _judge(source / "truth.jsonl", output, reached_ms=progress.event_time_ms)
    console.rule("bank: found against the planted truth")
    console.print(scorecard_table.render(card))
    _print_figures(progress, console)


def _judge(truth_path: Path, output: Path, *, reached_ms: int) -> scorecard.Scorecard:
    """Judge what was played: a plant whose time has not passed counts only if it was found already."""
    signals = list(emitted.read_signals(output))
    found = {(signal.customer_id, signal.scenario) for signal in signals}
    planted = [
        row
        for row in truth.read(truth_path)
        if row.expected_until_ms <= reached_ms or (row.customer_id, row.scenario) in found
    ]
    return scorecard.score(planted, signals, suppressed=emitted.read_suppressed(output))


def _play_shop(options: DemoOptions, console: Console, *, folder: Path, deadline_s: float | None) -> None:
    source, output = folder / "shop-input", folder / "shop-output"
    count = write_real_sample(source)
    progress = Progress(title="shop, real: sample of UCI Online Retail (CC BY 4.0)", total=count)
    _perform("shop", source, options=options, console=console, output=output, progress=progress, deadline_s=deadline_s)
    console.rule("shop: real customers, no planted truth")
    for scenario, fired in progress.by_scenario.most_common():
        console.print(f"  {fired:5,}  {scenario}")
    _print_figures(progress, console)


def _perform(
    pack: str,
    source: Path,
    *,
    options: DemoOptions,
    console: Console,
    output: Path,
    progress: Progress,
    deadline_s: float | None,
) -> None:
    pace = producing.Pace(speed=options.days_per_second * DAY_MS / 1000)
    with Stage(pack, source, output=output, pace=pace, progress=progress) as stage:
        if console.is_terminal:
            with Live(console=console, refresh_per_second=4, transient=False) as live:
                for _ in _ticks(stage, deadline_s):
                    live.update(live_view.render(progress, stage.worker_pid))
        else:
            console.print(f"{progress.title}: worker pid {stage.worker_pid}")
            printed_s = 0.0
            for now_s in _ticks(stage, deadline_s):
                if now_s - printed_s >= _PLAIN_EVERY_S:
                    console.print(live_view.plain_line(progress), soft_wrap=True)
                    printed_s = now_s


def _ticks(stage: Stage, deadline_s: float | None) -> Iterator[float]:
    while not stage.done:
        now_s = time.monotonic()
        yield now_s
        if deadline_s is not None and now_s > deadline_s:
            return
        time.sleep(0.25)


def _print_figures(progress: Progress, console: Console) -> None:
    seconds = time.monotonic() - progress.started_s
    first = f"{progress.first_signal_s:.1f} s" if progress.first_signal_s is not None else "none"
    console.print(live_view.quality(progress))
    console.print(
        f"{progress.records:,.0f} events in {seconds:.0f} s, first signal after {first}; "
        f"{progress.by_scenario.total():,} signals, {progress.suppressed.total():,} candidates kept silent"
        + (f"; worker started again {progress.restarts} times" if progress.restarts else "")
    )


@contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    if chosen is not None:
        chosen.mkdir(parents=True, exist_ok=True)
        yield chosen
        return
    with tempfile.TemporaryDirectory(prefix="needstream-demo-") as scratch:
        yield Path(scratch)
