"""What can be chosen about a simulation, with the default population; values are checked once, here."""

import dataclasses

from needstream.simulation import timeline

DEFAULT_START_MS = timeline.parse("2025-01-06T00:00:00Z")
MOST_SCREENS_PER_DAY = 200
"""On average; beyond it somebody's visits would fill the day."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SimulationParameters:
    """The choices of one simulation; equal parameters give equal bytes.

    Shares are of the customers unless they say otherwise, 0 to 1.  ``start_ms`` is midnight UTC of the first day.
    """

    seed: int = 7
    customers: int = 2_000
    days: int = 120
    start_ms: int = DEFAULT_START_MS
    plant_share: float = 0.027
    """Customers per scenario with a need planted to be found."""
    near_miss_share: float = 0.014
    """Customers per scenario who come close and must not be signalled."""
    churner_share: float = 0.075
    latent_share: float = 0.13
    """Customers per need with a latent need, about half of whom convert."""
    marketing_granted_share: float = 0.92
    bots: int = 8
    anonymous_visitors: int = 60
    """Visitors who browse and never log in."""
    late_share: float = 0.01
    """Share of the events that arrive up to 10 minutes after the others of their time."""
    very_late_share: float = 0.0003
    """Share of the ordinary page views that arrive hours to two days late."""
    duplicate_share: float = 0.005
    screens_per_day: float = 0.0
    """Mean number of further plain screens per customer and day, on visits of about ten each; 0 for none of them.

    Without it a customer comes about once a week and looks at a few pages, which is what the plants were made for. With
    it the same customer also comes to see the balance or to pay: more for who is online often, never at a product.
    """
    malformed: int = 0
    """Records nobody can read, sprinkled over the whole time."""

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated.

        Raises:
            ValueError: a value is out of its range; the message names it.
        """
        if self.customers < 1 or self.days < 1:
            message = f"customers and days must be at least 1, not {self.customers} and {self.days}"
            raise ValueError(message)
        if self.start_ms % timeline.DAY_MS:
            message = f"start_ms must be midnight UTC, not {timeline.rfc3339(self.start_ms)}"
            raise ValueError(message)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_share") and not 0 <= value <= 1:
                message = f"{field.name} must lie within 0 and 1, not {value}"
                raise ValueError(message)
            if field.name == "screens_per_day" and not 0 <= value <= MOST_SCREENS_PER_DAY:
                message = f"{field.name} must lie within 0 and {MOST_SCREENS_PER_DAY}, not {value}"
                raise ValueError(message)
            if field.name in ("bots", "anonymous_visitors", "malformed") and value < 0:
                message = f"{field.name} must not be negative, not {value}"
                raise ValueError(message)

    @property
    def end_ms(self) -> int:
        """The first moment after the last day."""
        return self.start_ms + self.days * timeline.DAY_MS

    @property
    def first_day_number(self) -> int:
        """The first day, counted from 1970-01-01."""
        return self.start_ms // timeline.DAY_MS

    def at(self, day: int, offset_ms: int = 0) -> int:
        """Return the time ``offset_ms`` after the midnight that begins a day counted from 0."""
        return self.start_ms + day * timeline.DAY_MS + offset_ms
