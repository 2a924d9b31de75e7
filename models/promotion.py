"""The contest that decides which contestant is served: a challenger takes over once it is surely better.

In go the log losses of one matured example by contestant, out comes a promotion or None. Only examples
that both the champion and a challenger were asked about count; their differences (champion minus
challenger) are held within +-``BOUND`` nats. A challenger takes over when a lower confidence bound of
its mean difference is above the margin, with the risk of the rule however often one looks.

The bound. For x >= -c, 0 <= u < 1/c and p(u) = (-log(1 - cu) - cu) / c^2 it holds that
exp(ux - p(u) x^2) <= 1 + ux (Fan et al., 2015), so with x the differences less the margin
exp(u (sum x - sum of their expectations) - p(u) sum x^2) is a supermartingale, and with Ville's
inequality, for all n at once and except with probability r,

    mean > margin + (u sum x - p(u) sum x^2 - log(1/r)) / (un).

It is the empirical Bernstein bound of Howard et al. (2021) around a fixed centre. The best of
``_RATES`` is taken, each with its share of r. What is bounded is the average, over the examples
of one test, of the differences expected at the time; it needs no equal distribution.

The world turns. A test that never ends would weigh old examples for ever, so each challenger has one for
every span: the endless one, and some that start anew after so many examples. The risk is divided by
challengers, spans and rates; the k-th test of a span gets 1/(k(k+1)) of its share, which sums to one. So
the risk holds for a whole reign: from one promotion, after which all evidence starts anew, to the next.
The former champion stays in the race and comes back by the same rule.

Dependence. The proof wants examples whose differences cannot be expected from the earlier ones. Examples
of one day or one customer are not like that, so the evidence is divided by how much the sums of blocks of
8, 32 and 128 successive examples vary beyond what independent ones would, never by less than 1. For
independent examples the risk stays proven; for dependent ones it is approximate, and dependence over
more than some hundred examples, or of a new test with few blocks, is not seen.
"""

from collections.abc import Iterable, Mapping
from math import isfinite, log
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct, field

from needstream.schemas import pack
from needstream.schemas.signals import Total

BOUND = 3.0
"""Nats; larger differences count as this, which only misses with 20 times other odds can have.

A challenger must be ahead in the differences as they are, too, over the test that decides.
"""

SPANS = (2_000, 12_000, 0)
"""After how many examples a test starts anew, at least twice the fewest that a promotion needs; 0: never."""

BLOCKS = (8, 32, 128)
_FEWEST_BLOCKS = 16
_RATES = (0.8, 0.4, 0.2, 0.1, 0.05, 0.025)

_LARGEST = 100.0
"""Nats; the log losses of scores are far below, and sums of such differences stay finite."""

Sum = Annotated[float, Meta(ge=-1e15, le=1e15)]
Squares = Annotated[float, Meta(ge=0, le=1e18)]


class Block(Struct, frozen=True):
    """Blocks of successive examples: the sum of the open one, and of the squares of the sums of full ones."""

    open: Sum = 0.0
    squares: Squares = 0.0


class TrialState(Struct, frozen=True, kw_only=True):
    """The sums of one running test; ``starts`` counts the tests of this span before it, ``raw`` is not bounded."""

    starts: Total = 0
    examples: Total = 0
    total: Sum = 0.0
    squares: Squares = 0.0
    raw: Sum = 0.0
    blocks: tuple[Block, Block, Block] = (Block(), Block(), Block())


class ContestState(Struct, frozen=True, kw_only=True):
    """Who is served, and the tests of each challenger against it, in the order of ``SPANS``."""

    champion: str = ""
    trials: dict[str, tuple[TrialState, ...]] = field(default_factory=dict)


class Promotion(Struct, frozen=True, kw_only=True):
    """A challenger took over. ``gain`` is by how much its log loss was lower, in nats per example.

    It is the mean over the ``examples`` of the test that decided; except with the risk of the rule it is
    ``at_least`` so much.
    """

    champion: str
    previous: str
    examples: int
    gain: float
    at_least: float

    def figures(self) -> dict[str, float]:
        """The figures by name."""
        return {"examples": float(self.examples), "gain": self.gain, "at_least": self.at_least}


class _Rate(NamedTuple):
    """One ``u`` of the bound, with its ``p(u)``."""

    by_sum: float
    by_squares: float


