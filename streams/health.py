"""Web pages of a worker: ``/metrics`` for Prometheus, ``/health`` and ``/ready`` for probes."""

from typing import Any

import faust
from faust.web import Request, Response, View

from needstream.streams.agents.lanes import Lanes
from needstream.streams.metrics import Metrics


def install_pages(app: faust.App, *, metrics: Metrics, lanes: Lanes, stall_after_s: float) -> None:
    """Add the pages to the app's web server.

    Args:
        app: the worker's app, before it starts.
        metrics: shown on ``/metrics``.
        lanes: asked for ``/health`` and ``/ready``.
        stall_after_s: with work and without progress for so many seconds the worker is not healthy.
    """

    @app.page("/metrics")
    class Exposition(View):
        """Everything in Prometheus' text format."""

        async def get(self, _request: Request, **_: Any) -> Response:
            """Answer a scrape."""
            return self.bytes(metrics.exposition(), content_type="text/plain; version=0.0.4")

    @app.page("/health")
    class Health(View):
        """Whether the process lives, has not crashed and gets on."""

        async def get(self, _request: Request, **_: Any) -> Response:
            """200 while the worker runs, 503 once it stops or has stalled."""
            if app.should_stop:
                return self.json({"status": "stopping"}, status=503)
            stalled = lanes.stalled(stall_after_s)
            if stalled:
                reason = f"records wait and no round has finished for {stall_after_s:g} s"
                return self.json({"status": "stalled", "reason": reason, "partitions": stalled}, status=503)
            return self.json({"status": "ok"})

    @app.page("/ready")
    class Ready(View):
        """Whether the assigned partitions are recovered and read."""

        async def get(self, _request: Request, **_: Any) -> Response:
            """200 once every assigned partition is open, with how much waits; 503 before."""
            open_lanes = lanes.open
            waiting = sum(lane.waiting for lane in open_lanes)
            told = {
                "assigned": lanes.assigned,
                "open": len(open_lanes),
                "waiting": waiting,
                "caught_up": lanes.caught_up,
            }
            return self.json(told, status=200 if open_lanes and len(open_lanes) == lanes.assigned else 503)
