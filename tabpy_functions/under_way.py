"""How many requests a tornado application is working on, so that stopping can wait for them."""

import asyncio
import contextlib
from typing import Any

_FLUSH_S = 0.25  # a finished answer may still be on its way to a slow reader


class UnderWay:
    """Counts from a request's head to the end of its answer, or of its connection; on the application's own loop."""

    def __init__(self, application: Any) -> None:
        self.count = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        find, log = application.find_handler, application.log_request

        def started(request: Any, **more: Any) -> Any:
            self.count += 1
            self._is_idle.clear()
            return self._watched(find(request, **more))

        def ended(handler: Any) -> None:
            self._end()
            log(handler)

        application.find_handler, application.log_request = started, ended

    def _watched(self, delegate: Any) -> Any:
        """The reader of one request; a caller that goes before all of it is here never gets an answer that ends it."""
        finish, close = delegate.finish, delegate.on_connection_close
        is_read = False

        def finished() -> None:
            nonlocal is_read
            is_read = True
            finish()

        def closed() -> None:
            if not is_read:
                self._end()
            close()

        delegate.finish, delegate.on_connection_close = finished, closed
        return delegate

    def _end(self) -> None:
        self.count -= 1
        if self.count == 0:
            self._is_idle.set()

    async def none_left(self, timeout_s: float) -> None:
        """Wait until nothing is under way, at most so long."""
        if self._is_idle.is_set():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_idle.wait(), timeout_s)
        await asyncio.sleep(_FLUSH_S)
