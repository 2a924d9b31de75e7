"""Candidates to outputs: identity, wording and the fields consumers rely on."""

import hashlib
import re

from needstream.models import features
from needstream.schemas import pack as packs
from needstream.schemas.signals import Alert, Explanation, NeedSignal
from needstream.schemas.state import CustomerState
from needstream.schemas.times import rfc3339
from needstream.streams.pipeline.candidates import Candidate
from needstream.streams.pipeline.definitions import Definitions

_PLACEHOLDER = re.compile(r"\{([a-z0-9_.]+)\}")
_ROUND_FROM = 10


def announce(
    state: CustomerState, candidate: Candidate, definitions: Definitions
) -> NeedSignal | Alert:
    """The output of a candidate that passed every gate.

    ``decided_at`` repeats the event time; a worker replaces it with its clock when it sends.
    """
    source = candidate.source
    is_scenario = isinstance(source, packs.Scenario)
    shared = {
        "signal_id": identity("signal", state.customer_id, candidate, definitions),
        "customer_id": state.customer_id,
        "kind": source.kind,
        "need_class": source.need_class,
        "scenario": candidate.scenario,
        "score": candidate.score,
        "horizon": candidate.horizon,
        "confidence": candidate.confidence,
        "priority": definitions.pack.priority[source.treatment],
        "tier": state.traits.tier,
        "action": source.action,
        "channel_hint": _channel(state, source),
        "tone": source.tone if is_scenario else "neutral",
        "requires_human": source.requires_human if is_scenario else False,
        "expires_at": rfc3339(candidate.at_ms + candidate.expires_ms),
        "evidence": candidate.evidence,
        "counter_evidence": candidate.counter_evidence,
        "alternative_reading": candidate.alternative_reading,
        "reasons": source.reasons if is_scenario else (f"score_{candidate.need}",),
        "explanation": Explanation(
            en=_worded(source.text.en, state, candidate, definitions=definitions),
            zh=_worded(source.text.zh, state, candidate, definitions=definitions),
        ),
        "group": "treatment",
        "definition_version": definitions.version,
        "model_version": candidate.model_version,
        "trigger_event_id": candidate.trigger_event_id,
        "event_time": rfc3339(candidate.at_ms),
        "decided_at": rfc3339(candidate.at_ms),
    }
    if source.kind == "need":
        return NeedSignal(**shared, need=candidate.need)
    severity = source.severity if is_scenario else "warning"
    return Alert(**shared, alert=candidate.need, severity=severity)


def identity(
    purpose: str, customer_id: str, candidate: Candidate, definitions: Definitions
) -> str:
    """The id of a decision: the same decision has the same id, however often it is delivered."""
    parts = (
        purpose,
        candidate.key,
        customer_id,
        candidate.trigger_event_id,
        str(candidate.at_ms),
        definitions.version,
    )
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _channel(state: CustomerState, source: packs.Scenario | packs.Model) -> str:
    if isinstance(source, packs.Scenario) and source.channel_hint != "preferred":
        return source.channel_hint
    return state.traits.channel or "any"


def _worded(
    text: str, state: CustomerState, candidate: Candidate, *, definitions: Definitions
) -> str:
    def shown(match: re.Match[str]) -> str:
        name = match.group(1)
        if name == "score":
            return f"{(candidate.score or 0.0):.0%}"
        if name == "product":
            return candidate.product or candidate.need
        reading = features.compile_feature(name, definitions.half_lives_ms)
        value = reading(state, candidate.at_ms)
        return f"{value:,.0f}" if abs(value) >= _ROUND_FROM else f"{value:.1f}".removesuffix(".0")

    return _PLACEHOLDER.sub(shown, text)
