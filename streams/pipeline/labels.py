"""Delayed labels: predictions are remembered, marked by what follows, and judged at the horizon.

A prediction is made at the customer's own sampling times, never because of the event that could be its label, from
features of the state before that moment. Positives and negatives are released at the same age, horizon plus allowed
lateness, so the share of positives a learner sees is the true one. Only a model with corrected feedback is told more
before: an assumption with the prediction, and once the opposite when something corrects it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

from msgspec import Struct

from needstream.models.scorer import Sight
from needstream.schemas import pending
from needstream.schemas.pending import Ask, Pending, Prediction, Shared
from needstream.schemas.signals import LabelledExample, Quarantine, Stage
from needstream.schemas.state import CustomerState
from needstream.schemas.times import rfc3339
from needstream.streams.pipeline import keeping, timers
from needstream.streams.pipeline.compiled_models import CompiledModel
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.occasions import Occasion

_SLICED_BY = ("tier", "age_band", "channel")

Assumption = tuple[Pending, str]
"""A pending prediction and the model of which something is assumed."""


def feature_values(occasion: Occasion) -> tuple[float, ...]:
    """The feature vector as it is stored: single precision, in the pack's order."""
    definitions = occasion.definitions
    vector = definitions.vector
    exact = definitions.feature_vector(occasion.state, occasion.at_ms)
    values: tuple[float, ...] = vector.unpack(vector.pack(*exact))
    return values


class Outlook(Struct, frozen=True):
    """A customer's features at one moment, and what every model says of them."""

    values: tuple[float, ...]
    said: Sight


def outlook(occasion: Occasion) -> Outlook:
    """Look at the customer as the models do."""
    values = feature_values(occasion)
    return Outlook(values, occasion.scorer.look(values, at_ms=occasion.at_ms))


def sample(occasion: Occasion) -> Outlook:
    """Look at the customer as all contestants do, for a prediction that is remembered."""
    values = feature_values(occasion)
    return Outlook(values, occasion.scorer.sample(values, at_ms=occasion.at_ms))


def remember(occasion: Occasion, seen: Outlook) -> list[LabelledExample]:
    """Make one prediction with every model that asks about such a customer, to be judged later.

    Returns:
        For each model with corrected feedback the label that holds as long as nothing follows, as if it were known.
    """
    state, definitions, at_ms = occasion.state, occasion.definitions, occasion.at_ms
    scores = seen.said.scores()
    recorded = dict(zip(seen.said.warm(), keeping.said_packed(seen.said.levels()), strict=True))
    asks: dict[str, Ask] = {}
    for model in definitions.models:
        if not model.concerns(seen.values):
            continue
        name = model.name
        said = scores[name]
        asks[name] = Ask(at_ms + model.horizon_ms, said.probability, said.version, contestants=recorded.get(name, b""))
    if not asks:
        return []
    prediction = Prediction(at_ms, keeping.packed(seen.values), definitions.feature_set, asks)
    packed, state.shared = pending.packed(prediction, pending.tidied(state.predictions, state.shared))
    state.predictions.append(packed)
    _arm(state, at_ms, definitions=definitions)
    if not definitions.corrected:
        return []
    release = _Release(state, at_ms, stage="assumed")
    assumed = [
        release.of(model, asks[name], prediction=prediction, values=seen.values)
        for name, model in definitions.corrected.items()
        if name in asks
    ]
    state.released += len(assumed)
    return assumed


def mark(state: CustomerState, fact: str, *, at_ms: int, definitions: Definitions) -> None:
    """Note a fact in the predictions of every model that waits for it, see ``mark_models``."""
    mark_models(state, [model.name for model in definitions.marks.of(fact)], at_ms=at_ms)


def mark_models(state: CustomerState, names: Sequence[str], *, at_ms: int) -> None:
    """Note that what some models wait for has happened, in every prediction of theirs whose horizon it falls into.

    Both ends of a horizon are included. Timers ring before the events of their millisecond, so an event at the very
    moment of a prediction is not among its features. Marks commute, so a late fact marks as well as a punctual one.
    """
    if not state.predictions:
        return
    predictions, shared = state.predictions, pending.shared_in(state.shared)
    # A device's history may have come from ahead of its owner's clock.
    is_in_order = at_ms >= state.clock_ms and not state.devices
    for name in names:
        pending.mark(predictions, shared, name=name, at_ms=at_ms, is_in_order=is_in_order)


def assumptions(state: CustomerState, definitions: Definitions) -> list[Assumption]:
    """What is assumed and not corrected yet; to be asked for before facts are marked, for ``corrections`` after it."""
    if not definitions.corrected:
        return []
    shared = pending.shared_in(state.shared)
    return [
        (packed, name)
        for packed in state.predictions
        if shared.feature_sets[packed.feature_set] == definitions.feature_set
        for name in definitions.corrected
        if pending.is_marked(packed, shared, name=name) is False
    ]


