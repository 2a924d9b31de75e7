"""Planted online behaviour: loan queries, rate shopping, abandoned applications, and what only looks like them."""

from collections.abc import Callable
from typing import TypeAlias

from needstream.simulation import catalogue, chance, timeline, truth, web
from needstream.simulation.life import Life, Stretch

Finish: TypeAlias = Callable[[Life, list[int]], None]
"""What follows the last planted session; receives the times of all planted loan views in order."""

_DAY = timeline.DAY_MS
_HOUR = timeline.HOUR_MS
_ABANDONABLE = ("loan", "card", "insurance", "wealth")
_LAST_STEP = 3
_QUIET_DAYS = 14
"""No accidental loan pages this long before and after planted ones."""


def repeated_loan_queries(life: Life) -> None:
    """Plant five to eight looks at loans within a few days; some apply afterwards."""
    rng = life.rng
    life.may_complain = False
    days = _days(life, sessions=rng.choice((2, 2, 3)), latest=life.chosen.days - 9)
    visits = [_loan_visits(life, rng.randint(1, 2)) for _ in days]
    while sum(map(len, visits)) < rng.randint(5, 8):
        rng.choice(visits).append(web.product_visit(rng, "loan", search_share=0.25))
    applies = chance.happens(rng, 0.35)

    def finish(life: Life, views: list[int]) -> None:
        _plant_repeated(life, views)
        if applies:
            _apply_later(life, views[-1], soonest_days=4, latest_days=11)

    _sessions(life, days, visits=visits, finish=finish)


