"""The end of a server: requests under way get their answers, new ones are told to come back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from server.service import Service

_LAST_S = 3.0  # for writing answers whose rows are left pending


def drain(service: Service, sockets: Mapping[int, Any], *, drain_s: float) -> bool:
    """Refuse new columns and wait until every request on waitress's `sockets` is answered; whether all were.

    Requests that still wait for files or pictures after `drain_s` are answered then, with those rows pending.
    """
    service.refuse_new()
    if _wait(lambda: not _busy(sockets), drain_s):
        return True
    service.sources.stop_waiting()
    service.models.stop_waiting()
    service.stop_waiting_for_keys()
    return _wait(lambda: not _busy(sockets), _LAST_S)


def _busy(sockets: Mapping[int, Any]) -> bool:
    """Whether a channel has a request in work or an answer not yet sent; a listening socket has neither."""
    return any(getattr(channel, "requests", None) or getattr(channel, "total_outbufs_len", 0)
               for channel in list(sockets.values()))


def _wait(is_over: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not is_over():
        if time.monotonic() >= until:
            return False
        time.sleep(0.02)
    return True
