"""Pending predictions as they rest in a customer's state: packed, and marked without being opened.

In goes a prediction with its asks, out come runs of bytes and a mask; what all predictions of a customer share, the
models and their horizons, stands once beside them. The layout is a contract of the stored states. Opening what was
packed gives it back exactly, scores to the nine decimals they are rounded to.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TypeVar

import msgspec
from msgspec import Struct

MOST_ASKED = 256
"""How many kinds of asks a customer's pending predictions may have: a place takes one byte."""

SCORE_UNITS = 10**9
"""A score is kept as a whole number of these parts; scores have nine decimals."""

NEVER_MS = 2**62
"""A moment that does not come."""

NOTHING = b""
"""What predictions share before the first one."""

_TIDY_FROM = MOST_ASKED // 2
_NUMBERS = struct.Struct("<II")
_NONE = 2**32 - 1
_HEARD = _NUMBERS.size
_SHORTEST = _HEARD + 1
_LEVEL_BYTES = 2
_SILENT = bytes(_LEVEL_BYTES)
_SILENCE = b"\0"

_T = TypeVar("_T")


class Ask(Struct, array_like=True, gc=False):
    """One model's part of a prediction.

    ``contestants`` holds what each contestant said: a byte with a bit for everyone who spoke, in the order of kinds
    that ``pipeline.keeping`` states, then 16 bits for each of these. Empty where nobody did.
    """

    due_ms: int
    score: float | None
    model_version: str
    converted: bool = False
    contestants: bytes = b""


class Prediction(Struct, array_like=True):
    """A remembered prediction that will be judged, one ask per model.

    ``features`` is a bit mask of the features that are not zero, followed by those in single precision.
    """

    made_ms: int
    features: bytes
    feature_set: str
    asks: dict[str, Ask]


class Asked(Struct, frozen=True, gc=False):
    """A kind of ask: of which model, with which horizon, and what its version says between the name and the number."""

    name: str
    horizon_ms: int
    version: str


class Outline:
    """What can be said of predictions with the same asks without opening them.

    Attributes:
        kinds: of each ask its kind.
        numbers: of each model the number of its ask.
        horizons_ms: of each model its ask's horizon.
        shortest_ms: the shortest horizon, ``NEVER_MS`` without asks.
    """

    __slots__ = ("horizons_ms", "kinds", "numbers", "shortest_ms")

    def __init__(self, kinds: Sequence[Asked]) -> None:
        self.kinds = tuple(kinds)
        self.numbers = {kind.name: number for number, kind in enumerate(kinds)}
        self.horizons_ms = {kind.name: kind.horizon_ms for kind in kinds}
        self.shortest_ms = min((kind.horizon_ms for kind in kinds), default=NEVER_MS)


class _Outlines(dict[bytes, Outline]):
    """The outlines of predictions by their asks' places, each made when it is first asked for."""

    def __init__(self, kinds: Sequence[Asked]) -> None:
        super().__init__()
        self._kinds = kinds

    def __missing__(self, places: bytes) -> Outline:
        outline = self[places] = Outline([self._kinds[place] for place in places])
        return outline


class Shared:
    """What the pending predictions of a customer have in common; most customers have the same.

    Attributes:
        kinds: the kinds of asks.
        feature_sets: of which feature lists their features are.
        outlines: the outline of a prediction, by its asks' places.
        places: where a kind of ask stands, by its name, horizon and version.
    """

    __slots__ = ("feature_sets", "kinds", "outlines", "places")

    def __init__(self, kinds: Sequence[Asked] = (), feature_sets: Sequence[str] = ()) -> None:
        self.kinds = tuple(kinds)
        self.feature_sets = tuple(feature_sets)
        self.places = {(kind.name, kind.horizon_ms, kind.version): place for place, kind in enumerate(kinds)}
        self.outlines = _Outlines(self.kinds)


class _Written(Struct, array_like=True, frozen=True):
    """What predictions share, as it is stored; None stands for the horizon or the version of the kind before."""

    kinds: list[tuple[str, int | None, str | None]]
    feature_sets: tuple[str, ...]


class Pending(Struct, array_like=True, gc=False):
    """A prediction, packed.

    Attributes:
        feature_set: the place of its feature set in what predictions share.
        places: of each ask the place of its kind in what predictions share, one byte.
        marked: bit n is set if what ask n waits for has happened.
        said: of each ask the number of its version, its score and what its contestants said, a zero for nothing.
    """

    made_ms: int
    features: bytes
    feature_set: int
    places: bytes
    marked: int
    said: bytes