class _Trial:
    """The running test of one challenger against the champion, over one span."""

    def __init__(self, state: TrialState) -> None:
        self.starts, self.examples = state.starts, state.examples
        self.total, self.squares, self.raw = state.total, state.squares, state.raw
        self._open = [block.open for block in state.blocks]
        self._full = [block.squares for block in state.blocks]

    def take(self, raw: float, bounded: float) -> None:
        self.examples += 1
        self.raw += raw
        self.total += bounded
        self.squares += bounded * bounded
        for place, size in enumerate(BLOCKS):
            self._open[place] += bounded
            if self.examples % size == 0:
                self._full[place] += self._open[place] * self._open[place]
                self._open[place] = 0.0

    def lower(self, *, margin: float, surprise: float, rates: tuple[_Rate, ...]) -> float | None:
        """The lower bound of the mean difference; None where it is not above the margin.

        ``surprise`` is the logarithm of one over the risk.
        """
        examples = self.examples
        excess = self.total - examples * margin
        squares = max(0.0, self.squares - 2 * margin * self.total + examples * margin * margin)
        evidence = [by_sum * excess - by_squares * squares for by_sum, by_squares in rates]
        # The dependence only makes it dearer, and few looks come as far as here.
        if max(evidence) <= surprise:
            return None
        price = surprise * self.dependence()
        above = max((each - price) / rate.by_sum for each, rate in zip(evidence, rates, strict=True))
        return margin + above / examples if above > 0.0 else None

    def dependence(self) -> float:
        """How many times more the sums of blocks vary than those of independent examples; at least 1."""
        mean = self.total / self.examples
        variance = self.squares / self.examples - mean * mean
        most = 1.0
        if variance <= 0.0:
            return most
        for size, still_open, full in zip(BLOCKS, self._open, self._full, strict=True):
            count = self.examples // size
            if count >= _FEWEST_BLOCKS:
                centre = (self.total - still_open) / count
                most = max(most, (full / count - centre * centre) / (size * variance))
        return most

    def export(self) -> TrialState:
        first, second, third = (Block(*sums) for sums in zip(self._open, self._full, strict=True))
        return TrialState(
            starts=self.starts,
            examples=self.examples,
            total=self.total,
            squares=self.squares,
            raw=self.raw,
            blocks=(first, second, third),
        )


class Contest:
    """One model's contestants. Mutable, one writer; equal losses in equal order give equal promotions.

    Kinds of a ``state`` that are not among ``kinds`` are dropped, and those it does not have start at zero; its
    champion is served if it is among them, else ``champion``. The risk is divided among the challengers as
    they are now: where they change during a reign, it holds only for those that were there all along.

    Raises:
        ValueError: ``champion`` is not one of ``kinds``.
    """

    def __init__(
        self, kinds: Iterable[str], *, champion: str, rule: pack.Promotion, state: ContestState | None = None
    ) -> None:
        self._kinds = tuple(dict.fromkeys(kinds))
        if champion not in self._kinds:
            msg = f"champion {champion!r} is not one of the contestants"
            raise ValueError(msg)
        self._rule = rule
        self._spans = tuple(max(span, 2 * rule.min_examples) if span else 0 for span in SPANS)
        self._rates = _rates(BOUND + rule.margin)
        self.champion = champion
        known: dict[str, tuple[TrialState, ...]] = {}
        # Sums against another champion say nothing about this one.
        if state is not None and state.champion in self._kinds:
            self.champion, known = state.champion, state.trials
        self._trials = self._start(known)

    def observe(self, losses: Mapping[str, float]) -> Promotion | None:
        """Take the log losses (nats, by kind) of one matured example, of those who were asked about it.

        Losses that are not finite and unknown kinds are ignored. Of several challengers that are
        ready at the same example, the one with the highest bound takes over.
        """
        served = losses.get(self.champion)
        if served is None or not isfinite(served):
            return None
        promoted: Promotion | None = None
        for kind, trials in self._trials.items():
            loss = losses.get(kind)
            if loss is None or not isfinite(loss):
                continue
            raw, bounded = _within(served - loss, _LARGEST), _within(served - loss, BOUND)
            for place, span in enumerate(self._spans):
                trial = trials[place]
                trial.take(raw, bounded)
                found = self._judge(trial, kind)
                if found is not None and (promoted is None or found.at_least > promoted.at_least):
                    promoted = found
                if span and trial.examples >= span:
                    trials[place] = _Trial(TrialState(starts=trial.starts + 1))
        if promoted is not None:
            self.champion = promoted.champion
            self._trials = self._start({})
        return promoted

    def export(self) -> ContestState:
        """The contest as it stands, as numbers; one that is restored from them goes on as if it had not stopped."""
        trials = {kind: tuple(trial.export() for trial in trials) for kind, trials in self._trials.items()}
        return ContestState(champion=self.champion, trials=trials)

    def _judge(self, trial: _Trial, kind: str) -> Promotion | None:
        margin, examples = self._rule.margin, trial.examples
        ahead = examples * margin
        # The cheap questions first: most looks end here.
        if examples < self._rule.min_examples or trial.total <= ahead or trial.raw <= ahead:
            return None
        shares = len(self._trials) * len(self._spans) * len(_RATES) * (trial.starts + 1) * (trial.starts + 2)
        lower = trial.lower(margin=margin, surprise=log(shares / self._rule.risk), rates=self._rates)
        if lower is None:
            return None
        return Promotion(
            champion=kind,
            previous=self.champion,
            examples=examples,
            gain=trial.total / examples,
            at_least=lower,
        )

    def _start(self, known: Mapping[str, tuple[TrialState, ...]]) -> dict[str, list[_Trial]]:
        started: dict[str, list[_Trial]] = {}
        for kind in self._kinds:
            if kind == self.champion:
                continue
            states = known.get(kind, ())
            if len(states) != len(self._spans):
                states = (TrialState(),) * len(self._spans)
            started[kind] = [_Trial(state) for state in states]
        return started


def _rates(largest: float) -> tuple[_Rate, ...]:
    """The rates for differences not below minus ``largest``."""
    return tuple(_Rate(share / largest, (-log(1 - share) - share) / largest**2) for share in _RATES)


def _within(number: float, bound: float) -> float:
    return max(-bound, min(bound, number))
