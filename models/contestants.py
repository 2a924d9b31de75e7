"""The kinds of models that learn the same examples and are compared: how each begins and resumes.

In go a kind and what it last exported, out comes a learner behind one interface. What a contestant
exports is numbers only, and says what the contestant says.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol, assert_never

from needstream.models import batch, linear, pair_model, trees
from needstream.models.batch import BatchContestant
from needstream.models.calibration import IDENTITY, Calibration
from needstream.models.forest import ForestContestant
from needstream.models.linear import LinearModel
from needstream.models.online_model import OnlineModel
from needstream.models.pair import PairClassifier
from needstream.models.pair_model import PairModel
from needstream.models.replayed import ReplayedPair
from needstream.models.trees import TreesModel

Exported = PairModel | LinearModel | TreesModel
"""What a contestant may export; the tag ``kind`` tells which, so it can stand as a field of a Struct."""


class Contestant(Protocol):
    """A learner of one model; mutable, not thread-safe, owned by one writer."""

    kind: ClassVar[str]

    @property
    def name(self) -> str:
        """What the model is called in its pack."""

    @property
    def examples(self) -> int:
        """Examples learned."""

    @property
    def positives(self) -> int:
        """Examples learned whose label was true."""

    def logit(self, values: Sequence[float]) -> float:
        """The raw logit for ``values`` in feature order; no example is learned by asking."""

    def learn(self, values: Sequence[float], label: bool, *, weight: float = 1.0) -> None:
        """Learn one matured example; ``weight`` is as how many it counts, 0 to 100."""

    def recall(self, values: Sequence[float], label: bool) -> None:
        """Take again an example that was learned before a restart, oldest first."""

    def export(self, *, calibrated: Calibration = IDENTITY) -> Exported:
        """The model as it stands, as numbers, with the calibration that goes with it."""


_Begin = Callable[[str, tuple[str, ...]], Contestant]

_BEGIN: dict[str, _Begin] = {
    "pair": PairClassifier,
    "replayed": ReplayedPair,
    "linear": OnlineModel,
    "forest": ForestContestant,
    "batch": BatchContestant,
}

_REBUILT = ("forest", "batch")


def is_available(kind: str) -> bool:
    """Whether a contestant of ``kind`` can learn here."""
    return kind in _BEGIN and (kind != "batch" or batch.is_available())


def is_rebuilt(kind: str) -> bool:
    """Whether a contestant of ``kind`` has to be shown every example again after a restart."""
    return kind in _REBUILT


def keeps_examples(kind: str) -> bool:
    """Whether a contestant of ``kind`` looks at examples more than once, each as one, whatever it weighed at first."""
    return kind == "replayed" or is_rebuilt(kind)


def begin(kind: str, name: str, *, features: Sequence[str]) -> Contestant:
    """A contestant that has learned nothing yet.

    Raises:
        ValueError: no such kind, or it cannot learn here.
    """
    if not is_available(kind):
        able = ", ".join(filter(is_available, sorted(_BEGIN)))
        msg = f"model {name}: no contestant of kind {kind!r} can learn here, only {able}"
        raise ValueError(msg)
    return _BEGIN[kind](name, tuple(features))


def resume(kind: str, exported: Exported) -> Contestant:
    """A contestant that goes on where ``exported`` stood; one that ``is_rebuilt`` begins anew.

    Those whose memory is examples have to be given the past ones (``recall``) before anything else.

    Raises:
        ValueError: no such kind, it cannot learn here, or ``exported`` is none of its.
    """
    match kind, exported:
        case "pair", PairModel():
            return PairClassifier.restore(exported)
        case "replayed", PairModel():
            return ReplayedPair.restore(exported)
        case "linear", LinearModel():
            return OnlineModel.restore(exported)
        case _, TreesModel() if is_rebuilt(kind):
            return begin(kind, exported.name, features=exported.features)
    msg = f"model {exported.name}: a contestant of kind {kind!r} cannot go on from a model of kind {exported.kind!r}"
    raise ValueError(msg)


def is_of(kind: str, exported: Exported) -> bool:
    """Whether a contestant of ``kind`` exports such a model."""
    match exported:
        case PairModel():
            return kind in ("pair", "replayed")
        case LinearModel():
            return kind == "linear"
        case TreesModel():
            return is_rebuilt(kind)
        case _:
            assert_never(exported)


def check(exported: Exported) -> None:
    """See that ``exported`` is one that can have been learned, and scored.

    Raises:
        ValueError: says what no model of its kind can be.
    """
    match exported:
        case PairModel():
            pair_model.check(exported)
        case LinearModel():
            linear.check(exported)
        case TreesModel():
            trees.check(exported)
        case _:
            assert_never(exported)
