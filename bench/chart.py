"""The chart of a run as SVG: one panel per job, one bar per contender, whiskers from the least round to the most.

In come results, out comes the text of the picture. The invariant it protects: all bars of a panel begin at nothing and
have one scale.
"""

from collections.abc import Mapping, Sequence
from html import escape

from needstream.bench import figures

WIDTH = 760
LABEL = 150
VALUE = 190
BAR = 18
STEP = 30
HEAD = 44
MARGIN = 20
OURS = "#1f6f54"
LIMIT = "#b9b9b9"
OTHERS = "#7d93b2"
INK = "#222222"
TITLE = 'font-size="15" font-weight="bold"'
SMALL = 'font-size="11" fill-opacity="0.7"'
PLAIN_NAME = 'text-anchor="end"'
BOLD_NAME = 'text-anchor="end" font-weight="bold"'


def draw(jobs: Mapping[str, Sequence[figures.Result]]) -> str:
    """The picture."""
    parts: list[str] = []
    top = MARGIN
    for name, results in jobs.items():
        ran = sorted((each for each in results if each.rounds), key=lambda each: -each.per_s.median)
        if ran:
            parts += _panel(name, ran, top=top)
            top += HEAD + STEP * len(ran) + MARGIN
    style = "font-family: system-ui, sans-serif; font-size: 13px"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}" '
            f'role="img" aria-label="Events a second by job and contender" style="{style}">',
            f'<rect width="{WIDTH}" height="{top}" fill="white"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _panel(name: str, ran: Sequence[figures.Result], *, top: int) -> list[str]:
    most = max(each.per_s.most for each in ran)
    room = WIDTH - LABEL - VALUE - MARGIN
    parts = [
        _text(MARGIN, top + 16, words=f"{name}: events a second on one core", style=TITLE),
        _text(MARGIN, top + 34, words="median; the line reaches from the slowest round to the quickest", style=SMALL),
    ]
    for place, each in enumerate(ran):
        y = top + HEAD + place * STEP
        rate = each.per_s
        middle = y + BAR / 2
        least, length, furthest = (LABEL + room * value / most for value in (rate.least, rate.median, rate.most))
        colour = {figures.OURS: OURS, "limit": LIMIT}.get(each.contender, OTHERS)
        parts += [
            _text(LABEL - 8, middle + 4, words=each.contender, style=BOLD_NAME if colour == OURS else PLAIN_NAME),
            f'<rect x="{LABEL}" y="{y}" width="{length - LABEL:.1f}" height="{BAR}" fill="{colour}"/>',
            f'<line x1="{least:.1f}" x2="{furthest:.1f}" y1="{middle}" y2="{middle}" stroke="{INK}"/>',
            _text(furthest + 8, middle + 4, words=f"{rate.median:,.0f}/s, {each.cpu_us.median:.1f} us CPU"),
        ]
    return parts


def _text(x: float, y: float, *, words: str, style: str = "") -> str:
    """Words at a place; ``style`` is further attributes."""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{INK}" {style}>{escape(words)}</text>'
