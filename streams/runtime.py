"""How a worker's process uses the interpreter: the event loop, and when the garbage collector looks for cycles."""

import asyncio
import contextlib
import gc
import sys

COLLECT_AFTER = 50_000
"""The collector looks for cycles after so many more objects were made than freed; the interpreter's own choice is 700.

A batch makes thousands of objects that reference counting frees soon: each look in between goes through them in vain.
"""

SWITCH_S = 0.0005
"""How long a thread may keep the interpreter when another asks for it; the interpreter's own choice is 5 ms.

The fetching thread asks several times for each answer of the broker, and would wait so long each time.
"""


def fastest_loop() -> asyncio.AbstractEventLoop:
    """A new event loop: uvloop's, or that of the standard library where uvloop is not to be had."""
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 - not on every platform

        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return loop
    return asyncio.new_event_loop()


def settle_collector() -> None:
    """Never look again at what there is now, the program and its definitions, and look less often at what comes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)
    sys.setswitchinterval(SWITCH_S)
