"""Values of features in plain words: a number with its unit, the way one would say it.

In go a value and the name of its measure, out come words in every language. Amounts have no currency
sign, because each customer's are in their own currency. Half a payment and more is said as "about one",
and less than that is a remainder: counts are decayed, and nobody has seen a third.
"""

from collections.abc import Callable
from math import isfinite

from needstream.schemas.pack import Texts

Measure = Callable[[float], Texts]

_YEAR_DAYS = 365
_ROUND_FROM = 10
_MINUTE_S, _HOUR_S = 60, 3600
_DAY_H = 24
_HARDLY_ANY, _ONE, _TWO = 0.05, 0.5, 1.5
_HALF, _SAME, _DOUBLE = (0.45, 0.55), (0.9, 1.1), (1.9, 2.1)


def said(value: float, measure: str) -> Texts:
    """The words for ``value``; of a measure nobody knows, the number alone. What is not finite counts as 0."""
    return MEASURES.get(measure, _number)(value + 0.0 if isfinite(value) else 0.0)


def is_remainder(value: float, measure: str) -> bool:
    """Whether a value is a count of which so little is left that its number would only puzzle."""
    return measure == "count" and _HARDLY_ANY <= value < _ONE


def spaced(zh: str) -> str:
    """Chinese words as they follow others: a numeral keeps a space before it."""
    return f" {zh}" if zh[:1].isdecimal() else zh


def _count(value: float) -> Texts:
    if value < _HARDLY_ANY:
        return Texts(en="none", zh="无")
    if value < _ONE:
        return Texts(en="less than one", zh="不足 1 次")
    shown = f"{value:,.0f}"
    exact = value == round(value)
    if value < _TWO and not exact:
        return Texts(en="about one", zh="约 1 次")
    return Texts(en=shown if exact else f"about {shown}", zh=f"{shown} 次" if exact else f"约 {shown} 次")


def _days(value: float) -> Texts:
    if value >= _YEAR_DAYS:
        return Texts(en="a year or more", zh="一年以上")
    if value < 1:
        return Texts(en="less than a day", zh="不到一天")
    return _of_unit(value, "day", zh="天")


def _hours(value: float) -> Texts:
    if value >= 2 * _DAY_H:
        return _days(value / _DAY_H)
    return _of_unit(value, "hour", zh="小时") if value >= 1 else Texts(en="less than an hour", zh="不到一小时")


def _seconds(value: float) -> Texts:
    if value < _MINUTE_S:
        return _of_unit(value, "second", zh="秒")
    if value < 2 * _HOUR_S:
        return _of_unit(value / _MINUTE_S, "minute", zh="分钟")
    return _of_unit(value / _HOUR_S, "hour", zh="小时")


def _points(value: float) -> Texts:
    return _of_unit(value, "point", zh="分")


def _ratio(value: float) -> Texts:
    """What stands against its usual level, 1 being as usual."""
    if value < 0:
        return Texts(en="below zero", zh="低于零")
    if value < _HARDLY_ANY:
        return Texts(en="next to nothing of the usual", zh="几乎为零")
    if _HALF[0] <= value <= _HALF[1]:
        return Texts(en="half the usual", zh="平常的一半")
    if _SAME[0] <= value <= _SAME[1]:
        return Texts(en="as usual", zh="与平常相当")
    if _DOUBLE[0] <= value <= _DOUBLE[1]:
        return Texts(en="twice the usual", zh="平常的两倍")
    shown = f"{value:.0f}" if value >= _ROUND_FROM else f"{value:.1f}"
    return Texts(en=f"{shown} times the usual", zh=f"平常的 {shown} 倍")


def _share(value: float) -> Texts:
    shown = f"{value:.0%}"
    return Texts(en=shown, zh=shown)


def _deviations(value: float) -> Texts:
    """How far above the usual, in standard deviations."""
    shown = f"{value:.1f}"
    return Texts(en=f"{shown} standard deviations above", zh=f"高出 {shown} 个标准差")


def _number(value: float) -> Texts:
    """An amount, or whatever else has no unit one would say."""
    rounded = abs(value) >= _ROUND_FROM or value == round(value)
    shown = f"{value:,.0f}" if rounded else f"{value:.2f}"
    return Texts(en=shown, zh=shown)


def _above(value: float) -> Texts:
    """How far something lies over a mark, negative for under it."""
    shown = _number(abs(value)).en
    return (
        Texts(en=f"{shown} above", zh=f"高出 {shown}") if value >= 0 else Texts(en=f"{shown} below", zh=f"低 {shown}")
    )


def _below(value: float) -> Texts:
    """How far something lies under a mark, negative for over it."""
    return _above(-value) if value else Texts(en="0 below", zh="低 0")


def _of_unit(value: float, unit: str, *, zh: str) -> Texts:
    shown = f"{value:,.0f}"
    return Texts(en=f"{shown} {unit}" if shown == "1" else f"{shown} {unit}s", zh=f"{shown} {zh}")


MEASURES: dict[str, Measure] = {
    "count": _count,
    "days": _days,
    "hours": _hours,
    "seconds": _seconds,
    "points": _points,
    "ratio": _ratio,
    "currency": _number,
    "share": _share,
    "deviations": _deviations,
    "above": _above,
    "below": _below,
}
"""By the unit of a feature, or by what its words call it."""
