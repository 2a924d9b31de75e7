"""What a scaling run does: parts and sizes, and what all parts share."""

from pathlib import Path

import msgspec

from needstream.bench import stock

PARTS = ("workers", "customers", "skew", "learning", "growth")
MILLION = 1_000_000


class ScalePlan(msgspec.Struct, frozen=True, kw_only=True):
    """The choices of one run.

    Attributes:
        events: how many are drained in each measurement, but in the growth part.
        sizes: how many customers there are in state, for the part of that name; the others have the smallest but one.
        stores: where states rest in the customers part; the other parts take the first.
        rounds: how often each measurement of the customers part is made.
        growth_events: how many events the growth part sends in all; compared with the first tenth of them.
        growth_customers: whose events these are.
        work: folder the growth part keeps, so that it can be gone on with; a temporary one without it.
    """

    parts: tuple[str, ...] = PARTS
    events: int = 200_000
    sizes: tuple[int, ...] = (10_000, 100_000, MILLION)
    stores: tuple[str, ...] = ("rocksdict://", "memory://")
    rounds: int = 1
    growth_events: int = 10 * MILLION
    growth_customers: int = 10_000
    hot_share: float = 0.01
    seed: int = 7
    broker: str = "embedded"
    bank: stock.Bank = stock.Bank()
    work: Path | None = None
    output: Path = Path("bench/results")

    @property
    def customers(self) -> int:
        """How many customers the parts have that do not compare their number."""
        return sorted(self.sizes)[min(1, len(self.sizes) - 1)]


def checked(plan: ScalePlan) -> ScalePlan:
    """The plan itself.

    Raises:
        ValueError: a part or a store that is not known, or no size at all.
    """
    unknown = [part for part in plan.parts if part not in PARTS]
    if unknown:
        msg = f"{unknown[0]!r} is unknown; valid are {', '.join(PARTS)}"
        raise ValueError(msg)
    stores = [store for store in plan.stores if store not in ("rocksdict://", "memory://")]
    if stores or not plan.stores:
        msg = f"{stores[0] if stores else ''!r} is no store; valid are rocksdict:// and memory://"
        raise ValueError(msg)
    if not plan.sizes or min(plan.sizes) < 1:
        msg = "at least one number of customers is needed, each at least 1"
        raise ValueError(msg)
    return plan