_ENCODER = msgspec.msgpack.Encoder()
_SHARED_DECODER = msgspec.msgpack.Decoder(_Written)


@lru_cache(maxsize=1024)
def shared_in(stored: bytes) -> Shared:
    """What predictions share, as it is stored; the same few bytes are asked about again and again."""
    if not stored:
        return Shared()
    written = _SHARED_DECODER.decode(stored)
    kinds: list[Asked] = []
    horizon_ms, version = 0, ""
    for name, another_horizon_ms, another_version in written.kinds:
        horizon_ms = horizon_ms if another_horizon_ms is None else another_horizon_ms
        version = version if another_version is None else another_version
        kinds.append(Asked(name, horizon_ms, version))
    return Shared(kinds, written.feature_sets)


def _stored(kinds: Sequence[Asked], feature_sets: Sequence[str]) -> bytes:
    shortened: list[tuple[str, int | None, str | None]] = []
    before = None
    for kind in kinds:
        horizon_ms = None if before and before.horizon_ms == kind.horizon_ms else kind.horizon_ms
        version = None if before and before.version == kind.version else kind.version
        shortened.append((kind.name, horizon_ms, version))
        before = kind
    return _ENCODER.encode(_Written(shortened, tuple(feature_sets)))


def packed(prediction: Prediction, shared: bytes) -> tuple[Pending, bytes]:
    """The prediction for keeping, and what is shared with it.

    Raises:
        ValueError: there are more than ``MOST_ASKED`` kinds of asks.
    """
    known, made_ms = shared_in(shared), prediction.made_ms
    kinds, feature_sets = list(known.kinds), list(known.feature_sets)
    places, said, marked = bytearray(), list[bytes](), 0
    for number, (name, ask) in enumerate(prediction.asks.items()):
        version, taken_in = _split(ask.model_version, name)
        kind = (name, ask.due_ms - made_ms, version)
        place = known.places.get(kind)
        if place is None:
            place = len(kinds)
            kinds.append(Asked(*kind))
        places.append(place)
        said.append(_NUMBERS.pack(taken_in, _NONE if ask.score is None else round(ask.score * SCORE_UNITS)))
        said.append(ask.contestants or _SILENCE)
        if ask.converted:
            marked |= 1 << number
    feature_set = _place(prediction.feature_set, feature_sets)
    if len(kinds) > len(known.kinds) or len(feature_sets) > len(known.feature_sets):
        shared = _stored(kinds, feature_sets)
    return Pending(made_ms, prediction.features, feature_set, bytes(places), marked, b"".join(said)), shared


def opened(pending: Pending, shared: Shared) -> Prediction:
    """The prediction that was packed."""
    walk = enumerate(_walk(pending, shared))
    asks = {kind.name: _ask(pending, kind, number=number, within=within) for number, (kind, within) in walk}
    return Prediction(pending.made_ms, pending.features, shared.feature_sets[pending.feature_set], asks)


def due(predictions: Iterable[Pending], shared: Shared, *, until_ms: int) -> Iterator[Prediction]:
    """Take out the asks whose horizon has ended at ``until_ms``, prediction by prediction that has any."""
    outlines = shared.outlines
    for pending in predictions:
        longest_ms = until_ms - pending.made_ms
        if outlines[pending.places].shortest_ms > longest_ms:
            continue
        taken: dict[str, Ask] = {}
        places, said, marked = bytearray(), bytearray(), 0
        for number, (kind, within) in enumerate(_walk(pending, shared)):
            if kind.horizon_ms <= longest_ms:
                taken[kind.name] = _ask(pending, kind, number=number, within=within)
            else:
                marked |= (pending.marked >> number & 1) << len(places)
                places.append(pending.places[number])
                said += pending.said[within]
        pending.places, pending.marked, pending.said = bytes(places), marked, bytes(said)
        yield Prediction(pending.made_ms, pending.features, shared.feature_sets[pending.feature_set], taken)


def ending(predictions: Iterable[Pending], shared: Shared, *, name: str, at_ms: int) -> list[Pending]:
    """The predictions with an ask of a model whose horizon ends just then."""
    outlines = shared.outlines
    return [
        pending
        for pending in predictions
        if pending.made_ms + outlines[pending.places].horizons_ms.get(name, NEVER_MS) == at_ms
    ]


def next_end_ms(predictions: Iterable[Pending], shared: Shared, *, name: str, after_ms: int) -> int:
    """When the first horizon of a model's asks ends after a moment, ``NEVER_MS`` or later if none does."""
    outlines = shared.outlines
    ends_ms = [
        end_ms
        for pending in predictions
        if (end_ms := pending.made_ms + outlines[pending.places].horizons_ms.get(name, NEVER_MS)) > after_ms
    ]
    return min(ends_ms, default=NEVER_MS)


