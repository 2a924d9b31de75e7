"""Delayed labels: predictions are remembered, marked by what follows, and judged at the horizon.

A prediction is made at the customer's own sampling times, never because of the event that could be its label, from
features of the state before that moment. Positives and negatives are released at the same age, horizon plus allowed
lateness, so the share of positives a learner sees is the true one.
"""

import hashlib
import struct

from msgspec import Struct

from needstream.models.scorer import Score
from needstream.schemas.signals import LabelledExample
from needstream.schemas.state import Ask, CustomerState, Prediction
from needstream.schemas.times import rfc3339
from needstream.streams.pipeline import timers
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.occasions import Occasion

_FLOAT_BYTES = 4


def feature_values(occasion: Occasion) -> tuple[float, ...]:
    """The feature vector as it is stored: single precision, in the pack's order."""
    state, at_ms, vector = occasion.state, occasion.at_ms, occasion.definitions.vector
    exact = [reading(state, at_ms) for reading in occasion.definitions.readings]
    values: tuple[float, ...] = vector.unpack(vector.pack(*exact))
    return values


def packed(values: tuple[float, ...]) -> bytes:
    """A vector for keeping: a bit per value that is not zero, then those values. Most are zero."""
    present = sum(1 << place for place, value in enumerate(values) if value)
    kept = [value for value in values if value]
    return present.to_bytes(_mask_bytes(len(values)), "little") + struct.pack(f"<{len(kept)}f", *kept)


def unpacked(kept: bytes, size: int) -> tuple[float, ...]:
    """The vector of ``size`` values that was packed."""
    width = _mask_bytes(size)
    present = int.from_bytes(kept[:width], "little")
    values = iter(struct.unpack(f"<{(len(kept) - width) // _FLOAT_BYTES}f", kept[width:]))
    return tuple(next(values) if present >> place & 1 else 0.0 for place in range(size))


class Outlook(Struct, frozen=True):
    """A customer's features at one moment, and what every model says of them."""

    values: tuple[float, ...]
    scores: dict[str, Score]


def outlook(occasion: Occasion) -> Outlook:
    """Look at the customer as the models do."""
    values = feature_values(occasion)
    return Outlook(values, occasion.scorer.scores(values))


def remember(occasion: Occasion, seen: Outlook) -> None:
    """Make one prediction with every model, to be judged later."""
    state, definitions = occasion.state, occasion.definitions
    asks: dict[str, Ask] = {}
    for model in definitions.models:
        said = seen.scores[model.declared.name]
        asks[model.declared.name] = Ask(occasion.at_ms + model.horizon_ms, said.probability, said.version)
    state.predictions.append(Prediction(occasion.at_ms, packed(seen.values), definitions.feature_set, asks))
    _arm(state, definitions)


def mark(state: CustomerState, fact: str, *, at_ms: int, definitions: Definitions) -> None:
    """Note a fact in every prediction whose horizon it falls into, both ends included.

    Timers ring before the events of their millisecond, so an event at the very moment of a prediction is not among its
    features. Marks commute, so a late fact marks as well as a punctual one.
    """
    if not state.predictions:
        return
    for model in definitions.marks.of(fact):
        name = model.declared.name
        for prediction in state.predictions:
            ask = prediction.asks.get(name)
            if ask is not None and prediction.made_ms <= at_ms <= ask.due_ms:
                ask.converted = True


def resolve(state: CustomerState, at_ms: int, *, definitions: Definitions) -> list[LabelledExample]:
    """Release every ask whose horizon and lateness have passed at ``at_ms``.

    Predictions of another feature list, or of a model that is declared no more, end without an example.
    """
    resolved = []
    released_ms = at_ms - definitions.allowed_lateness_ms
    meaning = {model.declared.name: model.label_when_seen for model in definitions.models}
    for prediction in state.predictions:
        due = [name for name, ask in prediction.asks.items() if ask.due_ms <= released_ms]
        if not due:
            continue
        is_current = prediction.feature_set == definitions.feature_set
        values = unpacked(prediction.features, len(definitions.readings)) if is_current else ()
        for name in due:
            ask = prediction.asks.pop(name)
            if name in meaning and is_current:
                resolved.append(
                    LabelledExample(
                        example_id=_example_id(state.customer_id, name, made_ms=prediction.made_ms),
                        customer_id=state.customer_id,
                        model=name,
                        features=values,
                        feature_set=prediction.feature_set,
                        score=ask.score,
                        model_version=ask.model_version,
                        label=ask.converted is meaning[name],
                        predicted_at=rfc3339(prediction.made_ms),
                        due_at=rfc3339(ask.due_ms),
                    )
                )
    state.released += len(resolved)
    state.predictions = [prediction for prediction in state.predictions if prediction.asks]
    _arm(state, definitions)
    return resolved


def _mask_bytes(size: int) -> int:
    return (size + 7) // 8


def _arm(state: CustomerState, definitions: Definitions) -> None:
    dues = [ask.due_ms for prediction in state.predictions for ask in prediction.asks.values()]
    if dues:
        due_ms = min(dues) + definitions.allowed_lateness_ms
        timers.arm(state, timers.LABEL, due_ms=due_ms, armed_by="")


def _example_id(customer_id: str, model: str, *, made_ms: int) -> str:
    name = f"{customer_id}\n{model}\n{made_ms}".encode()
    return hashlib.blake2b(name, digest_size=16).hexdigest()
