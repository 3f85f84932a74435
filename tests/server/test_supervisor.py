"""The parent of the real server process: what stops the start, what is revived, and that nothing is left."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from models.registry import ModelVersion
from server.errors import SettingsError
from server.paths import FoundFile, Signature
from server.settings import Settings, as_arguments
from server.store import Store, StoredSource
from server.supervisor import Supervisor, main

if TYPE_CHECKING:
    from server_fixtures import Pictures

pytest_plugins = ("server_fixtures",)

ROOT = Path(__file__).resolve().parents[2]
WaitUntil = Callable[[Callable[[], object]], None]


@pytest.fixture
def port() -> int:
    """One that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def alone(settings: Settings, port: int) -> Settings:
    """Settings for the server without TabPy."""
    return replace(settings, port=port, no_tabpy=True)


@contextmanager
def watching(supervisor: Supervisor) -> Iterator[None]:
    """The supervisor watches its children meanwhile."""
    stop = threading.Event()
    thread = threading.Thread(target=supervisor.watch, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def classify(url: str, *paths: str, token: str = "") -> Any:
    """The columns of a request over HTTP."""
    body = json.dumps({"paths": paths, "fields": ["label", "cached"]}).encode()
    request = urllib.request.Request(f"{url}/v1/classify", body, {"Authorization": f"Bearer {token}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return json.load(answer)["columns"]


def answers(url: str) -> bool:
    """Whether the server is ready."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def refusal(settings: Settings, log_folder: Path | None) -> str:
    """Why the start is refused."""
    with pytest.raises(SettingsError) as caught, Supervisor(settings, log_folder=log_folder, say=lambda _: None):
        pass
    return str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="looks for SIGKILL")
def test_a_killed_server_comes_back_with_its_answers(alone: Settings, pictures: Pictures, version: ModelVersion,
                                                     tmp_path: Path, wait_until: WaitUntil) -> None:
    """What was committed is answered without the model; in the end no process is left and the port is free."""
    pictures.write("a.png", (version.folder / "golden" / "picture-05.png").read_bytes())
    said: list[str] = []
    with Supervisor(alone, log_folder=tmp_path, say=said.append) as supervisor, watching(supervisor):
        first = classify(supervisor.url, "a.png")
        wait_until(lambda: is_stored(alone.state))
        killed = supervisor.child("server").pid
        psutil.Process(killed).kill()
        wait_until(lambda: supervisor.child("server").pid != killed and answers(supervisor.url))
        revived = supervisor.child("server").pid
        second = classify(supervisor.url, "a.png")
    assert [first, second] == [{"label": ["5"], "cached": [False], "status": ["ok"]},
                               {"label": ["5"], "cached": [True], "status": ["ok"]}]
    assert [line.partition(" after ")[0] for line in said] == [
        "server is ready", f"server ended with status -{signal.SIGKILL:d}; it is started again in 0 s."]
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((alone.host, alone.port))
    assert [psutil.pid_exists(pid) for pid in (killed, revived)] == [False, False]


def is_stored(state: Path) -> bool:
    """Whether an answer has been committed."""
    import sqlite3

    with closing(sqlite3.connect(state / "answers.sqlite")) as connection:
        return bool(connection.execute("SELECT count(*) FROM answers").fetchone()[0])


def test_a_server_with_a_token_gets_ready(alone: Settings, pictures: Pictures, tmp_path: Path) -> None:
    """The supervisor brings the first one of the file."""
    (tmp_path / "token").write_text("one\ntwo\n", encoding="ascii")
    pictures.write("a.png", 0)
    guarded = replace(alone, token_file=tmp_path / "token")
    with Supervisor(guarded, log_folder=tmp_path, say=lambda _: None) as supervisor:
        assert classify(supervisor.url, "a.png", token="two")["status"] == ["ok"]  # noqa: S106 - a test's own


def test_a_start_without_a_usable_model_says_so_and_serves(alone: Settings, version: ModelVersion,
                                                           tmp_path: Path) -> None:
    """Requests that name another model could be answered."""
    store = tmp_path / "models"
    shutil.copytree(version.folder, store / "digits" / "1")
    (store / "digits" / "1" / "model.onnx").write_bytes(b"damaged")
    said: list[str] = []
    with Supervisor(replace(alone, store=store), log_folder=tmp_path, say=said.append):
        pass
    assert "digits@1: model.onnx has SHA-256" in said[0]


def test_a_taken_port_is_one_sentence(alone: Settings, tmp_path: Path) -> None:
    """With what to do; nothing is started."""
    with closing(socket.create_server((alone.host, alone.port))):
        reason = refusal(alone, tmp_path)
    expected = (f"port {alone.port} on 127.0.0.1 cannot be used ({os.strerror(errno.EADDRINUSE)}): stop what uses it,"
                " or name another with --port.")
    assert (reason, (tmp_path / "server.log").exists()) == (expected, False)


def test_one_port_for_both_is_one_sentence(alone: Settings, tmp_path: Path) -> None:
    """Before anything starts: else the one that comes second would say that another program has it."""
    both = replace(alone, no_tabpy=False, tabpy_port=alone.port)
    reason = refusal(both, tmp_path)
    assert (reason, (tmp_path / "server.log").exists()) == (
        f"--port and --tabpy-port are both {alone.port}: name two.", False)


def test_a_taken_port_of_tabpy_is_one_sentence(alone: Settings) -> None:
    """Its flag is named."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        taken = other.getsockname()[1]
        reason = refusal(replace(alone, no_tabpy=False, tabpy_port=taken), None)
    assert (f"port {taken} on 127.0.0.1" in reason, reason.endswith("name another with --tabpy-port.")) == (True, True)


@pytest.mark.parametrize(("change", "flag"), [({"port": 0}, "--port"), ({"tabpy_port": 0, "no_tabpy": False},
                                                                        "--tabpy-port")])
def test_any_free_port_is_refused(alone: Settings, change: dict[str, Any], flag: str) -> None:
    """Tableau must be told the same one every day."""
    assert refusal(replace(alone, **change), None) == f"{flag} is 0; name a port, Tableau must be told the same one."


def test_the_child_s_own_sentence_comes_up(alone: Settings, tmp_path: Path) -> None:
    """What stops the server stops the start, word by word."""
    (alone.state / "image-id.key").write_bytes(b"short")
    assert refusal(alone, tmp_path) == (
        f"{alone.state / 'image-id.key'} is damaged: delete it, a new key is made (image addresses change).")


# ---- the command -------------------------------------------------------------------------------------------------


def test_a_missing_folder_ends_the_command_with_one_sentence(alone: Settings, tmp_path: Path,
                                                             capfd: pytest.CaptureFixture[str]) -> None:
    """Status 2, nothing started."""
    status = main(as_arguments(replace(alone, images=(tmp_path / "missing",))))
    expected = f"--images {tmp_path / 'missing'}: there is no such folder; name one that exists.\n"
    assert (status, capfd.readouterr().err) == (2, expected)


def test_an_unknown_model_ends_the_command_with_one_sentence(alone: Settings,
                                                             capfd: pytest.CaptureFixture[str]) -> None:
    """Before anything is started."""
    status = main(as_arguments(replace(alone, model="cats")))
    assert (status, capfd.readouterr().err.startswith("--model cats: There is no model 'cats'.")) == (2, True)


def run_server(settings: Settings) -> subprocess.Popen[str]:
    """The server process itself, as the supervisor starts it."""
    return subprocess.Popen([sys.executable, "-m", "server", *as_arguments(settings), "--parent-pipe"], cwd=ROOT,
                            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_server_ends_with_its_parent_and_writes_what_is_queued(alone: Settings, pictures: Pictures,
                                                                   wait_until: WaitUntil) -> None:
    """Its stdin ends when the parent is gone, however it went."""
    pictures.write("a.png", 0)
    process = run_server(alone)
    url = f"http://127.0.0.1:{alone.port}"
    wait_until(lambda: answers(url))
    classify(url, "a.png")
    _, log = process.communicate()
    with closing(Store(alone.state / "answers.sqlite")) as store:
        model = store.name_id(store_digest(alone))
        stored = [answer for page in store.every_answer(model) for answer in page]
    assert (process.returncode, len(stored), "Traceback" in log) == (0, 1, False)


def store_digest(settings: Settings) -> str:
    """The identity of the model that is served."""
    from models.registry import Registry

    return Registry([settings.store]).resolve(settings.model).spec.digest


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGTERM")
def test_sigterm_ends_the_server(alone: Settings, wait_until: WaitUntil) -> None:
    """With status 0, also before it is ready."""
    process = run_server(alone)
    wait_until(lambda: is_healthy(alone.port))
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 0


def is_healthy(port: int) -> bool:
    """Whether a server answers there, ready or not."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_two_servers_on_one_state_folder(alone: Settings, port: int, wait_until: WaitUntil) -> None:
    """The second ends with status 2 and one sentence; the first goes on."""
    first = run_server(alone)
    wait_until(lambda: is_healthy(port))
    second = run_server(replace(alone, port=port + 1 if port < 65535 else port - 1))
    _, log = second.communicate()
    goes_on = first.poll() is None
    first.communicate()
    expected = f"--state {alone.state} is used by another Pixfield: stop it, or name another folder.\n"
    assert (second.returncode, log, goes_on) == (2, expected, True)


def test_a_store_from_the_future_ends_the_server_with_one_sentence(alone: Settings) -> None:
    """Status 2, no traceback."""
    import sqlite3

    with closing(sqlite3.connect(alone.state / "answers.sqlite")) as newer:
        newer.execute("PRAGMA user_version = 99")
    process = run_server(alone)
    _, log = process.communicate()
    assert (process.returncode, len(log.splitlines()), "was written by a newer Pixfield" in log) == (2, 1, True)


def test_a_taken_port_ends_the_server_with_one_sentence(alone: Settings) -> None:
    """Status 2, and what was in the store stays."""
    with closing(Store(alone.state / "answers.sqlite")) as store:
        store.put_source(1, StoredSource("a", FoundFile("/a", Signature(1, 2, 3, 4)), "digest"))
    with closing(socket.create_server((alone.host, alone.port))):
        process = run_server(alone)
        _, log = process.communicate()
    with closing(Store(alone.state / "answers.sqlite")) as store:
        kept = len(store.sources(1, ["a"]))
    assert (process.returncode, log.splitlines()[-1].startswith(f"port {alone.port} on 127.0.0.1 cannot be used"),
            kept) == (2, True, 1)
