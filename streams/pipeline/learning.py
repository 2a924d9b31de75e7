"""What a pack declares of how its models learn, in the terms of the learner."""

from needstream.models.rules import Rules
from needstream.streams.pipeline.definitions import CompiledModel, Definitions


def rules(definitions: Definitions) -> dict[str, Rules]:
    """The rules of every model by name; the first one's examples also tell what is usual among all customers."""
    return {
        model.declared.name: _rules(model, definitions, watches=place == 0)
        for place, model in enumerate(definitions.models)
    }


def _rules(model: CompiledModel, definitions: Definitions, *, watches: bool) -> Rules:
    declared = model.declared
    assumes = None if declared.feedback == "at_horizon" else not model.label_when_seen
    return Rules(
        champion=declared.champion,
        challengers=declared.challengers,
        promotion=definitions.pack.promotion,
        target=declared.threshold,
        enter_score=declared.enter_score,
        horizon_ms=model.horizon_ms,
        assumes=assumes,
        watches=watches,
    )
