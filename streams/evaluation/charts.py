"""Pictures as inline SVG: lines over event time, a reliability diagram, bars.

In go plain numbers, out comes the text of one ``<svg>``. Colours are classes, so that the page chooses them for light
and dark; every series also has a shape and a dash of its own, for eyes and printers that tell no colours apart.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from math import floor, log10, sqrt

from msgspec import Struct

from needstream.schemas.times import DAY_MS
from needstream.streams.evaluation.maturity import Age
from needstream.streams.evaluation.measures import Bin

DASH = "\N{EN DASH}"
"""What stands where there is no figure."""
_WIDTH, _HEIGHT = 620, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 150, 34, 34
_TICKS = 5
_DATES = 6
_LABEL_GAP = 14
_MARK_GAP = 17
_PLACES = 10
_SAME = 1e-9
"""Values that lie closer than this, relative to their size, are one: no tick fits between them."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Series(Struct, frozen=True, kw_only=True):
    """One line; ``style`` 0 is drawn boldest, points are (milliseconds, value)."""

    name: str
    style: int
    points: Sequence[tuple[int, float]]


class Marker(Struct, frozen=True):
    """Something that happened at a time, drawn as a numbered line."""

    at_ms: int
    number: int
    kind: str


def lines(title: str, series: Sequence[Series], *, markers: Sequence[Marker] = ()) -> str:
    """Lines over event time with their names at the right end; empty text when there is no point."""
    series = [each for each in series if each.points]
    if not series:
        return ""
    values = [value for each in series for _, value in each.points]
    times = [at_ms for each in series for at_ms, _ in each.points] + [marker.at_ms for marker in markers]
    rows = ticks(min(values), max(values))
    first_ms, last_ms = min(times), max(times)
    across, down = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def x(at_ms: float) -> float:
        return _LEFT + (across * (at_ms - first_ms) / (last_ms - first_ms) if last_ms > first_ms else across / 2)

    def y(value: float) -> float:
        return _TOP + down * (rows[-1] - value) / (rows[-1] - rows[0])

    drawn = [_text(0, 14, told=title, style="title")]
    for value in rows:
        drawn.append(f'<path class="grid" d="M{_LEFT} {y(value):.1f}H{_WIDTH - _RIGHT}"/>')
        drawn.append(_text(_LEFT - 6, y(value) + 4, told=_tick(value, rows), style="end"))
    for at_ms, date in _dates(first_ms, last_ms):
        drawn.append(f'<path class="grid" d="M{x(at_ms):.1f} {_HEIGHT - _BOTTOM}v4"/>')
        drawn.append(_text(x(at_ms), _HEIGHT - _BOTTOM + 18, told=date, style="middle"))
    drawn += _marked(markers, x=[x(marker.at_ms) for marker in markers])
    for each in reversed(series):
        drawn += _line(each, [(x(at_ms), y(value)) for at_ms, value in each.points])
    drawn += _names(series, ends=[(x(each.points[-1][0]), y(each.points[-1][1])) for each in series])
    last = "; ".join(f"{each.name} {each.points[-1][1]:.3f}" for each in series)
    return _svg(drawn, title, told=f"Newest window: {last}", size=(_WIDTH, _HEIGHT))


