"""Reasons: a model's score in plain words, what points to it and what points away from it.

In go an explanation whose parts sum to the logit, out come evidence, codes for machines and one sentence per language.
It says what a score goes together with, never what causes it; what is about its mean or of next to no weight is silent.
"""

from collections.abc import Iterable

from msgspec import Struct

from needstream.models import contributions, feature_words, linear
from needstream.schemas.pack import Texts
from needstream.schemas.signals import Evidence, Explanation
from needstream.streams.pipeline import fact_words
from needstream.streams.pipeline.definitions import Definitions

_DECIMALS = 4
_AUDIBLE = 0.05
"""Log-odds below which a feature does not speak: one in twenty more or less."""


class Reasons(Struct, frozen=True, kw_only=True):
    """Why a score is what it is, the strongest first on either side.

    Attributes:
        codes: one per feature that speaks for it, such as ``high.count_7d.interest.loan``.
        sentence: None when no feature speaks.
    """

    speaking_for: tuple[Evidence, ...] = ()
    speaking_against: tuple[Evidence, ...] = ()
    codes: tuple[str, ...] = ()
    sentence: Explanation | None = None


NONE = Reasons()


def of(explanation: contributions.Explanation, definitions: Definitions, *, count: int) -> Reasons:
    """At most ``count`` reasons on either side."""
    everything = len(explanation.parts)
    supporting = _telling(explanation.strongest_for(everything))[:count]
    opposing = _telling(explanation.strongest_against(everything))[:count]
    said = {part.feature: _clause(part, definitions) for part in (*supporting, *opposing)}
    return Reasons(
        speaking_for=tuple(_evidence(part, said[part.feature]) for part in supporting),
        speaking_against=tuple(_evidence(part, said[part.feature]) for part in opposing),
        codes=tuple(feature_words.code(part) for part in supporting),
        sentence=_sentence(_clauses(supporting, said), _clauses(opposing, said)),
    )


def _telling(parts: Iterable[linear.Contribution]) -> list[linear.Contribution]:
    return [part for part in parts if abs(part.logit) >= _AUDIBLE and feature_words.is_telling(part)]


def _clause(part: linear.Contribution, definitions: Definitions) -> Texts:
    fact = fact_words.of(part.feature.partition(".")[2], definitions.pack.words)
    return feature_words.clause(part, fact, half_lives_ms=definitions.half_lives_ms)


def _evidence(part: linear.Contribution, said: Texts) -> Evidence:
    return Evidence(
        feature=part.feature,
        value=round(part.value, _DECIMALS),
        compared=f"{part.logit:+.3f} log-odds",
        text=Explanation(en=f"{said.en[:1].upper()}{said.en[1:]}.", zh=f"{said.zh}。"),
    )


def _clauses(parts: Iterable[linear.Contribution], said: dict[str, Texts]) -> list[Texts]:
    """The clauses of a sentence; of several counts of one fact only the strongest, to say a thing once."""
    strongest: dict[str, Texts] = {}
    for part in parts:
        strongest.setdefault(feature_words.theme(part.feature), said[part.feature])
    return list(strongest.values())


def _sentence(supporting: list[Texts], opposing: list[Texts]) -> Explanation | None:
    en, zh = [], []
    if supporting:
        en.append(f"What points to it: {'; '.join(each.en for each in supporting)}.")
        zh.append(f"支持这一判断的迹象：{'；'.join(each.zh for each in supporting)}。")
    if opposing:
        en.append(f"What points away from it: {'; '.join(each.en for each in opposing)}.")
        zh.append(f"相反的迹象：{'；'.join(each.zh for each in opposing)}。")
    return Explanation(en=" ".join(en), zh="".join(zh)) if en else None
