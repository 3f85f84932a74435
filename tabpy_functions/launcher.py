"""Starts the stock TabPy package the way Pixfield needs it, deploys the server's functions, and says so.

Enters: options, the environment, the server's function table. Leaves: a TabPy that answers Tableau, and one JSON line
on standard output when its functions are deployed: {"status": "ready", "port": n, "addresses": [...], "functions": n}.
"""

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from tabpy_functions import function_table, tabpy_environment
from tabpy_functions.endpoints import Endpoint, endpoint_of
from tabpy_functions.errors import LaunchError, ServerAwayError, TabPySideError
from tabpy_functions.forwarding import first_line
from tabpy_functions.http_json import Site
from tabpy_functions.listening import bound_sockets
from tabpy_functions.tabpy_environment import TabPySettings
from tabpy_functions.tabpy_hooks import check_hooks, install_hooks
from tabpy_functions.under_way import UnderWay

log = logging.getLogger(__name__)

REFUSED = 2  # the exit code that tells the parent: the last line on standard error is for the user
SERVER_WAIT_S = 60.0
RETRY_S = 0.1


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns when TabPy has stopped: 0 when asked to, else 2 and one sentence on standard error."""
    options = _parser().parse_args(argv)
    ready_line, sys.stdout = sys.stdout, sys.stderr  # a script's print() must not end up among our lines
    try:
        environment = tabpy_environment.built(os.environ, server_url=options.server, token_file=options.token_file)
        tabpy_environment.enter(environment)
        check_hooks()
        sockets = bound_sockets(options.port, options.host, is_guarded=options.password_file is not None)
        with tabpy_environment.state_folder() as state:
            port = sockets[0].getsockname()[1]
            settings = TabPySettings(port, state, options.evaluate, options.password_file)
            tabpy = RunningTabPy(settings, host=options.host, public_hosts=options.public_host,
                                 drain_s=options.drain_s)
            tabpy.run(sockets, Site(options.server, _authorization(environment)), ready_line, options.parent_pipe)
            if tabpy.failure:
                raise tabpy.failure
    except TabPySideError as exc:
        print(exc, file=sys.stderr)
        return REFUSED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="launcher", description=__doc__, allow_abbrev=False)
    parser.add_argument("--port", type=int, default=9004, help="TabPy's port; 0 takes a free one (%(default)s)")
    parser.add_argument("--server", default="http://127.0.0.1:9005", metavar="URL", help="the server (%(default)s)")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="file with the Pixfield server's token")
    parser.add_argument("--host", metavar="ADDRESS", help="listen beyond loopback; needs --password-file")
    parser.add_argument("--public-host", action="append", default=[], metavar="NAME", help="a name callers use for it")
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="TabPy's file of users and password hashes")
    parser.add_argument("--evaluate", action=argparse.BooleanOptionalAction, default=True, help="allow scripts")
    parser.add_argument("--drain-s", type=float, default=2.0, help="for requests under way at the end (%(default)s)")
    parser.add_argument("--parent-pipe", action="store_true", help="stop when standard input ends; ignore Ctrl-C")
    return parser


def _authorization(environment: dict[str, str]) -> str:
    token, token_file = environment.get("PIXFIELD_TOKEN", ""), environment.get("PIXFIELD_TOKEN_FILE")
    try:
        token = token or (first_line(Path(token_file).read_text(encoding="ascii")) if token_file else "")
    except (OSError, UnicodeError) as exc:
        raise LaunchError(f"The token file {token_file} cannot be read ({exc}): name one that can.") from exc
    return f"Bearer {token}" if token else ""


class RunningTabPy:
    """One TabPy in this process: built from settings, run until it is asked to stop."""

    def __init__(self, settings: TabPySettings, *, host: str | None, public_hosts: Sequence[str],
                 drain_s: float) -> None:
        from tabpy.tabpy_server.app.app import TabPyApp
        from tornado.ioloop import IOLoop

        from tabpy_functions.host_guard import HostGuard

        with tabpy_environment.config_file(settings) as config:
            try:
                self._app = TabPyApp(str(config), disable_auth_warning=True)
            except RuntimeError as exc:
                raise LaunchError(f"TabPy does not start: {exc}.") from exc
        self._app.settings["compress_response"] = host is not None  # costs more than loopback saves
        self._application = self._app._create_tornado_web_app()  # noqa: SLF001 - what TabPyApp.run does first
        install_hooks(self._app, self._application)
        self._under_way, self._drain_s = UnderWay(self._application), drain_s
        door = HostGuard(self._application, host=host, public_hosts=public_hosts)
        self._http_server = _http_server(self._app, door)
        self._loop = IOLoop.current()
        self.failure: TabPySideError | None = None

    def run(self, sockets: list[Any], server: Site, ready_line: TextIO, is_child: bool) -> None:
        """Answers requests until a signal, the end of standard input (`is_child`) or a failed deployment."""
        self._http_server.add_sockets(sockets)
        self._handle_signals(is_child)
        if is_child:
            threading.Thread(target=self._stop_after_input, name="parent-pipe", daemon=True).start()

        def deploy() -> None:
            try:
                endpoints = _endpoints(server)
            except TabPySideError as exc:
                self.failure = exc
                self.stop()
            else:
                self._loop.add_callback(self._deploy, endpoints, sockets, ready_line)

        threading.Thread(target=deploy, name="deploy", daemon=True).start()
        self._loop.start()
        self._http_server.stop()

    def stop(self, *_signal: object) -> None:
        """Ends `run` when the requests under way are answered; from any thread or signal handler."""
        self._loop.add_callback_from_signal(self._drain)

    async def _drain(self) -> None:
        self._http_server.stop()  # takes no new connection
        await self._under_way.none_left(self._drain_s)
        self._loop.stop()

    def _handle_signals(self, is_child: bool) -> None:
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN if is_child else self.stop)

    def _stop_after_input(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while sys.stdin.buffer.read(4096):
                pass
        self.stop()

    def _deploy(self, endpoints: Sequence[Endpoint], sockets: list[Any], ready_line: TextIO) -> None:
        try:
            load(self._app, endpoints)
        except TabPySideError as exc:
            self.failure = exc
            self._loop.stop()
            return
        addresses = [sock.getsockname()[0] for sock in sockets]
        port = sockets[0].getsockname()[1]
        ready = {"status": "ready", "port": port, "addresses": addresses, "functions": len(endpoints)}
        print(json.dumps(ready), file=ready_line, flush=True)


def load(app: Any, endpoints: Sequence[Endpoint]) -> None:
    """Deploys into a TabPy of this process; the state is as `deploy` leaves it in one that is already there."""
    from tabpy.tabpy_server.common.messages import LoadObject
    from tabpy.tabpy_server.management.state import get_query_object_path
    from tabpy.tabpy_tools.custom_query_object import CustomQueryObject

    for endpoint in endpoints:
        path = get_query_object_path(app.settings["state_file_path"], endpoint.name, 1)
        namespace: dict[str, Any] = {"__name__": f"pixfield_{endpoint.name}"}
        exec(endpoint.source, namespace)  # noqa: S102 - our own forwarder's text
        CustomQueryObject(namespace[endpoint.name], endpoint.description).save(path)
        app.tabpy_state.add_endpoint(
            name=endpoint.name,
            description=endpoint.description,
            docstring=endpoint.docstring,
            endpoint_type="model",
            schema=endpoint.schema,
            is_public=True,
        )
        app.python_service.manage_request(LoadObject(endpoint.name, path, 1, False, "model"))
    app.python_service.ps.EXECUTOR.submit(int).result()  # its one thread loads in order: all are loaded now
    for endpoint in endpoints:
        info = app.python_service.ps.query_objects[endpoint.name]
        if info["status"] != "LoadSuccessful":
            raise LaunchError(f"TabPy does not load {endpoint.name}: {info['last_error']}.")


def _endpoints(server: Site, *, sleep: Callable[[float], None] = time.sleep) -> list[Endpoint]:
    """The server's functions; waits for a server that is still starting."""
    end = time.monotonic() + SERVER_WAIT_S
    while True:
        try:
            return [endpoint_of(function) for function in function_table.fetch(server)]
        except ServerAwayError:
            if time.monotonic() > end:
                raise
            sleep(RETRY_S)


def _http_server(app: Any, application: Any) -> Any:
    from tornado.httpserver import HTTPServer

    limit = app.max_request_size
    return HTTPServer(application, max_buffer_size=limit, max_body_size=limit, decompress_request=True)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # a script that still runs in TabPy's pool would hold an ordinary exit for ever