def reliability(bins: Sequence[Bin]) -> str:
    """What was said against what came, with 95 % intervals (Wilson); empty text without bins."""
    if not bins:
        return ""
    side, left, top, room = 300, 52, 34, 214
    intervals = [_wilson(each) for each in bins]
    rows = ticks(0.0, min(1.0, max([each.said for each in bins] + [high for _, high in intervals])))
    limit = rows[-1]

    def x(share: float) -> float:
        return left + room * min(share, limit) / limit

    def y(share: float) -> float:
        return top + room * (1 - min(share, limit) / limit)

    drawn = [_text(0, 14, told="Calibration: share that came, by score", style="title")]
    for place, value in enumerate(rows):
        drawn.append(f'<path class="grid" d="M{left} {y(value):.1f}h{room}"/>')
        drawn.append(_text(left - 6, y(value) + 4, told=_tick(value, rows), style="end"))
        if place % 2 == 0:
            drawn.append(_text(x(value), top + room + 18, told=_tick(value, rows), style="middle"))
    drawn.append(f'<path class="diagonal" d="M{left} {top + room}L{left + room} {top}"/>')
    for each, (low, high) in zip(bins, intervals, strict=True):
        drawn.append(f'<path class="interval" d="M{x(each.said):.1f} {y(low):.1f}V{y(high):.1f}"/>')
        drawn.append(f'<circle class="dot" cx="{x(each.said):.1f}" cy="{y(each.came):.1f}" r="3.5"/>')
    drawn.append(_text(left + room / 2, top + room + 36, told="score", style="middle"))
    told = "; ".join(f"said {each.said:.3f}, came {each.came:.3f}" for each in bins)
    return _svg(drawn, "Calibration", told=told, size=(side, side))


def visible(ages: Sequence[Age], *, early: str) -> str:
    """Bars of the share of labels visible by age; empty text without ages."""
    if not ages:
        return ""
    width, left, room, step = 460, 62, 168, 34
    height = 58 + step * len(ages)
    drawn = [
        _text(0, 14, told=f"Label maturity: {early} visible by age", style="title"),
        _text(left - 8, 44, told="horizon", style="end"),
        _text(left + room + 52, 44, told="visible", style="end"),
        _text(left + room + 128, 44, told="AUC then", style="end"),
        _text(left + room + 216, 44, told="log loss then", style="end"),
    ]
    for place, each in enumerate(ages):
        top = 54 + step * place
        share = each.visible or 0.0
        drawn.append(_text(left - 8, top + 15, told=f"{each.age:.0%}", style="end"))
        drawn.append(f'<rect class="empty" x="{left}" y="{top}" width="{room}" height="20"/>')
        drawn.append(f'<rect class="bar" x="{left}" y="{top}" width="{room * share:.1f}" height="20"/>')
        columns = ((52, _percent(each.visible)), (128, _short(each.auc)), (216, _short(each.log_loss)))
        drawn += [_text(left + room + at, top + 15, told=told, style="end") for at, told in columns]
    told = "; ".join(f"at {each.age:.0%} of the horizon {_percent(each.visible)}" for each in ages)
    return _svg(drawn, "Label maturity", told=told, size=(width, height))


def swatch(style: int) -> str:
    """A short piece of a line as it is drawn, for legends."""
    return f'<svg class="swatch" width="34" height="12" aria-hidden="true">{"".join(_stroke(style, 6.0))}</svg>'


def ticks(low: float, high: float) -> list[float]:
    """About five round values that enclose ``low`` and ``high``; at least two."""
    if high - low <= _SAME * max(1.0, abs(high)):
        low = high
    span = high - low or max(abs(high), 0.1)
    rough = span / (_TICKS - 1)
    unit = 10.0 ** floor(log10(rough))
    step = next(unit * each for each in (1, 2, 2.5, 5, 10) if unit * each >= rough * 0.999)
    begin = floor(low / step + 1e-9)
    end = max(begin + 1, -floor(-high / step + 1e-9))
    return [round(place * step, _PLACES) for place in range(begin, end + 1)]


def _tick(value: float, rows: Sequence[float]) -> str:
    step = rows[1] - rows[0]
    exact = (places for places in range(_PLACES) if abs(round(step, places) - step) < step * 1e-6)
    return f"{value:.{next(exact, _PLACES)}f}"


