"""Where the answers come from: the server that is named, the one that `serve` runs on this machine, or one of our own.

Our own is `serve` without TabPy as a child process, on a free port, with the settings that `serve` would have. Its
stdin is a pipe from us, so it ends when we do, however that happens.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from workbooks.enrich.errors import ServerAwayError
from workbooks.enrich.server_http import ServerHttp, reason

_ROOT = Path(__file__).resolve().parents[2]
_START_S = 240.0
_IN_USE_S = 30.0  # until the server of a run that was killed has let go of the state folder
_IN_USE = "is used by another Pixfield"
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - to reach, not to bind
LOG = "classify.log"


class Found(NamedTuple):
    """A server and its function table."""

    server: ServerHttp
    functions: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line says of the server; `images` are folders for one of our own."""

    url: str | None
    token_file: Path | None
    config: Path | None
    images: tuple[Path, ...]


@contextlib.contextmanager
def found_server(wishes: Wishes, say: Callable[[str], None]) -> Iterator[Found]:
    """A server that answers; one of our own is stopped at the end.

    Raises:
        ServerAwayError: there is none, and none can be started.
    """
    if wishes.url is not None:
        with ServerHttp(wishes.url, wishes.token_file) as server:
            functions = _functions(server)
            if functions is None:
                raise ServerAwayError(f"No server answers at {wishes.url}: start it there, or leave out --server.")
            yield Found(server, functions)
        return
    settings = _settings(wishes.config)
    token_file = wishes.token_file or (Path(settings["token_file"]) if "token_file" in settings else None)
    host = str(settings["host"])
    url = f"http://{_EVERYWHERE.get(host, f'[{host}]' if ':' in host else host)}:{settings['port']}"
    with ServerHttp(url, token_file) as server:
        functions = _functions(server)
        if functions is not None:
            say(f"The server at {url} answers.")
            yield Found(server, functions)
            return
    with _own_server(wishes, settings, token_file, say) as own:
        functions = _functions(own)
        if functions is None:
            raise ServerAwayError(f"The server that was started does not answer: see {_log_of(settings)}.")
        yield Found(own, functions)


def _functions(server: ServerHttp) -> list[dict[str, Any]] | None:
    """The server's functions; None where nobody listens.

    Raises:
        ServerAwayError: somebody else listens there, or it wants another token.
    """
    try:
        status, answer, _ = server.once("GET", "/v1/functions")
    except (OSError, http.client.HTTPException):
        return None
    if status == 401 and server.token_file is not None:
        raise ServerAwayError(f"The server at {server.url} does not take the token in {server.token_file}: put one that"
                              " it takes in the first line.")
    if status == 401:
        raise ServerAwayError(f"The server at {server.url} wants a token: name its file with --token-file.")
    rows = answer.get("functions") if isinstance(answer, dict) else None
    if status != 200 or not isinstance(rows, list):
        raise ServerAwayError(f"What answers at {server.url} ({status}: {reason(answer)}) is no Pixfield server: name"
                              " one with --server, or a port for one with port in pixfield.toml.")
    return rows


# ---- one of our own ----------------------------------------------------------------------------------------------


def _settings(config: Path | None) -> dict[str, Any]:
    """The settings as `serve` would have them, from the file and the environment."""
    words = [f"--config={config}"] if config is not None else []
    done = subprocess.run([*_serve(), "--show-settings", *words], capture_output=True, text=True, encoding="utf-8",
                          env=_environment(), check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["serve --show-settings failed"]
        raise ServerAwayError(lines[-1])
    return tomllib.loads(done.stdout)


@contextlib.contextmanager
def _own_server(wishes: Wishes, settings: dict[str, Any], token_file: Path | None,
                say: Callable[[str], None]) -> Iterator[ServerHttp]:
    images = dict.fromkeys([*settings.get("images", ()), *map(str, wishes.images)])
    port = _free_port()
    words = ["--no-tabpy", f"--host={_LOOPBACK}", f"--port={port}", "--drain-s=1", "--parent-pipe",
             *(f"--images={folder}" for folder in images)]
    words += [f"--config={wishes.config}"] if wishes.config is not None else []
    words += [f"--token-file={token_file}"] if token_file is not None else []
    if "log_file" not in settings:
        _make_folder(_log_of(settings).parent)
        words.append(f"--log-file={_log_of(settings)}")
    say("No server runs: starting one for the time.")
    child = _started(words, say)
    try:
        with ServerHttp(f"http://{_LOOPBACK}:{port}", token_file, check=child.check) as server:
            yield server
    finally:
        child.stop()


_LOOPBACK = "127.0.0.1"


def _started(words: Sequence[str], say: Callable[[str], None]) -> _Serve:
    """A server that is ready; waits for one that is just ending to let go of the state folder."""
    until = time.monotonic() + _IN_USE_S
    is_said = False
    while True:
        child = _Serve(words)
        try:
            child.wait_until_ready(_START_S)
        except ServerAwayError as exc:
            child.stop()
            if _IN_USE not in str(exc) or time.monotonic() > until:
                raise
            if not is_said:
                say("The state folder is in use: waiting for the server of an earlier run to end.")
                is_said = True
            time.sleep(1)
        except BaseException:
            child.stop()
            raise
        else:
            return child


class _Serve:
    """`serve` as a child process; its stdout says when it is ready, its stderr's last line why it ended."""

    def __init__(self, words: Sequence[str]) -> None:
        self._last_line = ""
        self._is_ready = threading.Event()
        self._process = subprocess.Popen([*_serve(), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, env=_environment(), **_own_group())
        self._readers = [threading.Thread(target=read, name=f"serve-{number}", daemon=True)
                         for number, read in enumerate((self._read_stdout, self._read_stderr))]
        for reader in self._readers:
            reader.start()

    def wait_until_ready(self, timeout_s: float) -> None:
        """Raises ServerAwayError with the reason when it ends instead, or takes too long."""
        until = time.monotonic() + timeout_s
        while not self._is_ready.wait(0.1):
            self.check()
            if time.monotonic() > until:
                raise ServerAwayError(f"The server did not get ready within {timeout_s:.0f} s: try"
                                      " `python run.py doctor`.")

    def check(self) -> None:
        """Raises ServerAwayError where it has ended."""
        if self._process.poll() is not None:
            self._readers[1].join(5)
            raise ServerAwayError(self._last_line or f"The server ended with status {self._process.returncode}: try"
                                  " `python run.py doctor`.")

    def stop(self) -> None:
        """Close its stdin, which ends it and its children; kill it where that does not help."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _read_stdout(self) -> None:
        for line in self._process.stdout or ():
            if line.startswith(b"Server: "):
                self._is_ready.set()

    def _read_stderr(self) -> None:
        for line in self._process.stderr or ():
            self._last_line = line.decode("utf-8", "replace").strip() or self._last_line


def _serve() -> list[str]:
    return [sys.executable, "-m", "server.supervisor"]


def _environment() -> dict[str, str]:
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1"}


def _own_group() -> dict[str, Any]:
    """Ctrl-C reaches every process of a console; only we are to hear it."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _log_of(settings: dict[str, Any]) -> Path:
    return Path(settings["state"]) / "logs" / LOG


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ServerAwayError(f"The state folder cannot be written ({exc}): name another one with state in"
                              " pixfield.toml, or a server with --server.") from exc


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])
