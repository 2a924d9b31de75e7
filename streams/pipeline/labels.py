"""Delayed labels: predictions are remembered, marked by what follows, and judged at the horizon.

A prediction is made at the customer's own sampling times, never because of the event that could be its label, from
features of the state before that moment. Positives and negatives are released at the same age, horizon plus allowed
lateness, so the share of positives a learner sees is the true one. Only a model with corrected feedback is told more
before: an assumption with the prediction, and once the opposite when something corrects it.
"""

import hashlib
from collections.abc import Iterable

from msgspec import Struct

from needstream.models.scorer import Score
from needstream.schemas.signals import LabelledExample, Quarantine, Stage
from needstream.schemas.state import Ask, CustomerState, Prediction
from needstream.schemas.times import rfc3339
from needstream.streams.pipeline import keeping, timers
from needstream.streams.pipeline.compiled_models import CompiledModel
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.occasions import Occasion

_SLICED_BY = ("tier", "age_band", "channel")

Assumption = tuple[Prediction, str]
"""A pending prediction and the model of which something is assumed."""


def feature_values(occasion: Occasion) -> tuple[float, ...]:
    """The feature vector as it is stored: single precision, in the pack's order."""
    state, at_ms, vector = occasion.state, occasion.at_ms, occasion.definitions.vector
    exact = [reading(state, at_ms) for reading in occasion.definitions.readings]
    values: tuple[float, ...] = vector.unpack(vector.pack(*exact))
    return values


class Outlook(Struct, frozen=True):
    """A customer's features at one moment, and what every model says of them."""

    values: tuple[float, ...]
    scores: dict[str, Score]


def outlook(occasion: Occasion) -> Outlook:
    """Look at the customer as the models do."""
    values = feature_values(occasion)
    return Outlook(values, occasion.scorer.scores(values, at_ms=occasion.at_ms))


def remember(occasion: Occasion, seen: Outlook) -> list[LabelledExample]:
    """Make one prediction with every model that asks about such a customer, to be judged later.

    Returns:
        For each model with corrected feedback the label that holds as long as nothing follows, as if it were known.
    """
    state, definitions, at_ms = occasion.state, occasion.definitions, occasion.at_ms
    contestants = occasion.scorer.contestants(seen.values)
    asks: dict[str, Ask] = {}
    for model in definitions.models:
        if not model.concerns(seen.values):
            continue
        name = model.declared.name
        said = seen.scores[name]
        kept = keeping.said_packed(contestants.get(name, {}))
        asks[name] = Ask(at_ms + model.horizon_ms, said.probability, said.version, contestants=kept)
    if not asks:
        return []
    prediction = Prediction(at_ms, keeping.packed(seen.values), definitions.feature_set, asks)
    state.predictions.append(prediction)
    _arm(state, at_ms, definitions=definitions)
    release = _Release(state, at_ms, stage="assumed")
    assumed = [
        release.of(model, asks[model.declared.name], prediction=prediction, values=seen.values)
        for model in definitions.corrected.values()
        if model.declared.name in asks
    ]
    state.released += len(assumed)
    return assumed


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


def assumptions(state: CustomerState, definitions: Definitions) -> list[Assumption]:
    """What is assumed and not corrected yet; to be asked for before facts are marked, for ``corrections`` after it."""
    if not definitions.corrected:
        return []
    return [
        (prediction, name)
        for prediction in state.predictions
        if prediction.feature_set == definitions.feature_set
        for name in definitions.corrected
        if name in prediction.asks and not prediction.asks[name].converted
    ]


def corrections(
    state: CustomerState, assumed: Iterable[Assumption], *, definitions: Definitions
) -> list[LabelledExample]:
    """The opposite of every assumption that has been marked since; each is said once, as a mark stays."""
    corrected = []
    for prediction, name in assumed:
        ask = prediction.asks[name]
        if ask.converted:
            release = _Release(state, state.clock_ms, stage="converted")
            values = keeping.unpacked(prediction.features, len(definitions.readings))
            corrected.append(release.of(definitions.corrected[name], ask, prediction=prediction, values=values))
    state.released += len(corrected)
    return corrected


