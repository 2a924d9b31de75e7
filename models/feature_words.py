"""What features are called in plain words, and how their values compare with those of other customers.

In go a feature's name, value and deviation with the words of its fact, out comes a clause per language, such as
"more logins in about the last week than most customers (about 5)". A comparison is never stronger than the deviation
proves: whatever the distribution, at most half of what was learned lies a whole standard deviation or more to one side
of the mean and at most a fifth lies two (Cantelli's inequality), so that is where "most" and "much" begin.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from needstream.models import features, figures, linear
from needstream.schemas.pack import Texts
from needstream.schemas.times import DAY_MS, HOUR_MS

_GRADES = (0.5, 1.0, 2.0)
"""Deviations from which on: off the average; than most; much more than most."""

AT_THE_MEAN = _GRADES[0]
"""Deviations below which a feature does not speak: that it is about the average points nowhere."""

_OFF_AVERAGE = 1
_SPANS = {
    1: Texts(en="day", zh="一天"),
    7: Texts(en="week", zh="一周"),
    30: Texts(en="month", zh="一个月"),
}
"""Half-lives that have a name, by days."""


class Scale(Struct, frozen=True):
    """How one thing compares with another of its sort.

    Attributes:
        less: much less, less and a little less, as English puts them before a noun; ``more`` likewise.
        alone: the English for when there is nothing to compare with, or no difference.
        zh: the Chinese for less and for more.
    """

    less: tuple[str, str, str]
    more: tuple[str, str, str]
    alone: str
    zh: tuple[str, str]


class BySign(Struct, frozen=True, kw_only=True):
    """Whole clauses for below, at and above 0, where the sign says more than any comparison; ``{value}`` is how far."""

    below: Texts
    zero: Texts
    above: Texts


class FamilyWords(Struct, frozen=True, kw_only=True):
    """The words of one feature family.

    Attributes:
        en: a noun phrase; ``{fact}`` stands for the fact and ``{span}`` for the half-life, here and in ``zh``.
        measure: how its values are said, if not by its unit.
        zero: what 0 is called where it may also mean that nothing is known; ``longest`` for the cap of days.
    """

    scale: Scale
    en: str
    zh: str
    measure: str = ""
    zero: Texts | None = None
    longest: Texts | None = None


def _of_adjectives(low: str, high: str, *, zh: tuple[str, str]) -> Scale:
    return Scale(
        (f"a much {low}", f"a {low}", f"a somewhat {low}"),
        (f"a much {high}", f"a {high}", f"a somewhat {high}"),
        "the {subject}",
        zh,
    )


_NUMBER = Scale(
    ("far fewer", "fewer", "somewhat fewer"),
    ("many more", "more", "somewhat more"),
    "{subject}",
    ("少于", "多于"),
)
_HEIGHT = _of_adjectives("lower", "higher", zh=("低于", "高于"))
_SIZE = _of_adjectives("smaller", "larger", zh=("小于", "大于"))
_LENGTH = _of_adjectives("shorter", "longer", zh=("短于", "长于"))
_PACE = _of_adjectives("slower", "faster", zh=("低于", "高于"))

_UNKNOWN = Texts(en="not known", zh="未知")
_ZERO = Texts(en="0, or not known", zh="0 或未知")
_NONE = Texts(en="none, or not known", zh="无或未知")
_NEVER = Texts(en="a year or more, or never", zh="一年以上或从未")

_COUNT = FamilyWords(scale=_NUMBER, en="{fact} in about the last {span}", zh="近{span}{fact}次数")

FAMILIES: Mapping[str, FamilyWords | BySign] = {
    "count_1d": _COUNT,
    "count_7d": _COUNT,
    "count_30d": _COUNT,
    "amount_30d": FamilyWords(scale=_HEIGHT, en="total of {fact} in about the last {span}", zh="近{span}{fact}总额"),
    "monthly": FamilyWords(scale=_HEIGHT, en="monthly total of {fact}", zh="每月{fact}金额"),
    "days_since": FamilyWords(scale=_LENGTH, en="time without {fact}", zh="距上次{fact}的时间", longest=_NEVER),
    "pace": FamilyWords(scale=_PACE, en="recent pace of {fact}", zh="近期{fact}频率"),
    "hours_open": FamilyWords(
        scale=_LENGTH,
        en="time with an unfinished {fact} application",
        zh="{fact}申请未完成的时间",
        zero=Texts(en="none open", zh="无未完成申请"),
    ),
    "balance": FamilyWords(scale=_HEIGHT, en="balance", zh="余额", zero=_ZERO),
    "balance_usual": FamilyWords(scale=_HEIGHT, en="usual balance", zh="平常余额", zero=_ZERO),
    "balance_ratio": FamilyWords(
        scale=_HEIGHT, en="balance relative to its own usual level", zh="余额与自身平常水平之比"
    ),
    "balance_excess": FamilyWords(
        scale=_HEIGHT, en="distance of the balance from its usual level", zh="余额与平常水平的差额", measure="above"
    ),
    "balance_above_high": FamilyWords(
        scale=_HEIGHT,
        en="balance against the highest of the month before",
        zh="余额与上月最高值的差额",
        measure="above",
        zero=_ZERO,
    ),
    "balance_below_low": FamilyWords(
        scale=_SIZE,
        en="shortfall from the lowest balance of the month before",
        zh="余额低于上月最低值的幅度",
        measure="below",
        zero=_ZERO,
    ),
    "balance_observations": FamilyWords(scale=_NUMBER, en="known balances", zh="已知余额次数"),
    "balance_known_days": FamilyWords(scale=_LENGTH, en="time with a known balance", zh="余额已知的时间"),
    "salaries": FamilyWords(scale=_NUMBER, en="salaries seen", zh="工资到账次数"),
    "salary_interval_days": FamilyWords(
        scale=_LENGTH, en="usual time between salaries", zh="工资到账的通常间隔", zero=_UNKNOWN
    ),
    "salary_irregularity_days": FamilyWords(
        scale=_SIZE, en="irregularity of the salary", zh="工资到账日的波动", zero=_NONE
    ),
    "salary_overdue_days": BySign(
        below=Texts(en="the salary is due in {value}", zh="距工资应到账还有{value}"),
        zero=Texts(en="the salary is due now, or none is known", zh="工资刚到应到账日，或无工资记录"),
        above=Texts(en="the salary is {value} overdue", zh="工资已逾期{value}"),
    ),
    "credit_score": FamilyWords(scale=_HEIGHT, en="credit score", zh="信用评分", zero=_UNKNOWN),
    "credit_score_drop": FamilyWords(scale=_SIZE, en="drop of the credit score", zh="信用评分的降幅", zero=_NONE),
    "idle_days": FamilyWords(scale=_LENGTH, en="time without any activity", zh="无任何活动的时间", longest=_NEVER),
    "payment_surprise": FamilyWords(
        scale=_SIZE,
        en="latest payment against the customer's own usual ones",
        zh="最近一笔付款相对自身平常付款的幅度",
        zero=Texts(en="nothing unusual in the last day", zh="近一天无异常"),
    ),
    "payments_known": FamilyWords(scale=_NUMBER, en="known payments", zh="已知付款次数"),
    "unusual": FamilyWords(scale=_HEIGHT, en="overall degree of unusual behaviour", zh="整体行为的异常程度"),
    "session_events": FamilyWords(scale=_NUMBER, en="actions in the current visit", zh="本次访问的操作次数"),
    "session_dwell_s": FamilyWords(scale=_LENGTH, en="time spent in the current visit", zh="本次访问的停留时间"),
}


def is_telling(part: linear.Contribution) -> bool:
    """Whether a feature is far enough from its mean to speak; one whose mean nobody knows may."""
    return part.z is None or abs(part.z) >= AT_THE_MEAN


def theme(feature: str) -> str:
    """What a feature is about; counts of one fact over longer and shorter times are about the same."""
    family, _, fact = feature.partition(".")
    return f"count.{fact}" if FAMILIES.get(family) is _COUNT else feature


def code(part: linear.Contribution) -> str:
    """A stable code for machines: ``high``, ``low`` or, at the mean or without one, ``seen``, and the feature."""
    if part.z is None or not is_telling(part):
        return f"seen.{part.feature}"
    return f"{'high' if part.z > 0 else 'low'}.{part.feature}"


def clause(part: linear.Contribution, fact: Texts, *, half_lives_ms: Sequence[float]) -> Texts:
    """What a feature says of a customer, beginning with a small letter and without a full stop.

    ``fact`` is the noun phrase of the fact in the feature's name; it does not matter where there is none.

    Raises:
        UnknownFeature: no such feature.
    """
    described = features.describe(part.feature)
    words = FAMILIES.get(described.family) or _plain(described)
    if isinstance(words, BySign):
        return _signed(part.value, words, unit=described.unit)
    span = _span(described.family, half_lives_ms)
    en = words.en.format(fact=fact.en, span=span.en)
    zh = words.zh.format(fact=fact.zh, span=figures.spaced(span.zh))
    compared_en, compared_zh = _compared_en(en, words.scale, z=part.z), _compared_zh(zh, words.scale, z=part.z)
    if figures.is_remainder(part.value, words.measure or described.unit):
        return Texts(en=compared_en, zh=compared_zh)
    value = _value(part.value, words, unit=described.unit)
    return Texts(en=f"{compared_en} ({value.en})", zh=f"{compared_zh}（{value.zh}）")


def _grade(z: float) -> int:
    """0 near the average to 3 far from it."""
    return sum(abs(z) >= start for start in _GRADES)


def _compared_en(subject: str, scale: Scale, *, z: float | None) -> str:
    if z is None or not (grade := _grade(z)):
        return scale.alone.format(subject=subject)
    word = (scale.more if z > 0 else scale.less)[len(_GRADES) - grade]
    return f"{word} {subject} than {'average' if grade == _OFF_AVERAGE else 'most customers'}"


def _compared_zh(subject: str, scale: Scale, *, z: float | None) -> str:
    if z is None:
        return subject
    word = scale.zh[z > 0]
    degrees = ("", f"略{word}平均水平", f"{word}多数客户", f"远{word}多数客户")
    return subject + degrees[_grade(z)]


def _value(value: float, words: FamilyWords, *, unit: str) -> Texts:
    if words.zero is not None and value == 0:
        return words.zero
    if words.longest is not None and value >= features.NEVER_DAYS:
        return words.longest
    return figures.said(value, words.measure or unit)


def _signed(value: float, words: BySign, *, unit: str) -> Texts:
    said = words.below if value < 0 else words.above if value > 0 else words.zero
    amount = figures.said(abs(value), unit)
    return Texts(en=said.en.format(value=amount.en), zh=said.zh.format(value=figures.spaced(amount.zh)))


def _span(family: str, half_lives_ms: Sequence[float]) -> Texts:
    place = {"count_1d": 0, "count_7d": 1}.get(family, 2)
    span_ms = half_lives_ms[place]
    days = span_ms / DAY_MS
    named = _SPANS.get(int(days)) if days == int(days) else None
    if named is not None:
        return named
    return figures.said(span_ms / HOUR_MS, "hours") if days < 2 else figures.said(days, "days")  # noqa: PLR2004


def _plain(described: features.Feature) -> FamilyWords:
    """A family without words of its own is called by its meaning."""
    return FamilyWords(scale=_HEIGHT, en=described.meaning.partition(",")[0], zh=described.meaning.partition(",")[0])
