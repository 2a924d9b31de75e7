"""``needstream evaluate`` on files: the same report from a replay, from its output, and from its examples."""

from pathlib import Path

import orjson
import pytest

from needstream.streams.cli import main

SMALL = ("--customers", "60", "--days", "60", "--seed", "3")


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("events")
    assert main.call(["simulate", "--output", str(folder), *SMALL, "--json"]) == 0
    return folder


@pytest.fixture(scope="module")
def finished(events: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    assert main.call(["replay", "--input", str(events), "--output", str(folder), "--json"]) == 0
    return folder


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: str) -> bytes:
    capsys.readouterr()
    assert main.call(["evaluate", *arguments, "--json"]) == 0
    return capsys.readouterr().out.encode()


def test_events_and_a_finished_replay_give_the_same_report(
    events: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replayed = evaluated(capsys, "--input", str(events), "--recorded-only")

    assert replayed == evaluated(capsys, "--input", str(finished), "--recorded-only")


def test_the_page_names_no_customer(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "quality.html"
    said = evaluated(capsys, "--input", str(finished), "--recorded-only", "--report", str(page))

    examples = (finished / "labelled-examples.v1.jsonl").read_bytes().splitlines()
    customers = {orjson.loads(line)["customer_id"] for line in examples}
    text = page.read_text(encoding="utf-8") + said.decode()
    assert customers
    assert set() == {customer for customer in customers if customer in text}


def test_examples_alone_can_be_judged(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = orjson.loads(
        evaluated(capsys, "--examples", str(finished / "labelled-examples.v1.jsonl"), "--recorded-only")
    )

    assert "loan" == told["models"][0]["model"]
    assert {None} == {model["waiting"] for model in told["models"]}
    assert {None} == {model["scenarios"] and True for model in told["models"]}


def test_predictions_without_a_label_are_counted(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = orjson.loads(evaluated(capsys, "--input", str(finished), "--recorded-only"))

    assert [] == [model["model"] for model in told["models"] if not model["waiting"]]


def test_a_page_that_could_not_be_written_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # There is nothing to judge in the folder: that it is not complained of shows that nothing was read.
    arguments = ["evaluate", "--input", str(tmp_path), "--report", str(tmp_path / "none" / "q.html")]

    assert main.call(arguments) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "--report" in said
    assert "is no folder to write to" in said


def test_scoring_a_folder_without_signals_says_what_is_expected(
    events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.call(["score", "--truth", str(events / "truth.jsonl"), "--output", str(tmp_path)]) == 2

    assert "need-signals.v1.jsonl" in capsys.readouterr().err


def test_without_anything_to_read_it_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.call(["evaluate"]) == 2

    assert "--examples" in capsys.readouterr().err


def test_examples_of_another_pack_fail_with_one_line(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examples = str(finished / "labelled-examples.v1.jsonl")

    assert main.call(["evaluate", "--examples", examples, "--pack", "shop"]) == 1
    assert "have other features" in capsys.readouterr().err
