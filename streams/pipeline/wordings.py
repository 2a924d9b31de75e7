"""Sentences of a pack, compiled: ``{feature}`` becomes the feature's value at the moment of speaking."""

import re
from collections.abc import Mapping

from needstream.schemas import pack as packs
from needstream.schemas.signals import Explanation
from needstream.schemas.state import CustomerState
from needstream.streams.pipeline.conditions import Compiler
from needstream.streams.pipeline.refusals import DefinitionError

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_ROUND_FROM = 10


class Wording:
    """One explanation in every language.

    Args:
        given: the placeholders that are filled by the speaker, such as ``product``; all others are features.
        place: where the texts stand in the pack.

    Raises:
        DefinitionError: a placeholder is neither given nor a feature.
    """

    def __init__(self, texts: packs.Texts, compiler: Compiler, *, given: frozenset[str], place: str) -> None:
        self._en = _Sentence(texts.en, compiler, given=given, place=f"{place}.en")
        self._zh = _Sentence(texts.zh, compiler, given=given, place=f"{place}.zh")

    def explain(self, state: CustomerState, at_ms: int, *, given: Mapping[str, str]) -> Explanation:
        """The explanation with the values of this customer at this time."""
        return Explanation(
            en=self._en.say(state, at_ms, given=given),
            zh=self._zh.say(state, at_ms, given=given),
        )


class _Sentence:
    def __init__(self, text: str, compiler: Compiler, *, given: frozenset[str], place: str) -> None:
        self._text = text
        names = set(_PLACEHOLDER.findall(text))
        self._readings = {name: compiler.feature(name, place) for name in sorted(names - given)}
        bare = _PLACEHOLDER.sub("", text)
        if "{" in bare or "}" in bare:
            raise DefinitionError(place, f"{text!r} has a brace without its partner")

    def say(self, state: CustomerState, at_ms: int, *, given: Mapping[str, str]) -> str:
        def shown(match: re.Match[str]) -> str:
            reading = self._readings.get(match.group(1))
            return given[match.group(1)] if reading is None else _figure(reading(state, at_ms))

        return _PLACEHOLDER.sub(shown, self._text)


def _figure(value: float) -> str:
    if abs(value) >= _ROUND_FROM:
        return f"{value:,.0f}"
    return f"{value:.2f}" if 0 < abs(value) < 1 else f"{value:.1f}".removesuffix(".0")
