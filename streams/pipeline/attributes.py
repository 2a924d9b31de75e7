"""What the customer and the bank state about a person: consent, preference, profile."""

from needstream.schemas import events
from needstream.schemas.state import CustomerState
from needstream.streams.pipeline import consents

_TRAITS = ("age_band", "tier", "risk_level", "language", "home_currency")


def apply(state: CustomerState, event: events.AnyEvent, *, at_ms: int) -> None:
    """Take a customers event into the state.

    Of two consents the one with the later event time holds. Profiles and preferences come from one
    ordered topic, so of those the one that arrives last holds, even when it is late against the other topics.
    """
    if type(event) is events.Consent:
        consents.take(state, event.purpose, status=event.status, at_ms=at_ms)
    elif type(event) is events.Preference:
        if event.channel is not None:
            state.traits.channel = event.channel
        if event.mute is not None:
            state.traits.mute = event.mute
    elif type(event) is events.Profile:
        for name in _TRAITS:
            stated = getattr(event, name)
            if stated is not None:
                setattr(state.traits, name, stated)
