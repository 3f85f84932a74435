"""The server process: settings in, a listening server until its parent goes or a signal comes."""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
import threading
import warnings
from typing import Any

from server import logs
from server import settings as settings_table
from server.errors import SettingsError
from server.parent_pipe import stop_with_parent
from server.settings import Settings

log = logging.getLogger(__name__)

EXIT_SETTINGS = 2
_DESCRIPTORS = 2048
"""What a process may have open: its connections, and the pictures it reads. macOS begins with 256."""


def main(argv: list[str] | None = None) -> int:
    """Run the server; the exit status is 2 when the settings stop the start."""
    parser = argparse.ArgumentParser(prog="python -m server")
    settings_table.add_arguments(parser)
    parser.add_argument("--parent-pipe", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    try:
        settings = settings_table.from_arguments(arguments).with_checked_folders()
        logs.set_up(settings, process="server")
        _allow_descriptors(_DESCRIPTORS)
        serve(settings, has_parent=arguments.parent_pipe)
    except SettingsError as exc:
        sys.stderr.write(f"{exc}\n")
        return EXIT_SETTINGS
    return 0


def serve(settings: Settings, *, has_parent: bool) -> None:
    """Serve until the parent's pipe closes, or SIGTERM or Ctrl-C comes."""
    from server.app import create_app, create_http_server
    from server.draining import drain
    from server.service import Service, state_folder

    warnings.filterwarnings("ignore", category=SyntaxWarning)  # of scripts that are read: it would show their text
    with state_folder(settings.state):
        service = Service(settings)
        sockets: dict[int, Any] = {}
        try:
            http = create_http_server(create_app(service), service, sockets=sockets)
        except OSError as exc:
            service.close()
            raise SettingsError(f"port {settings.port} on {settings.host} cannot be used ({exc.strerror}): stop what"
                                " uses it, or name another with --port.") from exc
        stop = threading.Event()
        _stop_on_signals(stop, has_parent=has_parent)
        service.start()
        thread = threading.Thread(target=http.run, name="http", daemon=True)
        thread.start()
        while not stop.wait(1.0):  # in steps: on Windows a plain wait() would not let signals through
            pass
        if not drain(service, sockets, drain_s=settings.drain_s):
            log.warning("requests were still under way after %s s (--drain-s): they are dropped", settings.drain_s)
        http.close()
        service.close()


def _allow_descriptors(wanted: int) -> None:
    """Raise the limit to `wanted`, as far as it may be; Windows has none."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):  # then as it is
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _stop_on_signals(stop: threading.Event, *, has_parent: bool) -> None:
    """Set `stop` on SIGTERM, on Ctrl-C, and, with a parent, when the pipe on stdin ends because the parent is gone."""
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if not has_parent:
        signal.signal(signal.SIGINT, lambda *_: stop.set())
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole console: the parent decides
    stop_with_parent(stop)


if __name__ == "__main__":
    raise SystemExit(main())
