"""One arbitration for all candidates: gates in a fixed order, then the signal or the silence.

Every candidate ends as a decision, fired or suppressed with the gate that stopped it. The order is
suspected bot, suitability, consent, mute, distress, cooldown, frequency cap, holdout; candidates of
one moment are heard in order of priority, care first.
"""

import hashlib
from collections.abc import Callable, Iterable

from needstream.schemas.signals import Decision, Gate
from needstream.schemas.state import CustomerState
from needstream.schemas.times import rfc3339
from needstream.streams.pipeline import announcements
from needstream.streams.pipeline.candidates import Candidate
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.emissions import Emission

GateCheck = Callable[[CustomerState, Candidate, Definitions], str | None]
"""Why the candidate must not be said, or None to let it pass."""

REMEMBERED_SIGNALS = 8


def arbitrate(
    state: CustomerState, candidates: Iterable[Candidate], definitions: Definitions
) -> list[Emission]:
    """Decide the candidates of one moment; the state remembers what was said."""
    priority = definitions.pack.priority
    emissions: list[Emission] = []
    for candidate in sorted(candidates, key=lambda each: (-priority[each.source.treatment], each.key)):
        gate, detail = _first_closed(state, candidate, definitions)
        if gate == "none":
            announced = announcements.announce(state, candidate, definitions)
            _remember(state, candidate, definitions)
            emissions.append(announced)
            signal_id: str | None = announced.signal_id
        else:
            signal_id = None
        emissions.append(
            Decision(
                decision_id=announcements.identity("decision", state.customer_id, candidate, definitions),
                customer_id=state.customer_id,
                scenario=candidate.scenario,
                kind=candidate.source.kind,
                verdict="fired" if signal_id else "suppressed",
                gate=gate,
                detail=detail,
                score=candidate.score,
                signal_id=signal_id,
                definition_version=definitions.version,
                model_version=candidate.model_version,
                trigger_event_id=candidate.trigger_event_id,
                event_time=rfc3339(candidate.at_ms),
            )
        )
    return emissions


def in_holdout(customer_id: str, share: float) -> bool:
    """Whether a customer belongs to the sticky hold-out group; the same answer everywhere."""
    digest = hashlib.blake2b(customer_id.encode(), digest_size=8, person=b"holdout").digest()
    return int.from_bytes(digest, "big") < share * 2**64


def _first_closed(
    state: CustomerState, candidate: Candidate, definitions: Definitions
) -> tuple[Gate, str]:
    for gate, check in _GATES:
        detail = check(state, candidate, definitions)
        if detail is not None:
            return gate, detail
    return "none", ""


def _suspected_bot(state: CustomerState, candidate: Candidate, _: Definitions) -> str | None:
    if candidate.at_ms < state.suspect_until_ms:
        return f"faster than a person, quarantined until {rfc3339(state.suspect_until_ms)}"
    return None


def _suitability(
    state: CustomerState, candidate: Candidate, definitions: Definitions
) -> str | None:
    for need, unless in definitions.suitability:
        if need == candidate.need and unless.holds(state, candidate.at_ms):
            facts = unless.evidence(state, candidate.at_ms)
            return "; ".join(f"{fact.feature} is {fact.value:g}, {fact.compared}" for fact in facts)
    return None


def _consent(state: CustomerState, candidate: Candidate, definitions: Definitions) -> str | None:
    rule = definitions.pack.consent[candidate.source.treatment]
    stated = state.consents.get(rule.purpose)
    status = stated[0] if stated else rule.default
    return None if status == "GRANTED" else f"{rule.purpose} is {status}"


def _muted(state: CustomerState, candidate: Candidate, _: Definitions) -> str | None:
    if state.traits.mute and candidate.source.treatment == "sales":
        return "the customer asked for silence"
    return None


def _distress(state: CustomerState, candidate: Candidate, _: Definitions) -> str | None:
    if candidate.source.treatment == "sales" and candidate.at_ms < state.distress_until_ms:
        return f"no sales while in distress, until {rfc3339(state.distress_until_ms)}"
    return None


def _cooldown(state: CustomerState, candidate: Candidate, _: Definitions) -> str | None:
    arming = state.armings.get(candidate.key)
    if arming is None or not arming.fired:
        return None
    until_ms = arming.last_fired_ms + candidate.cooldown_ms
    return f"said already, silent until {rfc3339(until_ms)}" if candidate.at_ms < until_ms else None


def _frequency_cap(
    state: CustomerState, candidate: Candidate, definitions: Definitions
) -> str | None:
    treatment = candidate.source.treatment
    cap = definitions.caps.get(treatment)
    if cap is None:
        return None
    at_most, within_ms = cap
    recent = [at for at in state.spoken.get(treatment, ()) if candidate.at_ms - at < within_ms]
    return f"{len(recent)} {treatment} signals already" if len(recent) >= at_most else None


def _holdout(state: CustomerState, _: Candidate, definitions: Definitions) -> str | None:
    return "control group" if in_holdout(state.customer_id, definitions.pack.holdout_share) else None


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


def _remember(state: CustomerState, candidate: Candidate, definitions: Definitions) -> None:
    arming = state.armings[candidate.key]
    arming.fired += 1
    arming.last_fired_ms = candidate.at_ms
    treatment = candidate.source.treatment
    spoken = [*state.spoken.get(treatment, ()), candidate.at_ms]
    state.spoken[treatment] = spoken[-REMEMBERED_SIGNALS:]
    if candidate.scenario in definitions.pack.distress:
        state.distress_until_ms = candidate.at_ms + definitions.distress_lasts_ms
