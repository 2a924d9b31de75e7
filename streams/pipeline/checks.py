"""What many declarations of a pack have to be: durations that can be used, finite numbers, names that occur once.

In go a declared value and its place, out comes what it means; what makes no sense is refused with the place.
"""

from collections.abc import Iterable
from math import isfinite

from needstream.schemas.times import parse_duration
from needstream.streams.pipeline.refusals import DefinitionError


def span(text: str, place: str) -> int:
    """A duration in milliseconds, also none at all.

    Raises:
        DefinitionError: the text is no duration.
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        raise DefinitionError(place, str(error)) from error


def positive_span(text: str, place: str) -> int:
    """A duration in milliseconds, longer than nothing.

    Raises:
        DefinitionError: the text is no duration, or no time passes in it.
    """
    span_ms = span(text, place)
    if span_ms <= 0:
        raise DefinitionError(place, f"{text!r} must be longer than nothing")
    return span_ms


def check_finite(number: float, place: str) -> None:
    """Refuse what is larger than every number.

    Raises:
        DefinitionError: names the number.
    """
    if not isfinite(number):
        raise DefinitionError(place, f"{number!r} must be finite, such as 1.5")


def check_unique(names: Iterable[str], section: str) -> None:
    """Refuse a name that is declared twice, at the place of the second.

    Raises:
        DefinitionError: names it.
    """
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            place = f"{section}[{index}]"
            raise DefinitionError(place, f"{name!r} is declared twice")
        seen.add(name)
