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
from needstream.simulation.adapters import conversion
from needstream.simulation.stage import Progress, Stage
from needstream.streams import producing

REAL_SAMPLE = "online_retail_sample.csv.gz"
BANK_SHARE = 0.75
"""How much of a limited time the bank may take; the rest is the shop's."""

SHOP_HASTE = 15.0
"""A shop's customer comes every few weeks where a bank's comes every other day."""

_PLAIN_EVERY_S = 5.0


class DemoOptions(Struct, frozen=True, kw_only=True):
    """What the demo plays.

    Attributes:
        exit_after_s: stop playing after so many seconds, 0 plays everything.
        days_per_second: event-time days sent in a second, 0 as fast as it goes.
        output: folder to keep what the worker published; a temporary one without.
    """

    seed: int = 7
    customers: int = 600
    days: int = 120
    exit_after_s: float = 0.0
    days_per_second: float = 3.0
    output: Path | None = None


def play(options: DemoOptions, console: Console) -> None:
    """Play both acts and print what was found.

    Raises:
        WorkerFailed: a worker could not be kept alive.
    """
    with _folder(options.output) as folder:
        player = Player(options, console)
        _play_bank(player, folder / "bank")
        _play_shop(player, folder / "shop")


class Player:
    """Performs one stage after another until the time is up, and shows it."""

    def __init__(self, options: DemoOptions, console: Console) -> None:
        self.options = options
        self.console = console
        self._started_s = time.monotonic()
        self._share = 1.0

    @property
    def time_is_up(self) -> bool:
        """Whether the act must stop by now."""
        allowed_s = self.options.exit_after_s * self._share
        return allowed_s > 0 and time.monotonic() - self._started_s > allowed_s

    def perform(self, pack: str, *, folder: Path, progress: Progress, share: float = 1.0, haste: float = 1.0) -> None:
        """Play ``folder/input`` through a worker with ``pack`` into ``folder/output``.

        The act ends early when ``share`` of the demo's whole time has passed since its beginning. Events are sent
        ``haste`` times as fast as the options say.
        """
        self._share = share
        pace = producing.Pace(speed=self.options.days_per_second * haste * DAY_MS / 1000)
        stage = Stage(pack, folder / "input", output=folder / "output", pace=pace, progress=progress)
        with stage:
            if self.console.is_terminal:
                with Live(console=self.console, refresh_per_second=4) as live:
                    for _ in self._ticks(stage):
                        live.update(live_view.render(progress, stage.worker_pid))
            else:
                self._print(stage, progress)

    def _print(self, stage: Stage, progress: Progress) -> None:
        self.console.print(f"{progress.title}: worker pid {stage.worker_pid}")
        printed_s = 0.0
        restarts = 0
        for now_s in self._ticks(stage):
            if progress.restarts > restarts:
                restarts = progress.restarts
                self.console.print(f"the worker was killed; started again with pid {stage.worker_pid}")
            if now_s - printed_s >= _PLAIN_EVERY_S:
                self.console.print(live_view.plain_line(progress), soft_wrap=True)
                printed_s = now_s

    def _ticks(self, stage: Stage) -> Iterator[float]:
        while not (stage.done or self.time_is_up):
            yield time.monotonic()
            time.sleep(0.25)


def write_real_sample(folder: Path) -> int:
    """Write the shipped Online Retail sample as input files of the shop pack.

    Returns:
        How many events.
    """
    sample = Path(str(resources.files("needstream.simulation") / "samples" / REAL_SAMPLE))
    written, _ = conversion.write(conversion.Source.ONLINE_RETAIL, sample, folder=folder)
    return sum(written.values())


def _play_bank(player: Player, folder: Path) -> None:
    options, console = player.options, player.console
    with console.status(f"simulating {options.customers:,} bank customers over {options.days} days"):
        population = simulator.simulate(
            parameters.SimulationParameters(seed=options.seed, customers=options.customers, days=options.days)
        )
        simulator.write(population, folder / "input")
    progress = Progress(title=f"bank, simulated (seed {options.seed})", total=len(population))
    player.perform("bank", folder=folder, progress=progress, share=BANK_SHARE)
    card = _judge(folder / "input" / "truth.jsonl", folder / "output", reached_ms=progress.applied_ms)
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


def _play_shop(player: Player, folder: Path) -> None:
    count = write_real_sample(folder / "input")
    progress = Progress(title="shop, real: sample of UCI Online Retail (CC BY 4.0)", total=count)
    player.perform("shop", folder=folder, progress=progress, haste=SHOP_HASTE)
    player.console.rule("shop: real customers, no planted truth")
    for scenario, fired in progress.by_scenario.most_common():
        player.console.print(f"  {fired:5,}  {scenario}")
    _print_figures(progress, player.console)


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