def _dates(first_ms: int, last_ms: int) -> list[tuple[int, str]]:
    """Up to six dates, evenly apart by whole days."""
    first, last = -(-first_ms // DAY_MS), last_ms // DAY_MS
    step = max(1, -(-(last - first + 1) // _DATES))
    days = list(range(first, last + 1, step)) or [first_ms // DAY_MS]
    moments = [_EPOCH + timedelta(days=day) for day in days]
    with_year = {place for place, at in enumerate(moments) if place == 0 or at.year != moments[place - 1].year}
    return [
        (day * DAY_MS, f"{at.day} {at:%b}" + (f" {at:%Y}" if place in with_year else ""))
        for place, (day, at) in enumerate(zip(days, moments, strict=True))
    ]


def _marked(markers: Sequence[Marker], *, x: Sequence[float]) -> list[str]:
    drawn, taken = [], [float("-inf")] * 2
    for marker, at in sorted(zip(markers, x, strict=True), key=lambda each: (each[1], each[0].number)):
        row = 0 if at - taken[0] >= _MARK_GAP else 1
        taken[row] = at
        top = _TOP - 8 + row * _MARK_GAP
        drawn.append(f'<path class="event {escape(marker.kind)}" d="M{at:.1f} {top}V{_HEIGHT - _BOTTOM}"/>')
        drawn.append(f'<circle class="event {escape(marker.kind)}" cx="{at:.1f}" cy="{top}" r="7.5"/>')
        drawn.append(_text(at, top + 3.5, told=str(marker.number), style="middle event"))
    return drawn


def _line(series: Series, points: Sequence[tuple[float, float]]) -> list[str]:
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return [f'<path class="line s{series.style}" d="M{path}"/>', *(_shape(series.style, x, y=y) for x, y in points)]


def _stroke(style: int, y: float) -> list[str]:
    return [f'<path class="line s{style}" d="M1 {y}H33"/>', _shape(style, 17.0, y=y)]


def _shape(style: int, x: float, *, y: float) -> str:
    kind = f'class="mark s{style}"'
    match style % 4:
        case 0:
            return f'<circle {kind} cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
        case 1:
            return f'<rect {kind} x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6"/>'
        case 2:
            return f'<path {kind} d="M{x:.1f} {y - 3.8:.1f}l3.8 6.6h-7.6z"/>'
    return f'<path {kind} d="M{x:.1f} {y - 4:.1f}l4 4l-4 4l-4 -4z"/>'


def _names(series: Sequence[Series], *, ends: Sequence[tuple[float, float]]) -> list[str]:
    """The names at the right, moved apart until none covers another, each tied to the end of its line."""
    order = sorted(range(len(series)), key=lambda place: ends[place][1])
    heights: list[float] = []
    for place in order:
        heights.append(max(ends[place][1], heights[-1] + _LABEL_GAP if heights else _TOP))
    lowest = _HEIGHT - _BOTTOM + 6.0
    for back in range(len(heights) - 1, -1, -1):
        heights[back] = min(heights[back], lowest)
        lowest = heights[back] - _LABEL_GAP
    drawn = []
    for place, height in zip(order, heights, strict=True):
        (x, y), left = ends[place], _WIDTH - _RIGHT + 16
        drawn.append(f'<path class="tie s{series[place].style}" d="M{x + 5:.1f} {y:.1f}L{left - 3} {height:.1f}"/>')
        drawn.append(_text(left, height + 4, told=series[place].name, style=f"name s{series[place].style}"))
    return drawn


def _wilson(each: Bin) -> tuple[float, float]:
    """95 % interval of a share (Wilson, 1927)."""
    z, n, share = 1.96, each.judged, each.came
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _percent(share: float | None) -> str:
    return DASH if share is None else f"{share:.0%}"


def _short(number: float | None) -> str:
    return DASH if number is None else f"{number:.3f}"


def _text(x: float, y: float, *, told: str, style: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{escape(told)}</text>'


def _svg(drawn: Sequence[str], title: str, *, told: str, size: tuple[int, int]) -> str:
    label = escape(f"{title}. {told}", quote=True)
    return (
        f'<svg class="chart" role="img" aria-label="{label}" viewBox="0 0 {size[0]} {size[1]}" '
        f'width="{size[0]}" height="{size[1]}">{"".join(drawn)}</svg>'
    )
