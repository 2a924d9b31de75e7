"""The JSON Schemas say what the types say, and what they accept is what we read."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from jsonschema import Draft202012Validator

import builders
import hostile
from needstream.schemas import codecs, dead_letters, generate, signals
from needstream.schemas.dead_letters import Rejected
from needstream.schemas.dead_letters import RejectReason as Why
from needstream.streams import outputs
from needstream.streams.packs import loader

FOLDER = Path(generate.__file__).parent / "json"
VALIDATORS = {name: Draft202012Validator(generate.schema(name)) for name in generate.CONTRACTS}


def test_the_committed_files_are_what_the_types_say() -> None:
    """Otherwise: python -m needstream.schemas.generate."""
    assert generate.documents() == {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}


def test_another_process_writes_the_same_bytes() -> None:
    """Hashes of text differ from process to process; no schema may depend on them."""
    program = "from needstream.schemas import generate; print(hash('x'), generate.documents())"
    said = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout.split(b" ", 1)
        for seed in ("1", "2")
    ]

    assert said[0][0] != said[1][0]
    assert said[0][1] == said[1][1]


@pytest.mark.parametrize("name", generate.CONTRACTS)
def test_a_schema_says_what_it_is(name: str) -> None:
    schema = generate.schema(name)
    Draft202012Validator.check_schema(schema)

    assert (generate.DIALECT, f"urn:needstream:schema:{name}:1-0-0") == (schema["$schema"], schema["$id"])
    assert schema["title"]
    assert schema["description"].endswith(".")


def test_every_input_family_has_a_schema() -> None:
    assert set(codecs.FAMILIES) <= set(generate.CONTRACTS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generate.main([], tmp_path / "json")
    return tmp_path / "json"


def test_writing_twice_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()

    assert (0, 0) == (generate.main([], folder), generate.main(["--check"], folder))
    assert "schemas agree with the types\n" == capsys.readouterr().out


def test_a_check_names_what_drifted_and_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "alert.v1.json").write_text("{}", encoding="utf-8")
    (folder / "outcomes.v1.json").unlink()
    (folder / "stale.v1.json").write_text("{}", encoding="utf-8")
    capsys.readouterr()
    code = generate.main(["--check"], folder)

    expected = [f"differs from the types: {name}.v1.json" for name in ("alert", "outcomes", "stale")]
    assert (1, expected) == (code, capsys.readouterr().out.splitlines())
    assert "{}" == (folder / "alert.v1.json").read_text(encoding="utf-8")


def test_writing_mends_what_drifted(folder: Path) -> None:
    (folder / "alert.v1.json").write_text("{}", encoding="utf-8")
    (folder / "stale.v1.json").write_text("{}", encoding="utf-8")
    generate.main([], folder)

    assert generate.documents() == {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def _said(family: str, **fields: Any) -> bytes:
    return json.dumps(hostile.EVENTS[family] | fields).encode()


EXAMPLES: list[tuple[str, bytes]] = [
    *hostile.GOOD.items(),
    *((record.family, record.raw) for record in hostile.RECORDS if record.key is None),
    ("clickstream", _said("clickstream", customer_id=None, anonymous_id="a1", url=None, properties={})),
    ("clickstream", _said("clickstream", properties={"a": None, "b": 0.5, "c": True}, unknown=[1])),
    ("clickstream", _said("clickstream", dwell_ms=1500.0)),
    ("transactions", _said("transactions", event_type="refund", amount="-1.00", balance_after="-5.00", mcc="5411")),
    ("transactions", _said("transactions", event_type="refund", amount="1.00", balance_after=None, mcc=None)),
    ("feedback", _said("feedback", amount_at_issue="5.00", currency="EUR", rating=5)),
    ("feedback", _said("feedback", amount_at_issue=None)),
    ("feedback", _said("feedback", amount_at_issue="5.00", currency=None)),
    ("customers", builders.bytes_of(builders.customer_event("profile", home_currency="EUR", birth_year=1980))),
    ("customers", builders.bytes_of(builders.customer_event("credit_score", score=640))),
    ("customers", builders.bytes_of(builders.customer_event("override", name="tier", value=1.5))),
    ("outcomes", _said("outcomes", event_type="outcome")),
]

STRICTER = {
    # A format is an annotation: whether it is asserted is the validator's choice.
    (Why.INVALID_VALUE, "event_time"),
    (Why.TIME_TOO_EARLY, "event_time"),
    (Why.TIME_TOO_LATE, "event_time"),
    # Printable, in any script.
    (Why.INVALID_VALUE, "event_id"),
    (Why.INVALID_VALUE, "customer_id"),
    (Why.INVALID_VALUE, "anonymous_id"),
    # More decimals than the currency has; and Python's `$` lets a final newline pass, ECMA's does not.
    (Why.INVALID_AMOUNT, "amount"),
    # 1500.0 is an integer to a schema; to us it is written as none.
    (Why.WRONG_TYPE, "dwell_ms"),
    # An integer beyond 64 bits is still a number to a schema.
    (Why.INVALID_VALUE, "properties.big"),
    # The size and nesting of a record are no part of its schema; of a repeated field a schema sees the last value only.
    (Why.TOO_LARGE, "unknown"),
    (Why.TOO_LARGE, ""),
    (Why.TOO_DEEP, "unknown"),
    (Why.TOO_DEEP, "b"),
    (Why.WRONG_TYPE, "event_id"),
}


def test_what_we_read_a_schema_accepts_and_we_are_stricter_only_as_listed() -> None:
    lenient, stricter, agreed = [], set(), 0
    for family, raw in EXAMPLES:
        try:
            record = orjson.loads(raw)
        except orjson.JSONDecodeError:
            continue
        is_valid = VALIDATORS[family].is_valid(record)
        decoded = codecs.decode(raw, family=family, latest_ms=hostile.LATEST_MS)
        is_read = not isinstance(decoded, Rejected)
        if is_read and not is_valid:
            lenient.append(raw)
        elif isinstance(decoded, Rejected) and is_valid:
            stricter.add((decoded.reason, decoded.field))
        else:
            agreed += 1

    assert ([], STRICTER) == (lenient, stricter)
    assert agreed > 100


TEXT = {"en": "They may need a loan.", "zh": "可能需要贷款。"}
SIGNAL = {
    **{"signal_id": "s1", "customer_id": "c1", "need_class": "potential", "scenario": "repeated_loan_queries"},
    **{"score": 0.4, "horizon": "14d", "confidence": 0.7, "priority": 40, "tier": "standard", "action": "call"},
    **{"channel_hint": "app", "tone": "warm", "requires_human": False, "expires_at": "2025-03-08T12:00:00.000Z"},
    **{"evidence": [{"feature": "idle_days", "value": 1.0}], "counter_evidence": [], "alternative_reading": ""},
    **{"reasons": ["LOAN_PAGES"], "explanation": TEXT, "group": "treatment", "definition_version": "bank-1.0.0"},
    **{"model_version": "loan-50", "trigger_event_id": "e1", "event_time": hostile.AT, "decided_at": hostile.AT},
}
OUTPUTS: dict[str, dict[str, Any]] = {
    "need-signal": {**SIGNAL, "kind": "need", "need": "loan"},
    "alert": {**SIGNAL, "kind": "churn", "alert": "inactivity", "score": None},
    "decision": {
        **{
            "decision_id": "d1",
            "customer_id": "c1",
            "scenario": "inactivity",
            "kind": "churn",
            "verdict": "suppressed",
        },
        **{"gate": "consent", "detail": "", "score": None, "signal_id": None},
        **{
            "definition_version": "bank-1.0.0",
            "model_version": "cold",
            "trigger_event_id": "e1",
            "event_time": hostile.AT,
        },
    },
    "profile": {
        **{"customer_id": "c1", "event_time": hostile.AT, "last_active_at": None, "sessions_30d": 1.5},
        **{"scores": {"loan": 0.25}, "open_scenarios": [], "consents": {"marketing": "GRANTED"}},
        "definition_version": "bank-1.0.0",
    },
    "labelled-example": {
        **{"example_id": "x1", "customer_id": "c1", "model": "loan", "features": [0.0, 1.5], "feature_set": "f00d"},
        **{"score": 0.5, "model_version": "loan-50", "label": True, "predicted_at": hostile.AT, "due_at": hostile.AT},
    },
    "model-snapshot": {
        "model": "loan",
        "version": 50,
        "feature_set": "f00d",
        "examples": 50,
        "body": "{}",
        "mac": "00",
    },
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_we_write_its_schema_accepts(name: str) -> None:
    written = msgspec.json.encode(msgspec.convert(OUTPUTS[name], generate.CONTRACTS[name].said))

    VALIDATORS[name].validate(orjson.loads(written))


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_without_one_of_its_fields_is_no_such_output(name: str) -> None:
    valid = [
        field
        for field in OUTPUTS[name]
        if VALIDATORS[name].is_valid({kept: value for kept, value in OUTPUTS[name].items() if kept != field})
    ]

    assert [] == valid


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("need-signal", "score", 1.5),
        ("need-signal", "kind", "whim"),
        ("need-signal", "explanation", {"en": "only one language"}),
        ("decision", "gate", "mood"),
        ("labelled-example", "label", 1),
        ("labelled-example", "score", -0.1),
        ("model-snapshot", "version", -1),
    ],
)
def test_an_output_with_a_wrong_value_is_refused_by_schema_and_type(name: str, field: str, *, value: Any) -> None:
    wrong = {**OUTPUTS[name], field: value}

    assert not VALIDATORS[name].is_valid(wrong)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, generate.CONTRACTS[name].said)


def test_a_dead_letter_line_is_what_its_schema_says() -> None:
    raw = b"\xff\x00"
    letter = dead_letters.DeadLetter(
        topic="clickstream.v1",
        partition=3,
        offset=41,
        reason=Why.NOT_UTF8,
        field="",
        detail="byte 0",
        remedy=dead_letters.REMEDIES[Why.NOT_UTF8],
        key=b"c1",
        value=raw,
    )
    line = outputs.dead_letter_line(letter)
    VALIDATORS["dead-letter"].validate(orjson.loads(line))
    read = msgspec.json.decode(line, type=dead_letters.DeadLetterLine)

    assert orjson.loads(line) == msgspec.to_builtins(read)
    assert raw == base64.b64decode(read.value_base64)


@pytest.mark.parametrize("name", loader.shipped())
def test_the_shipped_packs_speak_the_pack_language(name: str) -> None:
    VALIDATORS["pack"].validate(orjson.loads(msgspec.json.encode(loader.load(name).pack)))


def test_a_pack_with_an_unknown_word_does_not() -> None:
    declared = orjson.loads(msgspec.json.encode(loader.load("bank").pack))

    assert VALIDATORS["pack"].is_valid(declared)
    assert not VALIDATORS["pack"].is_valid(declared | {"colour": "red"})
    assert not VALIDATORS["pack"].is_valid(declared | {"name": "bank\n"})


def test_every_output_type_is_covered() -> None:
    kinds = {signals.NeedSignal, signals.Alert, signals.Decision, signals.ProfileSummary}

    assert kinds | {signals.LabelledExample, signals.ModelSnapshot} == {
        generate.CONTRACTS[name].said for name in OUTPUTS
    }
