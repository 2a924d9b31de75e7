"""The watermark of one partition: event time below which nothing on time is expected any more."""


class Watermark:
    """Newest event time less the allowed lateness; it never goes back.

    Idle partitions advance by ``tick``. ``at_ms`` is None before the first event.
    """

    def __init__(self, allowed_lateness_ms: int) -> None:
        self._allowed_lateness_ms = allowed_lateness_ms
        self.at_ms: int | None = None
        self.newest_ms: int | None = None

    def observe(self, event_time_ms: int) -> None:
        """Take an event's time into account."""
        newest_ms = self.newest_ms
        if newest_ms is None or event_time_ms > newest_ms:
            self.newest_ms = event_time_ms
            at_ms = event_time_ms - self._allowed_lateness_ms
            if self.at_ms is None or at_ms > self.at_ms:
                self.at_ms = at_ms

    def tick(self, at_ms: int) -> None:
        """Advance to ``at_ms`` if that is forward."""
        if self.at_ms is None or at_ms > self.at_ms:
            self.at_ms = at_ms
