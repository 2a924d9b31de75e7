"""A comparison is worded no stronger than the deviation proves, and every family has words of its own."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from needstream.models import feature_words, features
from needstream.models.linear import Contribution
from needstream.schemas.pack import Texts
from needstream.schemas.times import DAY_MS

DAYS = (DAY_MS, 7 * DAY_MS, 30 * DAY_MS)
LOGINS = Texts(en="logins", zh="登录")


def _said(feature: str, value: float, z: float | None) -> Texts:
    return feature_words.clause(Contribution(feature, value, 1.0, z), LOGINS, half_lives_ms=DAYS)


def test_every_family_has_words_of_its_own() -> None:
    assert set() == set(features.FAMILIES) - set(feature_words.FAMILIES)


def test_no_words_are_left_of_a_family_that_is_gone() -> None:
    assert set() == set(feature_words.FAMILIES) - set(features.FAMILIES)


@pytest.mark.parametrize(
    ("z", "en", "zh"),
    [
        (
            -2.0,
            "far fewer logins in about the last week than most customers (none)",
            "近一周登录次数远少于多数客户（无）",
        ),
        (-1.0, "fewer logins in about the last week than most customers (none)", "近一周登录次数少于多数客户（无）"),
        (
            -0.5,
            "somewhat fewer logins in about the last week than average (none)",
            "近一周登录次数略少于平均水平（无）",
        ),
        (0.4, "logins in about the last week (none)", "近一周登录次数（无）"),
        (0.5, "somewhat more logins in about the last week than average (none)", "近一周登录次数略多于平均水平（无）"),
        (1.0, "more logins in about the last week than most customers (none)", "近一周登录次数多于多数客户（无）"),
        (
            2.0,
            "many more logins in about the last week than most customers (none)",
            "近一周登录次数远多于多数客户（无）",
        ),
        (None, "logins in about the last week (none)", "近一周登录次数（无）"),
    ],
)
def test_the_deviation_chooses_the_comparison(z: float | None, en: str, zh: str) -> None:
    said = _said("count_7d.click.login", 0.0, z)

    assert (en, zh) == (said.en, said.zh)


@given(st.lists(st.floats(-100, 100).map(lambda value: round(value, 3)), min_size=2))
def test_what_is_called_more_than_most_is_more_than_what_half_have(values: list[float]) -> None:
    mean, deviation = statistics.fmean(values), statistics.pstdev(values)
    for value in values if deviation > 1e-6 else ():
        z = (value - mean) / deviation
        said = _said("balance", value, z).en
        as_extreme = sum(other >= value if z > 0 else other <= value for other in values)
        at_most = 0.2 if "much" in said else 0.5 if "than most" in said else 1.0

        assert as_extreme <= at_most * len(values) + 1e-9


@pytest.mark.parametrize(
    ("feature", "value", "z", "en", "zh"),
    [
        ("balance", 0.0, -1.0, "a lower balance than most customers (0, or not known)", "余额低于多数客户（0 或未知）"),
        ("days_since.click.login", 9.0, 1.5, "a longer time without logins than most customers (9 days)", None),
        ("days_since.click.login", 365.0, 2.5, None, "距上次登录的时间远长于多数客户（一年以上或从未）"),
        ("pace.click.login", 0.5, -1.5, "a slower recent pace of logins than most customers (half the usual)", None),
        ("salary_overdue_days", -4.0, -1.2, "the salary is due in 4 days", "距工资应到账还有 4 天"),
        ("salary_overdue_days", 22.0, 2.5, "the salary is 22 days overdue", "工资已逾期 22 天"),
        ("salary_overdue_days", 0.4, None, "the salary is less than a day overdue", None),
        ("salary_overdue_days", 0.0, 0.6, "the salary is due now, or none is known", None),
        ("count_7d.click.login", 0.6, 1.2, None, "近一周登录次数多于多数客户（约 1 次）"),
        ("count_7d.click.login", 0.6, 1.2, "more logins in about the last week than most customers (about one)", None),
        (
            "count_7d.click.login",
            0.3,
            1.2,
            "more logins in about the last week than most customers",
            "近一周登录次数多于多数客户",
        ),
        ("balance_excess", -1200.0, -2.2, None, "余额与平常水平的差额远低于多数客户（低 1,200）"),
        ("balance_ratio", 0.5, None, "the balance relative to its own usual level (half the usual)", None),
    ],
)
def test_each_family_speaks_for_itself(
    feature: str, value: float, z: float | None, en: str | None, zh: str | None
) -> None:
    said = _said(feature, value, z)

    assert (en or said.en, zh or said.zh) == (said.en, said.zh)


def test_a_half_life_of_another_length_is_named_for_what_it_is() -> None:
    said = feature_words.clause(
        Contribution("count_7d.click.login", 2.0, 1.0, None),
        LOGINS,
        half_lives_ms=(DAY_MS / 2, 12 * DAY_MS, 30 * DAY_MS),
    )

    assert ("logins in about the last 12 days (2)", "近 12 天登录次数（2 次）") == (said.en, said.zh)


@pytest.mark.parametrize(
    ("z", "code"),
    [(1.4, "high.count_7d.click.login"), (-0.5, "low.count_7d.click.login"), (None, "seen.count_7d.click.login")],
)
def test_a_code_names_direction_and_feature(z: float | None, code: str) -> None:
    assert code == feature_words.code(Contribution("count_7d.click.login", 2.0, 1.0, z))


def test_a_feature_about_the_average_does_not_speak() -> None:
    assert [False, False, True, True] == [
        feature_words.is_telling(Contribution("balance", 2.0, 1.0, z)) for z in (0.05, -0.49, 0.5, None)
    ]


def test_counts_of_one_fact_are_about_the_same() -> None:
    names = ("count_1d.click.login", "count_30d.click.login", "days_since.click.login", "count_1d.tx.fee", "balance")

    assert [0, 0, 1, 2, 3] == _numbered([feature_words.theme(name) for name in names])


def _numbered(themes: list[str]) -> list[int]:
    order = list(dict.fromkeys(themes))
    return [order.index(theme) for theme in themes]
