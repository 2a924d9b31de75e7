"""What is started ends with its starter, however that is asked to end."""

import os
import signal
import subprocess
import sys

import pytest

from needstream.bench import processes

PROGRAM = """
import sys
from pathlib import Path
from needstream.bench import processes

waiting = [sys.executable, "-c", "import time; time.sleep(600)"]
with processes.ended_in_order(), processes.started(waiting, None, log=Path(sys.argv[1])) as contender:
    print(contender.pid, flush=True)
    contender.wait()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
@pytest.mark.parametrize("ignored", ["", "trap '' INT; "], ids=["foreground", "background"])
def test_a_contender_ends_with_the_benchmark_that_is_told_to_end(
    number: signal.Signals, ignored: str, tmp_path: os.PathLike[str]
) -> None:
    command = ["sh", "-c", f'{ignored}exec "$@"', "sh", sys.executable, "-c", PROGRAM, f"{tmp_path}/log"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as benchmark:
        assert benchmark.stdout is not None
        contender = int(benchmark.stdout.readline())
        benchmark.send_signal(number)

    assert benchmark.returncode != 0
    with pytest.raises(ProcessLookupError):
        os.kill(contender, 0)


def test_the_signals_mean_afterwards_what_they_meant_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    with processes.ended_in_order():
        pass

    assert before == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
