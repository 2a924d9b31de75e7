"""The program answers every mistake with what would have been valid, and its exit codes mean something."""

import gzip
from pathlib import Path

import orjson
import pytest

from needstream.streams.cli import main


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["replai"], ["No such command 'replai'", "replay", "simulate", "worker"]),
        (["replay", "--inptu", "x"], ["No such option: --inptu", "--input", "--output", "--shuffle-within"]),
        (["replay"], ["Missing option '--input'", "--output"]),
        (["topics", "aply"], ["No such command 'aply'", "apply, check, plan"]),
        (["simulate", "--output", "x", "--customers", "3"], ["'--customers'", "20"]),
        (["demo", "--exit-after", "soon"], ["'soon' is no duration", "30m"]),
    ],
)
def test_wrong_usage_names_what_is_valid_and_exits_with_two(
    arguments: list[str], told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.call(arguments) == 2

    answer = capsys.readouterr().err
    assert [] == [word for word in told if word not in answer]


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    commands = [
        "worker",
        "topics",
        "replay",
        "produce",
        "tail",
        "evaluate",
        "deadletters",
        "doctor",
        "erase",
        "simulate",
        "convert",
        "score",
        "demo",
    ]

    assert [0] * len(commands) == [main.call([command, "--help"]) for command in commands]
    assert capsys.readouterr().out.count("Usage:") == len(commands)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.call(["--version"]) == 0
    assert capsys.readouterr().out.startswith("needstream 0.")


def test_a_broker_that_is_not_there_fails_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.call(["topics", "check", "--broker", "127.0.0.1:1"]) == 1

    answer = capsys.readouterr().err
    assert "no broker answers at 127.0.0.1:1" in answer
    assert "Traceback" not in answer


def test_an_unknown_pack_fails_with_the_shipped_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["replay", "--input", str(tmp_path), "--output", str(tmp_path / "out"), "--pack", "nope"]

    assert main.call(arguments) == 1
    assert "shipped pack (bank, shop)" in capsys.readouterr().err


def test_simulate_replay_and_score_work_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events, said = tmp_path / "events", tmp_path / "said"
    small = ["--customers", "40", "--days", "30", "--seed", "3"]

    assert main.call(["simulate", "--output", str(events), *small, "--json"]) == 0
    assert main.call(["replay", "--input", str(events), "--output", str(said), "--json"]) == 0
    assert main.call(["score", "--truth", str(events / "truth.jsonl"), "--output", str(said), "--json"]) == 0

    simulated, report, card = (orjson.loads(line) for line in capsys.readouterr().out.splitlines())
    assert simulated["clickstream.v1"] + simulated["transactions.v1"] < report["counts"]["records"]
    assert card["without_consent"] == 0


def test_a_wrong_setting_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEEDSTREAM_WEB_PORT", "none")

    assert main.call(["worker"]) == 1
    assert "NEEDSTREAM_WEB_PORT='none'" in capsys.readouterr().err


def test_published_data_is_converted_to_input_files_and_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = Path(__file__).parents[2] / "simulation" / "samples" / "online_retail_sample.csv.gz"
    events, said = tmp_path / "events", tmp_path / "said"

    assert main.call(["convert", "online-retail", "--input", str(sample), "--output", str(events)]) == 0
    converted = capsys.readouterr().out
    assert main.call(["replay", "--pack", "shop", "--input", str(events), "--output", str(said), "--json"]) == 0

    report = orjson.loads(capsys.readouterr().out)
    assert "463  transactions.v1" in converted
    assert (463, 0) == (
        report["counts"]["records"],
        sum(n for name, n in report["counts"].items() if name.startswith("dead_letter.")),
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["convert", "bank-calls", "--input", "FILE", "--output", "x"], "there is no column 'outcome'"),
        (["convert", "online-retail", "--input", "CUT", "--output", "x"], "no online-retail data"),
        (["convert", "online-retail", "--input", "EMPTY", "--output", "x"], "nothing in it could be converted"),
        (["score", "--truth", "FILE", "--output", "FOLDER"], "line 1"),
        (["replay", "--input", "FOLDER", "--output", "FOLDER/out"], "damaged after line"),
        (["tail", "--broker", "127.0.0.1:1"], "no broker answers at 127.0.0.1:1"),
        (["produce", "--broker", "127.0.0.1:1", "--input", "FOLDER"], "no broker answers at 127.0.0.1:1"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = b'{"event_id": "e", "event_time": "2025-01-01T00:00:00Z"}\n'
    (tmp_path / "file").write_bytes(b"a,b\n1,2\n")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "need-signals.v1.jsonl").touch()
    cut = gzip.compress(event * 5_000)[:-20]
    (tmp_path / "clickstream.v1.jsonl.gz").write_bytes(cut)
    places = {
        "FILE": tmp_path / "file",
        "EMPTY": tmp_path / "empty.csv",
        "CUT": tmp_path / "clickstream.v1.jsonl.gz",
        "FOLDER": tmp_path,
        "FOLDER/out": tmp_path / "out",
        "x": tmp_path / "x",
    }

    assert main.call([str(places.get(word, word)) for word in arguments]) == 1

    answer = capsys.readouterr().err
    assert told in answer
    assert "Traceback" not in answer


def test_a_broker_address_without_a_port_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.call(["tail", "--broker", "localhost"]) == 2
    assert "must be host:port" in capsys.readouterr().err
