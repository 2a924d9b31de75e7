"""The newest example ids a learner has seen: an example that is sent again after a crash is learned once.

The window is bounded and stated. A repeated round sends at most what one round can release, and sends it soon after.
"""

from collections import OrderedDict
from collections.abc import Iterable

REMEMBERED_EXAMPLES = 20_000
"""How many examples back a repeated one is recognised."""


class RecentIds:
    """A bounded memory of ids; the oldest go first."""

    def __init__(self, most: int = REMEMBERED_EXAMPLES) -> None:
        self._most = most
        self._ids: OrderedDict[str, None] = OrderedDict()

    def is_new(self, example_id: str) -> bool:
        """Whether the id is not remembered; it is from now on."""
        if example_id in self._ids:
            return False
        self._ids[example_id] = None
        if len(self._ids) > self._most:
            self._ids.popitem(last=False)
        return True

    def remember(self, example_ids: Iterable[str]) -> None:
        """Take note of ids, oldest first."""
        for example_id in example_ids:
            self.is_new(example_id)
