"""How many requests a tornado application is working on, so that stopping can wait for them."""

import asyncio
import contextlib
from typing import Any

_FLUSH_S = 0.25  # a finished answer may still be on its way to a slow reader


class UnderWay:
    """Counts from a request's head to the end of its answer; all on the application's own loop."""

    def __init__(self, application: Any) -> None:
        self._count = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        find, log = application.find_handler, application.log_request

        def started(request: Any, **more: Any) -> Any:
            self._count += 1
            self._is_idle.clear()
            return find(request, **more)

        def ended(handler: Any) -> None:
            self._count -= 1
            if self._count == 0:
                self._is_idle.set()
            log(handler)

        application.find_handler, application.log_request = started, ended

    async def none_left(self, timeout_s: float) -> None:
        """Wait until nothing is under way, at most so long."""
        if self._is_idle.is_set():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_idle.wait(), timeout_s)
        await asyncio.sleep(_FLUSH_S)
