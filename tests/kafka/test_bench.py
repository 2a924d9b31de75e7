"""The benchmark as a user runs it: contenders in processes of their own, compared, and written down."""

import json
from pathlib import Path

from needstream.bench import report
from needstream.streams.cli import main

EVENTS = 9_000


def test_every_contender_does_the_same_work_and_is_written_down(tmp_path: Path) -> None:
    chosen = ["--jobs", "count", "--contenders", "needstream,limit,aiokafka", "--rounds", "1", "--customers", "60"]
    where = ["--broker", "embedded", "--events", str(EVENTS), "--output", str(tmp_path)]

    assert main.call(["bench", *chosen, *where]) == 0

    told = json.loads((tmp_path / f"{report.NAME}.json").read_text(encoding="utf-8"))
    results = {each["contender"]: each for each in told["jobs"]["count"]}
    assert {name: each["skipped"] for name, each in results.items()} == dict.fromkeys(results, "")
    assert len({each["said"] for each in results.values()}) == 1
    assert results["needstream"]["said"].startswith("all ")
    assert all(each["per_s"]["median"] > 0 for each in results.values())


def test_an_unknown_job_is_a_wrong_usage() -> None:
    assert main.call(["bench", "--jobs", "everything"]) == 2
