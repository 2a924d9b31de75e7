"""Candidates to outputs: identity, wording and the fields consumers rely on."""

import hashlib
from typing import Literal

from msgspec import Struct, structs

from needstream.schemas.signals import Alert, Explanation, NeedSignal, Signal
from needstream.schemas.times import rfc3339
from needstream.streams.pipeline.candidates import Candidate
from needstream.streams.pipeline.definitions import CompiledModel, CompiledScenario
from needstream.streams.pipeline.occasions import Occasion


class Manner(Struct, frozen=True):
    """How something is to be said: what only scenarios declare, with its neutral value for models."""

    channel_hint: str
    tone: str
    requires_human: bool
    severity: Literal["info", "warning", "critical"]
    reasons: tuple[str, ...]


def announce(candidate: Candidate, occasion: Occasion) -> NeedSignal | Alert:
    """The output of a candidate that passed every gate.

    ``decided_at`` repeats the event time; a worker replaces it with its clock when it sends.
    """
    manner = _manner(candidate.source)
    told = structs.asdict(_signal(candidate, occasion, manner=manner))
    if candidate.source.declared.kind == "need":
        return NeedSignal(**told, need=candidate.need)
    return Alert(**told, alert=candidate.need, severity=manner.severity)


def identity(purpose: str, candidate: Candidate, *, occasion: Occasion) -> str:
    """The id of a decision: the same decision has the same id, however often it is delivered."""
    parts = (
        purpose,
        candidate.source.key,
        occasion.state.customer_id,
        candidate.trigger_event_id,
        str(candidate.at_ms),
        occasion.definitions.version,
    )
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _signal(candidate: Candidate, occasion: Occasion, *, manner: Manner) -> Signal:
    declared = candidate.source.declared
    return Signal(
        signal_id=identity("signal", candidate, occasion=occasion),
        customer_id=occasion.state.customer_id,
        kind=declared.kind,
        need_class=declared.need_class,
        scenario=candidate.scenario,
        score=candidate.score,
        horizon=candidate.horizon,
        confidence=candidate.confidence,
        priority=occasion.definitions.pack.priority[declared.treatment],
        tier=occasion.state.traits.tier,
        action=declared.action,
        channel_hint=_channel(manner, occasion),
        tone=manner.tone,
        requires_human=manner.requires_human,
        expires_at=rfc3339(candidate.at_ms + candidate.source.expires_ms),
        evidence=candidate.evidence,
        counter_evidence=candidate.counter_evidence,
        alternative_reading=candidate.alternative_reading,
        reasons=manner.reasons + candidate.reasons,
        explanation=_explanation(candidate, occasion),
        group="treatment",
        definition_version=occasion.definitions.version,
        model_version=candidate.model_version,
        trigger_event_id=candidate.trigger_event_id,
        event_time=rfc3339(candidate.at_ms),
        decided_at=rfc3339(candidate.at_ms),
    )


def _manner(source: CompiledScenario | CompiledModel) -> Manner:
    if isinstance(source, CompiledScenario):
        said = source.declared
        return Manner(said.channel_hint, said.tone, said.requires_human, said.severity, said.reasons)
    return Manner(
        "preferred", "neutral", requires_human=False, severity="warning", reasons=(f"score_{source.declared.name}",)
    )


def _channel(manner: Manner, occasion: Occasion) -> str:
    if manner.channel_hint != "preferred":
        return manner.channel_hint
    return occasion.state.traits.channel or "any"


def _explanation(candidate: Candidate, occasion: Occasion) -> Explanation:
    given = {"product": candidate.product or candidate.need, "score": f"{candidate.score or 0.0:.0%}"}
    said = candidate.source.wording.explain(occasion.state, candidate.at_ms, given=given)
    because = candidate.because
    return said if because is None else Explanation(en=f"{said.en} {because.en}", zh=f"{said.zh}{because.zh}")
