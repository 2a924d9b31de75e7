"""One arbitration for all candidates: gates in a fixed order, then the signal or the silence.

Every candidate ends as a decision, fired or suppressed with the gate that stopped it. The order is suspected bot,
suitability, consent, mute, distress, cooldown, frequency cap, hold-out; candidates of one moment are heard in order of
priority, care first. The hold-out is last and counts as having spoken, so that the control group is selected, cooled
down and capped exactly as the treated one.
"""

import hashlib
from collections.abc import Callable, Sequence

from needstream.schemas.signals import Decision, Gate
from needstream.schemas.times import rfc3339
from needstream.streams.pipeline import announcements, consents, sessions
from needstream.streams.pipeline.candidates import Candidate
from needstream.streams.pipeline.emissions import Emission
from needstream.streams.pipeline.occasions import Occasion

GateCheck = Callable[[Candidate, Occasion], str | None]
"""Why the candidate must not be said, or None to let it pass."""

REMEMBERED_SIGNALS = 8


def arbitrate(candidates: Sequence[Candidate], occasion: Occasion) -> list[Emission]:
    """Decide the candidates of one moment; the state remembers what was said."""
    if not candidates:
        return []
    priority = occasion.definitions.pack.priority
    emissions: list[Emission] = []
    for candidate in sorted(candidates, key=lambda each: (-priority[each.source.declared.treatment], each.source.key)):
        gate, detail = _first_closed(candidate, occasion)
        signal_id: str | None = None
        if gate == "none":
            announced = announcements.announce(candidate, occasion)
            signal_id = announced.signal_id
            emissions.append(announced)
        if gate in ("none", "holdout"):
            _remember(candidate, occasion)
        emissions.append(
            Decision(
                decision_id=announcements.identity("decision", candidate, occasion=occasion),
                customer_id=occasion.state.customer_id,
                scenario=candidate.scenario,
                kind=candidate.source.declared.kind,
                verdict="fired" if signal_id else "suppressed",
                gate=gate,
                detail=detail or candidate.note,
                score=candidate.score,
                signal_id=signal_id,
                definition_version=occasion.definitions.version,
                model_version=candidate.model_version,
                trigger_event_id=candidate.trigger_event_id,
                event_time=rfc3339(candidate.at_ms),
            )
        )
    return emissions


def in_holdout(customer_id: str, share: float) -> bool:
    """Whether a customer belongs to the sticky hold-out group of ``share`` (0 to 1); the same answer everywhere."""
    digest = hashlib.blake2b(customer_id.encode(), digest_size=8, person=b"holdout").digest()
    return int.from_bytes(digest, "big") < share * 2**64


def _first_closed(candidate: Candidate, occasion: Occasion) -> tuple[Gate, str]:
    for gate, check in _GATES:
        detail = check(candidate, occasion)
        if detail is not None:
            return gate, detail
    return "none", ""


def _suspected_bot(candidate: Candidate, occasion: Occasion) -> str | None:
    state = occasion.state
    if candidate.at_ms < state.suspect_until_ms:
        return f"faster than a person, quarantined until {rfc3339(state.suspect_until_ms)}"
    if state.session is not None and sessions.is_hasty(state.session, occasion.definitions):
        return f"{state.session.events} events faster than a person"
    return None


def _suitability(candidate: Candidate, occasion: Occasion) -> str | None:
    for need, unless in occasion.definitions.suitability:
        if need == candidate.need and unless.holds(occasion.state, candidate.at_ms):
            facts = unless.evidence(occasion.state, candidate.at_ms)
            return "; ".join(f"{fact.feature} is {fact.value:g}, {fact.compared}" for fact in facts)
    return None


def _consent(candidate: Candidate, occasion: Occasion) -> str | None:
    rule = occasion.definitions.pack.consent[candidate.source.declared.treatment]
    status = consents.status(occasion.state, rule.purpose) or rule.default
    return None if status == "GRANTED" else f"{rule.purpose} is {status}"


def _muted(candidate: Candidate, occasion: Occasion) -> str | None:
    if occasion.state.traits.mute and _is_sale(candidate):
        return "the customer asked for silence"
    return None


def _distress(candidate: Candidate, occasion: Occasion) -> str | None:
    until_ms = occasion.state.distress_until_ms
    if _is_sale(candidate) and candidate.at_ms < until_ms:
        return f"no sales while in distress, until {rfc3339(until_ms)}"
    return None


def _cooldown(candidate: Candidate, occasion: Occasion) -> str | None:
    arming = occasion.state.armings.get(candidate.source.key)
    if arming is None or not arming.fired:
        return None
    until_ms = arming.last_fired_ms + candidate.source.cooldown_ms
    return f"said already, silent until {rfc3339(until_ms)}" if candidate.at_ms < until_ms else None


def _frequency_cap(candidate: Candidate, occasion: Occasion) -> str | None:
    treatment = candidate.source.declared.treatment
    cap = occasion.definitions.caps.get(treatment)
    if cap is None:
        return None
    at_most, within_ms = cap
    recent = [at_ms for at_ms in occasion.state.spoken.get(treatment, ()) if candidate.at_ms - at_ms < within_ms]
    return f"{len(recent)} {treatment} signals already" if len(recent) >= at_most else None


def _holdout(_: Candidate, occasion: Occasion) -> str | None:
    share = occasion.definitions.pack.holdout_share
    return "control group" if in_holdout(occasion.state.customer_id, share) else None


_GATES: tuple[tuple[Gate, GateCheck], ...] = (
    ("suspected_bot", _suspected_bot),
    ("suitability", _suitability),
    ("consent", _consent),
    ("muted", _muted),
    ("distress", _distress),
    ("cooldown", _cooldown),
    ("frequency_cap", _frequency_cap),
    ("holdout", _holdout),
)


def _is_sale(candidate: Candidate) -> bool:
    return candidate.source.declared.treatment == "sales"


def _remember(candidate: Candidate, occasion: Occasion) -> None:
    state = occasion.state
    arming = state.armings[candidate.source.key]
    arming.fired += 1
    arming.last_fired_ms = candidate.at_ms
    treatment = candidate.source.declared.treatment
    state.spoken[treatment] = [*state.spoken.get(treatment, ()), candidate.at_ms][-REMEMBERED_SIGNALS:]
