"""The fastest event loop that this platform has."""

import asyncio
import contextlib


def fastest() -> asyncio.AbstractEventLoop:
    """A new loop: uvloop's, or that of the standard library where uvloop is not to be had."""
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 - not on every platform

        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return loop
    return asyncio.new_event_loop()