def two_loan_views(life: Life) -> None:
    """Plant just two looks at loans: interest, but no repeated query."""
    rng = life.rng
    days = _days(life, sessions=rng.choice((1, 2)), latest=life.chosen.days - 9)
    visits = [_loan_visits(life, 2 // len(days)) for _ in days]

    def finish(life: Life, views: list[int]) -> None:
        life.plant(
            truth.Claim("repeated_loan_queries", "need", need="loan", expected=False, note="only two loan views"),
            starts_at_ms=views[0],
            window_ms=(views[0], views[-1] + 7 * _DAY),
        )

    _sessions(life, days, visits=visits, finish=finish)


def loan_rate_shopping(life: Life) -> None:
    """Plant comparing rates over some days and then nothing: no application, no further look."""
    life.may_complain = False

    def finish(life: Life, views: list[int]) -> None:
        _plant_repeated(life, views, note="part of rate shopping")
        life.plant(
            truth.Claim("loan_rate_shopping", "need", need="loan", note="compares rates, does not apply"),
            starts_at_ms=views[0],
            window_ms=(views[-1] + 4 * _DAY + 12 * _HOUR, views[-1] + 8 * _DAY),
        )

    _shop_for_rates(life, finish)


def rate_shopping_then_application(life: Life) -> None:
    """Plant comparing rates that ends in an application one to three days later."""
    life.may_complain = False

    def finish(life: Life, views: list[int]) -> None:
        _plant_repeated(life, views, note="compares rates, then applies")
        life.plant(
            truth.Claim("loan_rate_shopping", "need", need="loan", expected=False, note="applied within three days"),
            starts_at_ms=views[0],
            window_ms=(views[-1] + 4 * _DAY + 12 * _HOUR, views[-1] + 8 * _DAY),
        )
        _apply_later(life, views[-1], soonest_days=1, latest_days=3)

    _shop_for_rates(life, finish)


def application_abandoned(life: Life) -> None:
    """Plant an application left in the middle; some come back a few hours later and leave again."""
    life.may_complain = False
    product, day = _begin_application(life)

    def begin(life: Life, at_ms: int) -> None:
        steps = life.rng.randint(1, _LAST_STEP)
        left_ms = _fill_in(life, at_ms, product=product, steps=range(1, steps + 1))
        if steps < _LAST_STEP and chance.happens(life.rng, 0.3):
            life.schedule(
                left_ms + life.rng.randint(2, 20) * _HOUR, lambda life, at_ms: come_back(life, at_ms, steps=steps)
            )
        else:
            abandon(life, left_ms)

    def come_back(life: Life, at_ms: int, *, steps: int) -> None:
        abandon(life, _fill_in(life, at_ms, product=product, steps=range(steps, steps + 2)))

    def abandon(life: Life, left_ms: int) -> None:
        life.plant(
            truth.Claim(
                "application_abandoned",
                "need",
                need=product,
                product=product,
                note="left the form and did not come back",
            ),
            starts_at_ms=left_ms,
            window_ms=(left_ms + 23 * _HOUR, left_ms + 3 * _DAY),
        )

    life.schedule(life.waking(day), begin)


def application_after_pause(life: Life) -> None:
    """Plant an application that is finished after a pause of some hours."""
    product, day = _begin_application(life)

    def begin(life: Life, at_ms: int) -> None:
        left_ms = _fill_in(life, at_ms, product=product, steps=range(1, life.rng.randint(2, 3)))
        life.schedule(left_ms + life.rng.randint(2, 19) * _HOUR, end)
        life.plant(
            truth.Claim(
                "application_abandoned",
                "need",
                need=product,
                product=product,
                expected=False,
                note="submitted after a pause",
            ),
            starts_at_ms=left_ms,
            window_ms=(left_ms + 20 * _HOUR, left_ms + 4 * _DAY),
        )

    def end(life: Life, at_ms: int) -> None:
        steps: list[web.Visit] = [web.Form(product, "2"), web.Form(product, "3"), web.Form(product, web.SUBMITTED)]
        submitted_ms = web.session(life, at_ms, visits=steps)[-1]
        life.journal.application(submitted_ms + 3_000, product, channel="web", status="submitted")

    life.schedule(life.waking(day), begin)


def _days(life: Life, *, sessions: int, latest: int) -> list[int]:
    """Choose the days of planted sessions and keep accidental loan pages away from them."""
    rng = life.rng
    days = [rng.randint(6, max(6, latest - 2 * sessions))]
    for _ in range(sessions - 1):
        days.append(days[-1] + rng.randint(1, 2))
    life.no_loan_pages.append(Stretch(days[0] - _QUIET_DAYS, days[-1] + _QUIET_DAYS))
    return days


def _loan_visits(life: Life, count: int) -> list[web.Visit]:
    return [web.product_visit(life.rng, "loan", search_share=0.25) for _ in range(count)]


def _sessions(life: Life, days: list[int], *, visits: list[list[web.Visit]], finish: Finish) -> None:
    """Schedule one session per day; after the last, call ``finish`` with the times of all loan views."""
    views: list[int] = []

    def go(number: int) -> None:
        def action(life: Life, at_ms: int) -> None:
            around = [web.general_visit(life.rng) for _ in range(life.rng.randint(0, 2))]
            shown = around + visits[number]
            times = web.session(life, at_ms, visits=shown, anonymous=web.anonymous_visits(life))
            views.extend(time for time, visit in zip(times, shown, strict=True) if web.is_loan(visit))
            if number == len(days) - 1:
                finish(life, views)

        life.schedule(life.waking(days[number]), action)

    for number in range(len(days)):
        go(number)


def _shop_for_rates(life: Life, finish: Finish) -> None:
    rng = life.rng
    days = _days(life, sessions=rng.choice((2, 3, 3)), latest=life.chosen.days - 10)
    visits = [_loan_visits(life, rng.choice((0, 0, 1))) for _ in days]
    for number in range(rng.randint(5, 8)):
        visits[number % len(visits)].append(web.Page(rng.choice(catalogue.RATE_PAGES)))
    _sessions(life, days, visits=visits, finish=finish)


def _plant_repeated(life: Life, views: list[int], *, note: str = "looks at loans again and again") -> None:
    life.plant(
        truth.Claim("repeated_loan_queries", "need", need="loan", note=note),
        starts_at_ms=views[0],
        window_ms=(views[2], views[-1] + 2 * _DAY),
    )


def _apply_later(life: Life, since_ms: int, *, soonest_days: int, latest_days: int) -> None:
    amount_minor = life.customer.minor(life.rng.randint(10, 90) * 250)

    def apply(life: Life, at_ms: int) -> None:
        web.apply_for(life, at_ms, product="loan", amount_minor=amount_minor)

    day = (since_ms - life.chosen.start_ms) // _DAY + life.rng.randint(soonest_days, latest_days)
    life.schedule(life.waking(day), apply)


def _begin_application(life: Life) -> tuple[str, int]:
    """Choose product and day of a planted application; a wealth product needs a customer who may take risk."""
    rng = life.rng
    product = rng.choice(_ABANDONABLE)
    if product == "wealth":
        life.customer.risk_level = rng.randint(3, 5)
    day = rng.randint(3, life.chosen.days - 6)
    life.no_loan_pages.append(Stretch(day - _QUIET_DAYS, day + _QUIET_DAYS))
    return product, day


def _fill_in(life: Life, at_ms: int, *, product: str, steps: range) -> int:
    """Write a session with some form steps and return the time of the last one."""
    visits: list[web.Visit] = [web.Page(catalogue.PRODUCT_PAGES[product][0])]
    visits += [web.Form(product, str(step)) for step in steps]
    return web.session(life, at_ms, visits=visits)[-1]
