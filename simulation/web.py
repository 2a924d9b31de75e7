"""Web and app sessions: login, pages with dwell times, searches, form steps, logout; for some, pages before login."""

import dataclasses
import random
from typing import TypeAlias

from needstream.simulation import catalogue, chance
from needstream.simulation.life import Life

SUBMITTED = "submitted"


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """A page to look at."""

    url: str


@dataclasses.dataclass(frozen=True, slots=True)
class Search:
    """Words to search for."""

    query: str


@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """A step of an application form."""

    product: str
    step: str


@dataclasses.dataclass(frozen=True, slots=True)
class Press:
    """A feature used or an element clicked."""

    event_type: str
    element: str


Visit: TypeAlias = Page | Search | Form | Press


def product_visit(rng: random.Random, product: str, *, search_share: float = 0.15) -> Visit:
    """Return a page or, with this chance, a search of the product; never one of the loan rate pages."""
    queries = catalogue.PRODUCT_QUERIES.get(product)
    if queries and chance.happens(rng, search_share):
        return Search(rng.choice(queries))
    return Page(rng.choice(catalogue.PRODUCT_PAGES[product]))


def general_visit(rng: random.Random) -> Visit:
    """Return something every customer does now and then."""
    kind = rng.choices(("page", "feature", "search", "click"), (16, 2, 1, 1))[0]
    if kind == "page":
        return Page(rng.choice(catalogue.GENERAL_PAGES))
    if kind == "feature":
        return Press("feature_use", rng.choice(catalogue.FEATURES))
    if kind == "search":
        return Search(rng.choice(catalogue.GENERAL_QUERIES))
    return Press("click", rng.choice(catalogue.CLICKS))


def is_loan(visit: Visit) -> bool:
    """Return whether the bank pack counts the visit as a look at loans."""
    if isinstance(visit, Page):
        return visit.url.startswith("/loans")
    return isinstance(visit, Search) and visit.query in catalogue.PRODUCT_QUERIES["loan"]


def session(life: Life, at_ms: int, *, visits: list[Visit], anonymous: list[Visit] | None = None) -> list[int]:
    """Write one session that starts at ``at_ms``; visits follow each other by their dwell times.

    Args:
        life: whose session it is.
        at_ms: the login, or the first page before it.
        visits: what is done after the login, in order.
        anonymous: what is looked at before the login; the ids are joined by an `identify` event.

    Returns:
        The event time of each visit after the login.
    """
    rng, writer = life.rng, life.journal
    session_id = writer.next_session_id()
    device = life.customer.device
    channel = "app" if device in ("ios", "android") else "web"
    base: dict[str, object] = {"session_id": session_id, "channel": channel, "device": device}
    if anonymous:
        anonymous_id = f"a{session_id[1:]}"
        for visit in anonymous:
            at_ms += _write(life, at_ms, visit=visit, base=base, anonymous_id=anonymous_id)
        writer.click(at_ms, "login", fields=base)
        at_ms += rng.randint(200, 900)
        writer.click(at_ms, "identify", fields=base, anonymous_id=anonymous_id)
    else:
        writer.click(at_ms, "login", fields=base)
    at_ms += rng.randint(1_500, 9_000)
    times = []
    for visit in visits:
        times.append(at_ms)
        at_ms += _write(life, at_ms, visit=visit, base=base)
    if chance.happens(rng, 0.35):
        writer.click(at_ms, "logout", fields=base)
    return times


def _write(life: Life, at_ms: int, *, visit: Visit, base: dict[str, object], anonymous_id: str | None = None) -> int:
    """Write one visit and return how long it lasts in milliseconds."""
    rng, writer = life.rng, life.journal
    lasts_ms = min(240_000, int(rng.lognormvariate(10.1, 0.7))) + 1_200
    if isinstance(visit, Page):
        fields: dict[str, object] = {"url": visit.url, "dwell_ms": lasts_ms - rng.randint(200, 1_000), **base}
        writer.click(at_ms, "page_view", fields=fields, anonymous_id=anonymous_id)
    elif isinstance(visit, Search):
        writer.click(at_ms, "search", fields={"query": visit.query, **base}, anonymous_id=anonymous_id)
    elif isinstance(visit, Form):
        lasts_ms += 20_000
        form = {"form": f"{visit.product}_application", "product": visit.product, "step": visit.step}
        writer.click(at_ms, "form_step", fields={**form, **base}, anonymous_id=anonymous_id)
    else:
        fields = {"page": "/home", "properties": {"element": visit.element}, **base}
        writer.click(at_ms, visit.event_type, fields=fields, anonymous_id=anonymous_id)
    if is_loan(visit):
        writer.loan_views.add(at_ms)
        if isinstance(visit, Page) and visit.url in catalogue.RATE_PAGES:
            writer.rate_views.add(at_ms)
    return lasts_ms


def apply_for(life: Life, at_ms: int, *, product: str, amount_minor: int = 0, before: list[Visit] | None = None) -> int:
    """Write a whole application, first step to submission and the resulting transaction; return its time."""
    steps: list[Visit] = [*(before or []), *(Form(product, step) for step in ("1", "2", "3", SUBMITTED))]
    submitted_ms = session(life, at_ms, visits=steps)[-1]
    applied_ms = submitted_ms + life.rng.randint(1_000, 20_000)
    life.journal.application(applied_ms, product, amount_minor=amount_minor, channel="web", status="submitted")
    return applied_ms


def anonymous_visits(life: Life) -> list[Visit]:
    """Return what the customer looks at before logging in: nothing for most."""
    rng = life.rng
    if not chance.happens(rng, life.customer.anonymous_share):
        return []
    return [Page(rng.choice(("/home", "/branches", "/help"))) for _ in range(rng.randint(1, 3))]
