"""The second shell: what it reads and writes, whatever is in the files."""

import base64
import gzip
import json

import pytest

from builders import bytes_of, click, consent, transaction
from needstream.models.snapshots import SnapshotRefused
from needstream.schemas import times
from needstream.simulation import parameters, simulator
from needstream.streams import topics
from needstream.streams.packs import loader
from needstream.streams.replay import Replay, ReplayOptions

BANK = loader.load("bank")
LATEST_MS = times.parse_rfc3339("2026-01-01T00:00:00Z")
OPTIONS = ReplayOptions(latest_ms=LATEST_MS)
LOOKS = [
    consent(at="2025-03-01T00:00:00Z"),
    *(click(at=f"2025-03-01T1{n}:00:00Z", url="/loans") for n in range(4)),
    click("login", at="2025-03-02T09:00:00Z"),
]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """25 customers over 50 days, nothing later than the allowed lateness, everything in order of event time."""
    folder = tmp_path_factory.mktemp("simulated")
    chosen = parameters.SimulationParameters(seed=3, customers=25, days=50, late_share=0, very_late_share=0)
    simulator.write(simulator.simulate(chosen), folder)
    for path in folder.glob("*.v1.jsonl"):
        lines = path.read_bytes().splitlines()
        path.write_bytes(b"".join(line + b"\n" for line in sorted(lines, key=_event_time)))
    return folder


def _event_time(line):
    return json.loads(line)["event_time"]


def _write(folder, **files):
    folder.mkdir(exist_ok=True)
    for family, events in files.items():
        (folder / f"{family}.v1.jsonl").write_bytes(b"".join(_line(each) for each in events))
    return folder


def _line(each):
    return (each if isinstance(each, bytes) else bytes_of(each)) + b"\n"


def _outputs(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_replaying_twice_gives_the_same_bytes(simulated, tmp_path):
    for name in ("first", "second"):
        Replay(BANK, OPTIONS).run(simulated, tmp_path / name)

    assert _outputs(tmp_path / "first") == _outputs(tmp_path / "second")
    assert (tmp_path / "first" / "labelled-examples.v1.jsonl").stat().st_size > 0


@pytest.mark.parametrize("seed", [1, 2])
def test_arrivals_shuffled_within_the_allowed_lateness_give_the_same_bytes(simulated, tmp_path, seed):
    Replay(BANK, OPTIONS).run(simulated, tmp_path / "plain")
    shuffled = ReplayOptions(latest_ms=LATEST_MS, shuffle_ms=BANK.allowed_lateness_ms, seed=seed)
    Replay(BANK, shuffled).run(simulated, tmp_path / "shuffled")

    assert _outputs(tmp_path / "plain") == _outputs(tmp_path / "shuffled")


def test_pinned_models_score_what_learning_ended_with_and_learn_no_more(simulated, tmp_path):
    learned = Replay(BANK, OPTIONS).run(simulated, tmp_path / "learned")
    snapshots = tmp_path / "learned" / f"{topics.MODEL_SNAPSHOTS}.jsonl"
    pinned = Replay(BANK, ReplayOptions(latest_ms=LATEST_MS, models=snapshots)).run(simulated, tmp_path / "pinned")

    assert (True, False, []) == (learned["learning"], pinned["learning"], pinned["models"])
    assert snapshots.read_bytes() == (tmp_path / "pinned" / snapshots.name).read_bytes()


def test_a_forged_snapshot_is_refused_before_anything_is_read(simulated, tmp_path):
    Replay(BANK, OPTIONS).run(simulated, tmp_path / "out")
    snapshots = tmp_path / "out" / f"{topics.MODEL_SNAPSHOTS}.jsonl"
    options = ReplayOptions(latest_ms=LATEST_MS, models=snapshots, model_key=b"another key")

    with pytest.raises(SnapshotRefused, match="signature"):
        Replay(BANK, options)


def test_a_compressed_file_is_read_like_a_plain_one(tmp_path):
    plain = _write(tmp_path / "plain", clickstream=LOOKS[1:], customers=LOOKS[:1])
    packed = tmp_path / "packed"
    packed.mkdir()
    for path in plain.iterdir():
        (packed / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))

    assert Replay(BANK, OPTIONS).run(plain, tmp_path / "a") == Replay(BANK, OPTIONS).run(packed, tmp_path / "b")
    assert _outputs(tmp_path / "a") == _outputs(tmp_path / "b")


def test_what_cannot_be_decoded_becomes_a_dead_letter_with_its_bytes_and_place(tmp_path):
    story = [LOOKS[1], b"", b"{not json", LOOKS[2]]
    report = Replay(BANK, OPTIONS).run(_write(tmp_path / "in", clickstream=story), tmp_path / "out")
    letters = [json.loads(line) for line in (tmp_path / "out" / "dead-letters.v1.jsonl").read_text().splitlines()]

    assert [(1, b""), (2, b"{not json")] == [
        (each["offset"], base64.b64decode(each["value_base64"])) for each in letters
    ]
    assert 4 == report["counts"]["records"]
    assert 2 == sum(count for name, count in report["counts"].items() if name.startswith("dead_letter."))


def test_the_report_counts_what_came_of_the_records(tmp_path):
    source = _write(tmp_path / "in", clickstream=LOOKS[1:], customers=LOOKS[:1])
    seen = []
    report = Replay(BANK, OPTIONS).run(source, tmp_path / "out", on_progress=seen.append)

    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    assert ("bank-1.0.0", 1, 6) == (report["pack"], report["customers"], report["counts"]["records"])
    assert 1 == report["counts"]["signal.repeated_loan_queries"]
    assert [6] == seen


def test_suppressed_candidates_are_counted_by_gate(tmp_path):
    report = Replay(BANK, OPTIONS).run(_write(tmp_path / "in", clickstream=LOOKS[1:]), tmp_path / "out")

    assert 1 == report["counts"]["suppressed.consent"]


def test_inputs_are_merged_by_event_time_whatever_their_files_hold(tmp_path):
    """The application of the second file comes between the looks of the first."""
    applied = transaction("application", at="2025-03-01T11:30:00Z", product="loan", amount="0")
    source = _write(tmp_path / "in", clickstream=LOOKS[1:], customers=LOOKS[:1], transactions=[applied])

    assert "signal.repeated_loan_queries" not in Replay(BANK, OPTIONS).run(source, tmp_path / "out")["counts"]


def test_a_folder_without_any_input_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds none of clickstream\.v1\.jsonl, transactions\.v1\.jsonl"):
        Replay(BANK, OPTIONS).run(tmp_path, tmp_path / "out")


def test_states_are_flushed_along_the_way(tmp_path, monkeypatch):
    source = _write(tmp_path / "in", clickstream=LOOKS[1:], customers=LOOKS[:1])
    expected = Replay(BANK, OPTIONS).run(source, tmp_path / "whole")
    monkeypatch.setattr("needstream.streams.replay.FLUSH_EVERY", 2)

    assert expected == Replay(BANK, OPTIONS).run(source, tmp_path / "parts")
    assert _outputs(tmp_path / "whole") == _outputs(tmp_path / "parts")
