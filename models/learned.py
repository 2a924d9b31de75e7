"""What every exported model says of itself, whatever its kind, and what no model can say.

A model is a frozen Struct of plain numbers with the tag ``kind``; it travels as JSON, in which equal
models give equal bytes. The bounds of the number types keep a score from overflowing.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from needstream.models.calibration import IDENTITY, Calibration, is_definite
from needstream.models.logistic import sigmoid
from needstream.schemas.signals import Total

LARGEST = 1e6
"""Above any number that can be learned from examples that fit a topic."""

Number = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
Amount = Annotated[float, Meta(ge=0)]
Spread = Annotated[float, Meta(ge=0, le=LARGEST)]


class Learned(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """The part that is equal in every kind.

    ``version`` is the number of examples learned, ``positives`` how many of them were true.
    ``calibration`` is the line that goes with the raw logits; ``logit`` and ``score`` do not apply it.
    """

    kind: ClassVar[str]
    name: str
    version: Total
    positives: Total
    features: tuple[str, ...]
    calibration: Calibration = IDENTITY

    def logit(self, values: Sequence[float]) -> float:
        """The raw logit for ``values`` in feature order.

        Raises:
            ValueError: not one value per feature.
        """
        # Every kind has its own; none is only ``Learned``.
        raise NotImplementedError

    def score(self, values: Sequence[float]) -> float:
        """The uncalibrated probability for ``values`` in feature order, between 0 and 1."""
        return sigmoid(self.logit(values))


def check(model: Learned) -> None:
    """See that what ``model`` says of itself can be; its kind has a ``check`` for the rest.

    Raises:
        ValueError: says what no model can be.
    """
    if len(set(model.features)) != len(model.features):
        msg = "it names a feature twice"
        raise ValueError(msg)
    if model.positives > model.version:
        msg = "it has more positives than examples"
        raise ValueError(msg)
    if model.calibration.positives > model.calibration.labels:
        msg = "its calibration has more positives than labels"
        raise ValueError(msg)
    if not is_definite(model.calibration):
        msg = "its calibration has a curvature that no labels give"
        raise ValueError(msg)
