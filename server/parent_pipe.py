"""A process that ends with its parent: the pipe on its stdin closes when the parent goes, however it goes."""

from __future__ import annotations

import contextlib
import os
import threading


def stop_with_parent(stop: threading.Event) -> None:
    """Set `stop`, from a thread, when the pipe on stdin ends."""
    threading.Thread(target=_watch, args=(stop,), name="parent", daemon=True).start()


def _watch(stop: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1024):  # not sys.stdin: a thread inside its buffer makes the interpreter abort at its end
            pass
    stop.set()
