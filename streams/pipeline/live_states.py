"""The states a partition has decoded already, so that a customer who comes back soon is not decoded again.

In go states as they were stored, out they come equal to what decoding the stored bytes would give. The invariant: a
state is here only while it equals its snapshot in the store, so whoever is going to change one takes it out first.
"""

from collections import OrderedDict
from typing import Protocol

from needstream.schemas import state as states
from needstream.schemas.state import CustomerState

MOST_LIVE = 4_096
"""How many states of a partition stay decoded; one that is known for long weighs about 8 KB."""


class Stored(Protocol):
    """Where states rest: state key to snapshot bytes."""

    def get(self, customer_id: str) -> bytes | None:
        """The stored snapshot, None for an unknown customer."""
        ...


class LiveStates:
    """The most recently used states over a store.

    Args:
        store: read only.
        most: how many states stay; 0 decodes every time.
    """

    def __init__(self, store: Stored, *, most: int = MOST_LIVE) -> None:
        self._store = store
        self._most = most
        self._live: OrderedDict[str, CustomerState] = OrderedDict()

    def __len__(self) -> int:
        return len(self._live)

    def get(self, key: str) -> CustomerState | None:
        """The stored state, to look at; None for an unknown customer.

        Raises:
            StateVersionError: the snapshot cannot be read.
        """
        state = self._live.get(key)
        if state is None:
            stored = self._store.get(key)
            if stored is None:
                return None
            state = states.restore(stored)
            self.keep(key, state)
        return state

    def take_out(self, key: str) -> None:
        """Forget a state: it is going to differ from what is stored."""
        self._live.pop(key, None)

    def keep(self, key: str, state: CustomerState) -> None:
        """Keep a state that equals what is stored, in the place of the one that was not used for longest."""
        live = self._live
        live[key] = state
        live.move_to_end(key)
        if len(live) > self._most:
            live.popitem(last=False)
