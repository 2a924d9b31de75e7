"""Which customer's alarm rings next: a heap with one live entry per customer."""

import heapq

_SLACK = 1_000
NEVER_MS = 2**62


class Alarms:
    """The earliest alarm of every customer.

    An entry that was replaced by an earlier one stays in the heap until its time comes; when such entries outnumber
    the live ones the heap is built anew, so memory follows the customers, not the events.

    Attributes:
        due_ms: when each customer is woken, to look at only.
        next_ms: when ``pop_due`` has something to look at again.
    """

    def __init__(self) -> None:
        self.next_ms = NEVER_MS
        self._heap: list[tuple[int, str]] = []
        self.due_ms: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._heap)

    def schedule(self, customer_id: str, due_ms: int) -> None:
        """Wake the customer at ``due_ms``, or earlier if that was asked for before: waking twice does no harm."""
        known_ms = self.due_ms.get(customer_id)
        if known_ms is None or due_ms < known_ms:
            self.due_ms[customer_id] = due_ms
            heapq.heappush(self._heap, (due_ms, customer_id))
            if len(self._heap) > 2 * len(self.due_ms) + _SLACK:
                self._heap = [(due_ms, customer_id) for customer_id, due_ms in self.due_ms.items()]
                heapq.heapify(self._heap)
            self.next_ms = self._heap[0][0]

    def pop_due(self, until_ms: int) -> tuple[int, str] | None:
        """Take out the earliest alarm due at or before ``until_ms``; ties in order of customer id."""
        due: tuple[int, str] | None = None
        while due is None and self._heap and self._heap[0][0] <= until_ms:
            due_ms, customer_id = heapq.heappop(self._heap)
            if self.due_ms.get(customer_id) == due_ms:
                del self.due_ms[customer_id]
                due = (due_ms, customer_id)
        self.next_ms = self._heap[0][0] if self._heap else NEVER_MS
        return due
