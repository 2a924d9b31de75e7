"""Session windows: activity with gaps up to and including the inactivity gap.

A session opens with the first click, is extended by the next ones, and closes by its timer one millisecond after the
gap, so that an event exactly at the gap still extends it. Clicks that come late, older than what was already applied,
belong to a window that is settled and are left out of it.
"""

from needstream.schemas import events
from needstream.schemas.parts import Session
from needstream.schemas.state import CustomerState, Timer
from needstream.schemas.times import MINUTE_MS
from needstream.streams.pipeline import timers
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.emissions import SessionClosed


def extend(state: CustomerState, click: events.Click, *, at_ms: int, definitions: Definitions) -> None:
    """Open or extend the session with a click, and move its timer."""
    session = state.session
    if session is None:
        session = state.session = Session(started_ms=at_ms, last_ms=at_ms)
    session.last_ms = at_ms
    session.events += 1
    if click.event_type == "page_view":
        session.pages += 1
    if click.dwell_ms:
        session.dwell_ms += click.dwell_ms
    state.timers[timers.SESSION] = Timer(at_ms + definitions.session_gap_ms + 1, click.event_id)
    if session.events > definitions.longest_session and is_inhuman(session, definitions):
        state.suspect_until_ms = at_ms + definitions.quarantine_ms


def is_inhuman(session: Session, definitions: Definitions) -> bool:
    """Whether the session is longer and faster than a person can be."""
    if session.events <= definitions.longest_session:
        return False
    minutes = max(1.0, (session.last_ms - session.started_ms) / MINUTE_MS)
    return session.events / minutes > definitions.pack.bots.events_per_minute


def is_hasty(session: Session, definitions: Definitions) -> bool:
    """Whether the session's events follow each other faster, on average, than a person reads."""
    gaps = session.events - 1
    if session.events < definitions.pack.bots.hasty_events:
        return False
    return session.last_ms - session.started_ms < gaps * definitions.hasty_gap_ms


def close(state: CustomerState) -> SessionClosed | None:
    """Close the open session, if there is one."""
    session = state.session
    if session is None:
        return None
    state.session = None
    return SessionClosed(state.customer_id, session.started_ms, session.last_ms, session.events)