def corrections(
    state: CustomerState, assumed: Iterable[Assumption], *, definitions: Definitions
) -> list[LabelledExample]:
    """The opposite of every assumption that has been marked since; each is said once, as a mark stays."""
    corrected = []
    shared = pending.shared_in(state.shared)
    for packed, name in assumed:
        if pending.is_marked(packed, shared, name=name):
            prediction = pending.opened(packed, shared)
            ask = prediction.asks[name]
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
    released_ms, models = at_ms - definitions.allowed_lateness_ms, definitions.by_model
    shared = pending.shared_in(state.shared)
    if definitions.falls:
        _read_falls(state, shared, at_ms=at_ms, definitions=definitions)
    for due in pending.due(state.predictions, shared, until_ms=released_ms):
        if due.feature_set != definitions.feature_set:
            continue
        values = keeping.unpacked(due.features, len(definitions.readings))
        for name, ask in due.asks.items():
            if name in models:
                resolved.append(release.of(models[name], ask, prediction=due, values=values))
    state.released += len(resolved)
    state.predictions = [packed for packed in state.predictions if packed.places]
    _arm(state, at_ms, definitions=definitions)
    return resolved


class _Release:
    """Writes the examples of one customer at one moment."""

    def __init__(self, state: CustomerState, at_ms: int, *, stage: Stage) -> None:
        self._customer_id = state.customer_id
        traits = state.traits
        self._slices = {name: value for name in _SLICED_BY if (value := getattr(traits, name))}
        self._stage: Stage = stage
        self._quarantine: Quarantine = "suspected_bot" if at_ms < state.suspect_until_ms else ""

    def of(
        self, model: CompiledModel, ask: Ask, *, prediction: Prediction, values: tuple[float, ...]
    ) -> LabelledExample:
        """The example of one ask, with the label that its mark stands for."""
        return LabelledExample(
            example_id=_example_id(self._customer_id, model.name, made_ms=prediction.made_ms, stage=self._stage),
            customer_id=self._customer_id,
            model=model.name,
            features=values,
            feature_set=prediction.feature_set,
            score=ask.score,
            model_version=ask.model_version,
            label=ask.converted is model.label_when_seen,
            predicted_at=_rfc3339(prediction.made_ms),
            due_at=_rfc3339(ask.due_ms),
            contestants=keeping.said_unpacked(ask.contestants),
            stage=self._stage,
            slices=self._slices,
            quarantine=self._quarantine,
        )


_rfc3339 = lru_cache(maxsize=8)(rfc3339)
"""The asks of one prediction share their times."""


def _read_falls(state: CustomerState, shared: Shared, *, at_ms: int, definitions: Definitions) -> None:
    """Read what declines are judged by, of the asks whose horizon has just ended."""
    ended_ms = at_ms - _read_after_ms(definitions)
    for name, fall in definitions.falls.items():
        for packed in pending.ending(state.predictions, shared, name=name, at_ms=ended_ms):
            if shared.feature_sets[packed.feature_set] == definitions.feature_set:
                values = keeping.unpacked(packed.features, len(definitions.readings))
                has_happened = fall.has_happened(state, ended_ms, values=values)
                pending.set_mark(packed, shared, name=name, marked=has_happened)


def _read_after_ms(definitions: Definitions) -> int:
    """How long after a horizon a decline is read: after the events of its last moment, before those of the next."""
    return min(1, definitions.allowed_lateness_ms)


def _arm(state: CustomerState, at_ms: int, *, definitions: Definitions) -> None:
    """Set the alarm for the next thing there is to do after ``at_ms``: reading a decline, or a release."""
    shared = pending.shared_in(state.shared)
    next_ms = pending.earliest_due_ms(state.predictions, shared) + definitions.allowed_lateness_ms
    if next_ms >= pending.NEVER_MS:
        return
    read_after_ms = _read_after_ms(definitions)
    for name in definitions.falls:
        end_ms = pending.next_end_ms(state.predictions, shared, name=name, after_ms=at_ms - read_after_ms)
        next_ms = min(next_ms, end_ms + read_after_ms)
    timers.arm(state, timers.LABEL, due_ms=next_ms, armed_by="")


def _example_id(customer_id: str, model: str, *, made_ms: int, stage: Stage) -> str:
    name = f"{customer_id}\n{model}\n{made_ms}" if stage == "final" else f"{customer_id}\n{model}\n{made_ms}\n{stage}"
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
