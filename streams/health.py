"""Web pages of a worker: ``/metrics`` for Prometheus, ``/health`` and ``/ready`` for probes."""

from typing import Any

import faust
from faust.web import Request, Response, View

from needstream.streams.agents.lanes import Lanes
from needstream.streams.metrics import Metrics


def install_pages(app: faust.App, *, metrics: Metrics, lanes: Lanes) -> None:
    """Add the pages to the app's web server."""

    @app.page("/metrics")
    class Exposition(View):
        """Everything in Prometheus' text format."""

        async def get(self, _request: Request, **_: Any) -> Response:
            """Answer a scrape."""
            return self.bytes(metrics.exposition(), content_type="text/plain; version=0.0.4")

    @app.page("/health")
    class Health(View):
        """Whether the process lives and has not crashed."""

        async def get(self, _request: Request, **_: Any) -> Response:
            """200 while the worker runs, 503 once it stops."""
            alive = not app.should_stop
            return self.json({"status": "ok" if alive else "stopping"}, status=200 if alive else 503)

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
