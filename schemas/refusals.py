"""What is wrong with a record the parser refused: its one-line message read as a reason and a field.

Slow path only. The parser names a place inside a map only as ``[...]``; the key is then looked up in the record.
"""

import re

import msgspec

from needstream.schemas import events
from needstream.schemas.dead_letters import Rejected, RejectReason
from needstream.schemas.outline import MAX_NAME

MAX_DETAIL = 200
"""Characters of a detail that are kept; a message may quote a value as long as the record."""

_WRONG_TYPE = re.compile(r"Expected `[^`]+`(, got `[^`]+`)?")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_AS_VALUE, _AS_KEY = "[...]", "key` in `"

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SCALAR = msgspec.json.Decoder(events.Scalar)


def of_encoding(raw: bytes) -> Rejected | None:
    """The refusal of text that is not UTF-8, None for UTF-8."""
    try:
        raw.decode()
    except UnicodeDecodeError as undecodable:
        return Rejected(RejectReason.NOT_UTF8, "", f"byte {undecodable.start}")
    return None


def of_syntax(message: str, raw: bytes) -> Rejected:
    """The refusal of what is no JSON."""
    if raw.isspace():
        return Rejected(RejectReason.EMPTY)
    return Rejected(RejectReason.NOT_JSON, "", message[:MAX_DETAIL])


def of_content(message: str, raw: bytes) -> Rejected:
    """The refusal of JSON that is no event; ``message`` is ``what - at `$.path```, the path missing for the whole."""
    # From the right: what is wrong may quote the record, and a record may say anything.
    what, at, where = message.rpartition(" - at `")
    if not at:
        what, where = where, ""
    in_key = where.startswith(_AS_KEY)
    field = where.removeprefix(_AS_KEY).removesuffix("`").removeprefix("$").removeprefix(".")
    detail = what[:MAX_DETAIL]
    if missing := _MISSING.fullmatch(what):
        return Rejected(RejectReason.MISSING_FIELD, missing[1], detail)
    if in_key or field.endswith(_AS_VALUE):
        field = _entry(raw, field.removesuffix(_AS_VALUE))
    is_wrong_type = _WRONG_TYPE.fullmatch(what) is not None
    if is_wrong_type and not field:
        return Rejected(RejectReason.NOT_AN_OBJECT, "", detail)
    if field == "event_type" and not is_wrong_type:
        return Rejected(RejectReason.UNKNOWN_EVENT_TYPE, field, detail)
    return Rejected(RejectReason.WRONG_TYPE if is_wrong_type else RejectReason.INVALID_VALUE, field, detail)


def _entry(raw: bytes, field: str) -> str:
    """``field.key`` of the first entry of a map that is no scalar, else of the longest key."""
    try:
        entries = _OBJECT.decode(_OBJECT.decode(raw)[field])
    except msgspec.DecodeError:
        # The parser stopped at the first fault; the rest of the record may not be JSON at all.
        return field
    faulty = next((key for key, value in entries.items() if not _is_scalar(value)), None)
    return f"{field}.{faulty if faulty is not None else max(entries, key=len)}"[: len(field) + 1 + MAX_NAME]


def _is_scalar(value: msgspec.Raw) -> bool:
    try:
        _SCALAR.decode(value)
    except msgspec.DecodeError:
        return False
    return True