def resolve(state: CustomerState, at_ms: int, *, definitions: Definitions) -> list[LabelledExample]:
    """Release every ask whose horizon and lateness have passed at ``at_ms``.

    Predictions of another feature list, or of a model that is declared no more, end without an example. What a decline
    is judged by is read when the horizon ends, so what happens while its release waits does not change it either.
    """
    resolved = []
    release = _Release(state, at_ms, stage="final")
    released_ms = at_ms - definitions.allowed_lateness_ms
    models = {model.declared.name: model for model in definitions.models}
    for prediction in state.predictions:
        _read_falls(state, prediction, at_ms=at_ms, definitions=definitions)
        due = [name for name, ask in prediction.asks.items() if ask.due_ms <= released_ms]
        if not due:
            continue
        is_current = prediction.feature_set == definitions.feature_set
        values = keeping.unpacked(prediction.features, len(definitions.readings)) if is_current else ()
        for name in due:
            ask = prediction.asks.pop(name)
            if name in models and is_current:
                resolved.append(release.of(models[name], ask, prediction=prediction, values=values))
    state.released += len(resolved)
    state.predictions = [prediction for prediction in state.predictions if prediction.asks]
    _arm(state, at_ms, definitions=definitions)
    return resolved


class _Release:
    """Writes the examples of one customer at one moment."""

    def __init__(self, state: CustomerState, at_ms: int, *, stage: Stage) -> None:
        self._customer_id = state.customer_id
        self._stage: Stage = stage
        traits = ((name, getattr(state.traits, name)) for name in _SLICED_BY)
        self._slices = {name: value for name, value in traits if value}
        self._quarantine: Quarantine = "suspected_bot" if at_ms < state.suspect_until_ms else ""

    def of(
        self, model: CompiledModel, ask: Ask, *, prediction: Prediction, values: tuple[float, ...]
    ) -> LabelledExample:
        """The example of one ask, with the label that its mark stands for."""
        name = model.declared.name
        return LabelledExample(
            example_id=_example_id(self._customer_id, name, made_ms=prediction.made_ms, stage=self._stage),
            customer_id=self._customer_id,
            model=name,
            features=values,
            feature_set=prediction.feature_set,
            score=ask.score,
            model_version=ask.model_version,
            label=ask.converted is model.label_when_seen,
            predicted_at=rfc3339(prediction.made_ms),
            due_at=rfc3339(ask.due_ms),
            contestants=keeping.said_unpacked(ask.contestants),
            stage=self._stage,
            slices=self._slices,
            quarantine=self._quarantine,
        )


def _read_falls(state: CustomerState, prediction: Prediction, *, at_ms: int, definitions: Definitions) -> None:
    """Read what declines are judged by, of the asks whose horizon has just ended."""
    if prediction.feature_set != definitions.feature_set:
        return
    for name, fall in definitions.falls.items():
        ask = prediction.asks.get(name)
        if ask is not None and at_ms == _read_ms(ask, definitions):
            values = keeping.unpacked(prediction.features, len(definitions.readings))
            ask.converted = fall.has_happened(state, ask.due_ms, values=values)


def _read_ms(ask: Ask, definitions: Definitions) -> int:
    """When a decline is read: after the events of the horizon's last millisecond, before those of the next."""
    return ask.due_ms + min(1, definitions.allowed_lateness_ms)


def _arm(state: CustomerState, at_ms: int, *, definitions: Definitions) -> None:
    """Set the alarm for the next thing there is to do after ``at_ms``: reading a decline, or a release."""
    lateness_ms = definitions.allowed_lateness_ms
    moments = [ask.due_ms + lateness_ms for prediction in state.predictions for ask in prediction.asks.values()]
    for name in definitions.falls:
        asks = (prediction.asks.get(name) for prediction in state.predictions)
        reads = (_read_ms(ask, definitions) for ask in asks if ask is not None)
        moments += [read_ms for read_ms in reads if read_ms > at_ms]
    if moments:
        timers.arm(state, timers.LABEL, due_ms=min(moments), armed_by="")


def _example_id(customer_id: str, model: str, *, made_ms: int, stage: Stage) -> str:
    words = [customer_id, model, str(made_ms)]
    name = "\n".join(words if stage == "final" else [*words, stage]).encode()
    return hashlib.blake2b(name, digest_size=16).hexdigest()
