"""The newest view of a customer, as it is published when a session has ended."""

from needstream.models import decay
from needstream.schemas.signals import ProfileSummary
from needstream.schemas.times import rfc3339
from needstream.streams.pipeline import consents, labels
from needstream.streams.pipeline.occasions import Occasion
from needstream.streams.pipeline.vocabulary import SESSION_CLOSED

_MONTH = 2
"""The place of the month-long half-life in a counter."""


def summarise(occasion: Occasion) -> list[ProfileSummary]:
    """The summary of a customer; none of a visitor who has not yet acted as a customer."""
    state, at_ms, definitions = occasion.state, occasion.at_ms, occasion.definitions
    if not state.active_ms:
        return []
    month_ms = definitions.half_lives_ms[_MONTH]
    sessions_30d = decay.read(state.counters.get(SESSION_CLOSED), _MONTH, at_ms=at_ms, half_life_ms=month_ms)
    return [
        ProfileSummary(
            customer_id=state.customer_id,
            event_time=rfc3339(at_ms),
            last_active_at=rfc3339(state.active_ms),
            sessions_30d=round(sessions_30d, 4),
            scores=_scores(occasion),
            open_scenarios=tuple(sorted([key for key, arming in state.armings.items() if not arming.armed])),
            consents={purpose: status for purpose, (status, _) in consents.decisions(state).items()},
            definition_version=definitions.version,
        )
    ]


def _scores(occasion: Occasion) -> dict[str, float]:
    if not occasion.scorer.any_warm():
        return {}
    seen = labels.outlook(occasion)
    said = seen.said.probabilities()
    return {
        model.name: said[model.name]
        for model in occasion.definitions.models
        if model.name in said and model.concerns(seen.values)
    }
