"""A value is said as one would say it, in both languages."""

import math

import pytest

from needstream.models import features, figures


@pytest.mark.parametrize(
    ("value", "measure", "en", "zh"),
    [
        (0.0, "count", "none", "无"),
        (0.5, "count", "about one", "约 1 次"),
        (1.3, "count", "about one", "约 1 次"),
        (1.0, "count", "1", "1 次"),
        (4.6, "count", "about 5", "约 5 次"),
        (0.5, "days", "less than a day", "不到一天"),
        (1.2, "days", "1 day", "1 天"),
        (9.0, "days", "9 days", "9 天"),
        (365.0, "days", "a year or more", "一年以上"),
        (20.0, "hours", "20 hours", "20 小时"),
        (72.0, "hours", "3 days", "3 天"),
        (45.0, "seconds", "45 seconds", "45 秒"),
        (180.0, "seconds", "3 minutes", "3 分钟"),
        (40.0, "points", "40 points", "40 分"),
        (1234.5, "currency", "1,234", "1,234"),
        (9.6, "currency", "9.60", "9.60"),
        (-0.0, "currency", "0", "0"),
        (0.5, "ratio", "half the usual", "平常的一半"),
        (1.04, "ratio", "as usual", "与平常相当"),
        (2.0, "ratio", "twice the usual", "平常的两倍"),
        (0.31, "ratio", "0.3 times the usual", "平常的 0.3 倍"),
        (-1.0, "ratio", "below zero", "低于零"),
        (-1200.0, "above", "1,200 below", "低 1,200"),
        (-1200.0, "below", "1,200 above", "高出 1,200"),
        (0.973, "share", "97%", "97%"),
        (3.25, "deviations", "3.2 standard deviations above", "高出 3.2 个标准差"),
    ],
)
def test_a_value_is_said_with_its_unit(value: float, measure: str, en: str, zh: str) -> None:
    shown = figures.said(value, measure)

    assert (en, zh) == (shown.en, shown.zh)


@pytest.mark.parametrize(
    ("value", "measure", "expected"),
    [(0.04, "count", False), (0.05, "count", True), (0.49, "count", True), (0.5, "count", False), (0.3, "days", False)],
)
def test_a_count_nearer_to_none_than_to_one_is_a_remainder(value: float, measure: str, expected: bool) -> None:
    assert expected == figures.is_remainder(value, measure)


def test_every_unit_of_a_feature_has_a_measure() -> None:
    assert set() == {feature.unit for feature in features.FAMILIES.values()} - set(figures.MEASURES)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, -1e300, 5e-324])
@pytest.mark.parametrize("measure", sorted(figures.MEASURES))
def test_any_number_can_be_said(value: float, measure: str) -> None:
    shown = figures.said(value, measure)

    assert "" not in (shown.en, shown.zh)
    assert not {"nan", "inf"} & set(shown.en.split())
