"""`serve`: the parent of the server and of TabPy, and of nothing else; it starts them, watches them, stops them."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from server import logs, settings_sources
from server import settings as settings_table
from server.child import Child
from server.doors import read_tokens
from server.errors import SettingsError
from server.parent_pipe import stop_with_parent
from server.service import check_model, state_folder
from server.settings import Settings, is_loopback, url_of

log = logging.getLogger(__name__)

START_TIMEOUT_S = 180.0  # the Keras engine alone may take 20 s to import on a slow machine
STOP_TIMEOUT_S = 15.0  # for each child, on top of --drain-s
_BACK_OFF_S = (0.0, 1.0, 2.0, 5.0, 10.0)  # the last leaves 20 s of the 30 in which everything is to be back
_STEADY_S = 10.0  # a child that has run this long starts again without waiting
_SETTINGS_STATUS = 2


class Supervisor:
    """The two processes behind one set of settings; a context manager that leaves none behind.

    Args:
        settings: what to serve.
        log_folder: where the children's logs go; None for our stderr.
        say: told what happens, one line at a time.
        relay: takes (name, line) of what the children log, where they have no file and our stderr is not wanted.
    """

    def __init__(self, settings: Settings, *, log_folder: Path | None, say: Callable[[str], None],
                 relay: Callable[[str, str], None] | None = None) -> None:
        self._settings, self._log_folder, self._say, self._relay = settings, log_folder, say, relay
        self._children: dict[str, Child] = {}
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self.url = url_of(settings.host, settings.port)
        self._roles: dict[str, Callable[[], Child]] = {"server": self._start_server}
        if not settings.no_tabpy:
            self._roles["TabPy"] = self._start_tabpy

    def __enter__(self) -> Self:
        """Start both and wait until both are ready; raises SettingsError with the reason when one does not come up."""
        check_port(self._settings.host, self._settings.port, "--port")
        if not self._settings.no_tabpy:
            if self._settings.port == self._settings.tabpy_port:
                raise SettingsError(f"--port and --tabpy-port are both {self._settings.port}: name two.")
            for host in dict.fromkeys(("127.0.0.1", self._settings.tabpy_host)):
                check_port(host, self._settings.tabpy_port, "--tabpy-port")
        started = time.monotonic()
        try:
            for name, start in self._roles.items():
                self._children[name] = start()
            self._wait_until_ready(started)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.stop()

    def child(self, name: str) -> Child:
        """The running child of that name: "server" or "TabPy"."""
        return self._children[name]

    def stop(self) -> None:
        """Stop both, TabPy first, so that it never meets a missing server."""
        for name in reversed(list(self._children)):
            self._children.pop(name).stop(self._settings.drain_s + STOP_TIMEOUT_S)

    def watch(self, stop: threading.Event) -> None:
        """Start again what ends, waiting longer each time, until `stop` is set."""
        while not stop.wait(0.2):
            for name in list(self._children):
                status = self._children[name].exit_status
                if status is not None:
                    self._revive(name, status)

    def _revive(self, name: str, status: int) -> None:
        child, now = self._children[name], time.monotonic()
        if name not in self._not_before:
            failures = 0 if now - child.started_at > _STEADY_S else self._failures.get(name, -1) + 1
            self._failures[name] = min(failures, len(_BACK_OFF_S) - 1)
            wait_s = _BACK_OFF_S[self._failures[name]]
            self._not_before[name] = now + wait_s
            self._say(f"{name} ended with status {status}; it is started again in {wait_s:.0f} s.")
        if now >= self._not_before[name]:
            del self._not_before[name]
            child.stop(0)
            try:
                self._children[name] = self._roles[name]()
            except OSError as exc:  # no memory or no descriptor now: the same wait as for a child that ended at once
                self._say(f"{name} cannot be started now: {exc}.")

    def _start_server(self) -> Child:
        told = replace(self._settings, log_file=None)  # the file is ours to write
        arguments = [*settings_table.as_arguments(told), "--parent-pipe"]
        return Child("server", "server", arguments, log=self._log("server"), relay=self._relay)

    def _start_tabpy(self) -> Child:
        return Child("TabPy", "tabpy_functions.launcher", _launcher_arguments(self._settings, self.url),
                     log=self._log("tabpy"), relay=self._relay)

    def _log(self, name: str) -> Path | None:
        return None if self._log_folder is None else self._log_folder / f"{name}.log"

    def _wait_until_ready(self, started: float) -> None:
        waiting = dict.fromkeys(self._children)
        while waiting:
            for name in list(waiting):
                child = self._children[name]
                if child.exit_status is not None:
                    raise SettingsError(_why_ended(child))
                if self._is_ready(child):
                    self._say(f"{name} is ready after {time.monotonic() - started:.1f} s.")
                    del waiting[name]
            if time.monotonic() - started > START_TIMEOUT_S:
                raise SettingsError(f"{', '.join(waiting)} did not get ready within {START_TIMEOUT_S:.0f} s:"
                                    " look at the log above, or in the state folder's logs.")
            time.sleep(0.05)

    def _is_ready(self, child: Child) -> bool:
        if child.name != "server":
            return child.is_ready.is_set()
        tokens = read_tokens(self._settings.token_file)
        headers = {"Authorization": f"Bearer {tokens[0]}"} if tokens else {}
        request = urllib.request.Request(self.url + "/readyz", headers=headers)  # noqa: S310 - our own http address
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as exc:
            fault = json.loads(exc.read() or b"{}").get("fault") if exc.code == 503 else None
            if fault:
                self._say(f"No model answers by default: {fault} Requests that name a model are served.")
            return bool(fault)
        except (urllib.error.URLError, OSError):
            return False


def _launcher_arguments(settings: Settings, server_url: str) -> list[str]:
    """The launcher's command line: where to listen, whom to let in, where the server is."""
    arguments = [f"--port={settings.tabpy_port}", f"--server={server_url}", "--parent-pipe",
                 f"--drain-s={settings.drain_s}"]
    if not is_loopback(settings.tabpy_host):  # both loopback addresses are always listened on
        arguments.append(f"--host={settings.tabpy_host}")
    if settings.tabpy_password_file is not None:  # without one it stays unreachable through a proxy
        arguments += [f"--public-host={name}" for name in settings.public_hosts]
    for flag, file in (("--token-file", settings.token_file), ("--password-file", settings.tabpy_password_file)):
        arguments += [] if file is None else [f"{flag}={file.resolve()}"]
    return [*arguments, "--no-evaluate"] if settings.no_evaluate else arguments


