"""The hot path executes no more than its recorded reference: counted, so that a busy machine changes nothing."""

import subprocess
import sys

import pytest

from needstream.bench import guard
from needstream.bench.guard import Counts

ALLOWED = Counts(instructions=1_000.0, calls=50.0)


def test_what_is_within_the_tolerance_is_let_through() -> None:
    assert [] == guard.excess(Counts(1_000.0 * (1 + guard.TOLERANCE), 50.0), ALLOWED)


@pytest.mark.parametrize(("counts", "named"), [(Counts(1_031.0, 50.0), "instructions"), (Counts(900.0, 52.0), "calls")])
def test_what_is_beyond_it_is_named(counts: Counts, named: str) -> None:
    (sentence,) = guard.excess(counts, ALLOWED)

    assert sentence.startswith(named)


def test_the_hot_path_executes_no_more_than_its_reference() -> None:
    if guard.reference() is None:
        pytest.skip(f"there is no reference for Python {guard.PYTHON}")

    # In a process of its own: a coverage measurement of this one would be in the way.
    program = "from needstream.streams.cli.main import run; run()"
    told = subprocess.run(
        [sys.executable, "-c", program, "bench", "guard"], capture_output=True, text=True, check=False
    )

    assert 0 == told.returncode, told.stderr
    assert "bytecode instructions" in told.stdout