def is_marked(pending: Pending, shared: Shared, *, name: str) -> bool | None:
    """Whether a model's ask is marked, None if there is no such ask."""
    number = shared.outlines[pending.places].numbers.get(name)
    return None if number is None else bool(pending.marked >> number & 1)


def mark(predictions: Sequence[Pending], shared: Shared, *, name: str, at_ms: int, is_in_order: bool = False) -> None:
    """Mark a model's ask in every prediction whose horizon ``at_ms`` falls into, both ends included.

    Predictions stand oldest first. Where nothing later than ``at_ms`` has marked before (``is_in_order``), whatever has
    marked a prediction has marked all older ones that are still open, so that these are not looked at.
    """
    outlines = shared.outlines
    for pending in reversed(predictions):
        outline = outlines[pending.places]
        number = outline.numbers.get(name)
        if number is None:
            continue
        bit = 1 << number
        if pending.marked & bit:
            if is_in_order:
                return
        elif pending.made_ms <= at_ms <= pending.made_ms + outline.horizons_ms[name]:
            pending.marked |= bit


def set_mark(pending: Pending, shared: Shared, *, name: str, marked: bool) -> None:
    """Decide one ask's mark, whatever it was."""
    number = shared.outlines[pending.places].numbers.get(name)
    if number is not None:
        pending.marked = pending.marked & ~(1 << number) | marked << number


def earliest_due_ms(predictions: Iterable[Pending], shared: Shared) -> int:
    """When the first horizon ends, ``NEVER_MS`` or later without any ask."""
    outlines = shared.outlines
    return min([pending.made_ms + outlines[pending.places].shortest_ms for pending in predictions], default=NEVER_MS)


def tidied(predictions: Sequence[Pending], shared: bytes) -> bytes:
    """What is shared, without what no prediction refers to any more; a little of that may stay."""
    known = shared_in(shared)
    if predictions and max(len(known.kinds), len(known.feature_sets)) < _TIDY_FROM:
        return shared
    kinds: list[Asked] = []
    feature_sets: list[str] = []
    for pending in predictions:
        pending.places = bytes(_place(known.kinds[place], kinds) for place in pending.places)
        pending.feature_set = _place(known.feature_sets[pending.feature_set], feature_sets)
    return _stored(kinds, feature_sets) if predictions else NOTHING


def squeezed(levels: bytes) -> bytes:
    """What contestants said, as an ask holds it, from 16 bits for each of all kinds; 0 is for who did not speak."""
    said = [levels[at : at + _LEVEL_BYTES] for at in range(0, len(levels), _LEVEL_BYTES)]
    spoke = sum(1 << place for place, level in enumerate(said) if level != _SILENT)
    return bytes((spoke,)) + b"".join(level for level in said if level != _SILENT) if spoke else b""


def _place(sought: _T, known: list[_T]) -> int:
    """Where something stands among what is known; something new is added."""
    if sought not in known:
        known.append(sought)
    return known.index(sought)


def _walk(pending: Pending, shared: Shared) -> Iterator[tuple[Asked, slice]]:
    """Of each ask its kind, and from where to where it is written."""
    said, at = pending.said, 0
    for kind in shared.outlines[pending.places].kinds:
        end = at + _SHORTEST + _LEVEL_BYTES * said[at + _HEARD].bit_count()
        yield kind, slice(at, end)
        at = end


def _ask(pending: Pending, kind: Asked, *, number: int, within: slice) -> Ask:
    """The ask that is written there."""
    said = pending.said[within]
    taken_in, score = _NUMBERS.unpack_from(said)
    return Ask(
        pending.made_ms + kind.horizon_ms,
        None if score == _NONE else score / SCORE_UNITS,
        kind.version if taken_in == _NONE else f"{kind.name}-{kind.version}-{taken_in}",
        bool(pending.marked >> number & 1),
        said[_HEARD:] if len(said) > _SHORTEST else b"",
    )


@lru_cache(maxsize=1024)
def _split(version: str, name: str) -> tuple[str, int]:
    """What the versions of a model's asks have in common, and the number; one without a number has it all in common."""
    kind, _, digits = version.removeprefix(f"{name}-").rpartition("-")
    if digits.isascii() and digits.isdecimal():
        number = int(digits)
        if number < _NONE and version == f"{name}-{kind}-{number}":
            return kind, number
    return version, _NONE