def _why_ended(child: Child) -> str:
    """The last line the child wrote, if it can be read."""
    if child.last_line and child.exit_status == _SETTINGS_STATUS:
        return child.last_line
    if child.log is None:
        return f"{child.name} ended with status {child.exit_status}: see the line above."
    lines = child.log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["(no message)"]
    if child.exit_status == _SETTINGS_STATUS:
        return lines[-1]
    return f"{child.name} ended with status {child.exit_status}: {lines[-1]} (more in {child.log})"


def check_port(host: str, port: int, flag: str) -> None:
    """Raise SettingsError when somebody listens there already; port 0 means any free one and is refused."""
    if port == 0:
        raise SettingsError(f"{flag} is 0; name a port, Tableau must be told the same one.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":  # there it would let two servers share the port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise SettingsError(f"port {port} on {host} cannot be used ({exc.strerror}): stop what uses it, or name"
                                f" another with {flag}.") from exc


def main(argv: list[str] | None = None) -> int:
    """`python run.py serve`."""
    parser = argparse.ArgumentParser(prog="run.py serve", usage="run.py serve [options]",
                                     description="Serve TabPy functions and the REST endpoint.")
    settings_sources.add_arguments(parser)
    parser.add_argument("--show-settings", action="store_true", help="print each setting and where it comes from")
    parser.add_argument("--parent-pipe", action="store_true", help=argparse.SUPPRESS)  # ends when stdin does
    try:
        arguments = parser.parse_args(argv)
        found = settings_sources.read(arguments, environment=os.environ, are_folders_checked=True)
        if arguments.show_settings:
            _say(found.shown())
            return 0
        run(found.settings, has_parent=arguments.parent_pipe)
    except SettingsError as exc:
        sys.stderr.write(f"{exc}\n")
        return _SETTINGS_STATUS
    except KeyboardInterrupt:
        return 130
    return 0


def run(settings: Settings, *, has_parent: bool = False) -> None:
    """Serve until Ctrl-C, SIGTERM, or the end of the parent's pipe; raises SettingsError when the start is refused."""
    check_model(settings)
    read_tokens(settings.token_file)
    logs.set_up(settings, process="supervisor")
    with state_folder(settings.state):
        pass  # said here in one line; the server takes the lock itself
    say = _say if settings.log_file is None else _say_and_log
    try:
        with Supervisor(settings, log_folder=None, say=say, relay=logs.relay(settings)) as supervisor:
            stop = stop_on_signals()
            if has_parent:
                stop_with_parent(stop)
            say(f"Server: {supervisor.url}")
            port = settings.port if settings.no_tabpy else settings.tabpy_port
            say(f"Tableau: connect to TabPy at localhost, port {port}.")
            say("Ctrl-C stops everything.")
            supervisor.watch(stop)
    except SettingsError as exc:
        if settings.log_file is not None:
            log.error("%s", exc)
        raise


def stop_on_signals() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _say_and_log(line: str) -> None:
    _say(line)
    log.info("%s", line)


if __name__ == "__main__":
    raise SystemExit(main())
