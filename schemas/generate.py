"""JSON Schemas (2020-12) of every event, output and declaration, written from the types.

`python -m needstream.schemas.generate` writes `schemas/json/`; with `--check` it writes nothing, names the files that
differ from the types and exits with 1. What the types cannot say and a schema can is added here as rules; what neither
a type nor a schema says is in `codecs`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from needstream.schemas import dead_letters, events, identities, pack, signals

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VERSION = "1-0-0"

Rule = dict[str, Any]

_ONE_IDENTITY: Rule = {
    "anyOf": [
        {"required": [name], "properties": {name: {"type": "string"}}} for name in ("customer_id", "anonymous_id")
    ]
}
_POSITIVE_UNLESS_SIGNED: Rule = {
    "if": {"properties": {"event_type": {"enum": sorted(events.SIGNED_KINDS)}}},
    "else": {"properties": {"amount": {"pattern": "^[0-9]"}}},
}
_AMOUNT_HAS_CURRENCY: Rule = {
    "if": {"required": ["amount_at_issue"], "properties": {"amount_at_issue": {"type": "string"}}},
    "then": {"required": ["currency"], "properties": {"currency": {"type": "string"}}},
}


class Contract(Struct, frozen=True):
    """One schema file: the type it says in JSON, and the rules the type cannot say."""

    said: Any
    title: str
    rules: tuple[Rule, ...] = ()
    description: str = ""


CONTRACTS: dict[str, Contract] = {
    "clickstream": Contract(events.Click, "Clickstream event", (_ONE_IDENTITY,)),
    "transactions": Contract(events.Transaction, "Transaction", (_ONE_IDENTITY, _POSITIVE_UNLESS_SIGNED)),
    "feedback": Contract(events.Feedback, "Feedback event", (_ONE_IDENTITY, _AMOUNT_HAS_CURRENCY)),
    "customers": Contract(
        events.CustomerEvent,
        "Customer event",
        (_ONE_IDENTITY,),
        "What changes about a customer: profile, consent, preference, credit score, erasure, override"
        " (`customers.v1`).",
    ),
    "outcomes": Contract(events.Outcome, "Outcome of a signal", (_ONE_IDENTITY,)),
    "need-signal": Contract(signals.NeedSignal, "Need signal"),
    "alert": Contract(signals.Alert, "Alert"),
    "decision": Contract(signals.Decision, "Decision"),
    "model-decision": Contract(signals.ModelDecision, "Model decision"),
    "profile": Contract(signals.ProfileSummary, "Profile"),
    "labelled-example": Contract(signals.LabelledExample, "Labelled example"),
    "erasure-receipt": Contract(signals.ErasureReceipt, "Erasure receipt"),
    "identities": Contract(
        identities.IdentityMessage,
        "Identity message",
        description="What partitions tell each other about anonymous visitors (`identities.v1`, internal).",
    ),
    "model-snapshot": Contract(signals.ModelSnapshot, "Model snapshot"),
    "dead-letter": Contract(dead_letters.DeadLetterLine, "Dead letter"),
    "pack": Contract(pack.Pack, "Domain pack"),
}
"""Every schema file by name."""


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of one of ``CONTRACTS``."""
    contract = CONTRACTS[name]
    (said,), parts = msgspec.json.schema_components([contract.said], ref_template="#/$defs/{name}")
    return {
        "$schema": DIALECT,
        "$id": f"urn:needstream:schema:{name}:{VERSION}",
        "title": contract.title,
        "description": contract.description or _sentence(contract.said.__doc__),
        "allOf": [said, *contract.rules],
        "$defs": {part: _described(parts[part]) for part in sorted(parts)},
    }


def _described(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, "description": _sentence(part["description"])} if "description" in part else part


def _sentence(docstring: str) -> str:
    """A docstring as one line of plain text."""
    return " ".join(docstring.replace("``", "`").split())


def documents() -> dict[str, str]:
    """The text of every schema file by file name; equal types give equal text."""
    return {
        f"{name}.v1.json": json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n" for name in sorted(CONTRACTS)
    }


def main(arguments: Sequence[str], folder: Path) -> int:
    """Write the schema files, or with ``--check`` compare them.

    Returns:
        The exit code: 1 when ``--check`` found a difference.
    """
    parser = argparse.ArgumentParser(prog="python -m needstream.schemas.generate", description="Write JSON Schemas.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs from the types")
    is_check = parser.parse_args(arguments).check
    texts = documents()
    present = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    drifted = sorted(name for name in texts.keys() | present.keys() if texts.get(name) != present.get(name))
    if is_check:
        print("\n".join(f"differs from the types: {name}" for name in drifted) or "schemas agree with the types")
        return 1 if drifted else 0
    folder.mkdir(exist_ok=True)
    for name in drifted:
        if name in texts:
            (folder / name).write_text(texts[name], encoding="utf-8")
        else:
            (folder / name).unlink()
        print(f"{'wrote' if name in texts else 'removed'} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).parent / "json"))
