"""TabPy's doors as `serve` opens and closes them: passwords and switched-off scripts, asked with Tableau's bodies."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from stack import Running, free_ports, started
from tabpy.tabpy_server.handlers.util import hash_password

from models import digits
from server.functions import FUNCTIONS

ANN = ("ann", "correct horse")
SCRIPT = "return tabpy.query('image_label', _arg1)['response']"
TOKENS = "new-token-0123456789\nold-token-0123456789\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures and the two secret files beside them."""
    target = tmp_path_factory.mktemp("doors")
    (target / "pictures").mkdir()
    for name, data, _ in digits.held_out()[:4]:
        (target / "pictures" / name).write_bytes(data)
    (target / "passwords").write_text(f"{ANN[0]} {hash_password(*ANN)}\n")
    (target / "tokens").write_text(TOKENS)
    return target


@pytest.fixture(scope="module")
def paths(folder: Path) -> list[str]:
    """The pictures, relative."""
    return sorted(path.name for path in (folder / "pictures").iterdir())


@pytest.fixture(scope="module")
def guarded(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """TabPy open to other machines, behind passwords; the server behind tokens."""
    with started(tmp_path_factory.mktemp("state"), images=(folder / "pictures",), token_file=folder / "tokens",
                 tabpy_host="0.0.0.0", tabpy_password_file=folder / "passwords") as stack:  # noqa: S104 - the claim
        yield stack


@pytest.fixture(scope="module")
def scriptless(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """TabPy without scripts."""
    with started(tmp_path_factory.mktemp("state"), images=(folder / "pictures",), no_evaluate=True) as stack:
        yield stack


def ask(running: Running, path: str, body: dict[str, Any], auth: Any = None) -> requests.Response:
    """One of Tableau's requests."""
    return requests.post(f"{running.tabpy}{path}", json=body, auth=auth, timeout=60)


def script(paths: list[str]) -> dict[str, Any]:
    """The body of a SCRIPT_STR field."""
    return {"data": {"_arg1": paths}, "script": SCRIPT}


def test_with_credentials_every_field_answers(guarded: Running, paths: list[str]) -> None:
    """`tabpy.query` inside a script needs no login of its own; MODEL_EXTENSION_ answers the same."""
    column = ask(guarded, "/evaluate", script(paths), ANN).json()
    named = ask(guarded, "/query/image_label", {"data": {"paths": paths}}, ANN).json()["response"]
    assert (len(column), None in column, named) == (len(paths), False, column)


@pytest.mark.parametrize("auth", [None, ("ann", "wrong"), ("bob", ANN[1]), ("ann", ""), ("", "")])
def test_without_the_password_nothing_answers(guarded: Running, paths: list[str], auth: Any) -> None:
    """Not even the list of functions."""
    answers = [ask(guarded, "/evaluate", script(paths), auth),
               ask(guarded, "/query/image_label", {"data": {"paths": paths}}, auth),
               *(requests.get(f"{guarded.tabpy}{path}", auth=auth, timeout=30) for path in ("/endpoints", "/status"))]
    assert [answer.status_code for answer in answers] == [401] * len(answers)


@pytest.mark.parametrize("header", [b"Basic", b"Basic !!", b"Basic " + base64.b64encode(b"ann"), b"Bearer x",
                                    b"Basic " + base64.b64encode(b"\xff\xfe:x"), b"Basic " + b"A" * 20_000])
def test_malformed_credentials_are_refused(guarded: Running, paths: list[str], header: bytes) -> None:
    """With a 4xx, never as a fault, and TabPy goes on."""
    answer = requests.post(f"{guarded.tabpy}/evaluate", json=script(paths), headers={"Authorization": header},
                           timeout=30)
    assert 400 <= answer.status_code < 500
    assert ask(guarded, "/evaluate", script(paths), ANN).status_code == 200


def test_tabpy_listens_where_it_is_told(guarded: Running) -> None:
    """An address of this machine that is no loopback reaches it."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; the system only picks the address it would send from
        except OSError:
            pytest.skip("this machine has no network address")
        address = probe.getsockname()[0]
    answer = requests.get(f"http://{address}:{guarded.settings.tabpy_port}/info", auth=ANN, timeout=30)
    features = answer.json()["versions"]["v1"]["features"]
    assert (answer.status_code, features["authentication"]["required"]) == (200, True)


@pytest.mark.parametrize(("host", "status"), [
    (socket.gethostname(), 200), (f"{socket.gethostname()}.corp.example:9004", 200), ("10.1.2.3", 200),
    ("evil.example", 421), (f"x{socket.gethostname()}", 421)])
def test_open_tabpy_knows_its_names(guarded: Running, host: str, status: int) -> None:
    """The machine's name with or without a domain, and any address; not what a web page calls it."""
    answer = requests.get(f"{guarded.tabpy}/info", auth=ANN, headers={"Host": host}, timeout=30)
    assert answer.status_code == status


def test_without_scripts_functions_go_on(scriptless: Running, paths: list[str]) -> None:
    """MODEL_EXTENSION_ fields, by names and by positions."""
    named = ask(scriptless, "/query/image_label", {"data": {"paths": paths}}).json()["response"]
    positional = ask(scriptless, "/query/image_label", {"data": [paths]}).json()["response"]
    assert (len(named), None in named, positional) == (len(paths), False, named)


def test_without_scripts_every_function_is_deployed(scriptless: Running) -> None:
    """Deploying into our own TabPy needs no script."""
    assert requests.get(f"{scriptless.tabpy}/endpoints", timeout=30).json().keys() == FUNCTIONS.keys()


def test_without_scripts_tabpy_says_so(scriptless: Running, paths: list[str]) -> None:
    """In its own words, which Tableau shows; and /info says it beforehand."""
    answer = ask(scriptless, "/evaluate", script(paths))
    assert (answer.status_code, answer.json()["message"]) == (
        404, "Ad-hoc scripts have been disabled on this analytics extension, please contact your administrator.")
    info = requests.get(f"{scriptless.tabpy}/info", timeout=30).json()
    assert info["versions"]["v1"]["features"]["evaluate_enabled"] is False


@pytest.mark.parametrize(("flags", "remedy"), [
    (["--host", "0.0.0.0"], "--token-file"),  # noqa: S104 - refused
    (["--tabpy-host", "0.0.0.0"], "--tabpy-password-file"),  # noqa: S104 - refused
    (["--tabpy-password-file", "missing"], "tabpy-user"),
    (["--tabpy-password-file", "empty"], "TabPy does not start")])
def test_nothing_starts_open(tmp_path: Path, flags: list[str], remedy: str) -> None:
    """One line says what is missing, and the exit status is 2."""
    port, tabpy_port = free_ports()
    (tmp_path / "empty").touch()
    done = subprocess.run(
        [sys.executable, "-m", "server.supervisor", f"--port={port}", f"--tabpy-port={tabpy_port}", "--model=digits",
         f"--state={tmp_path / 'state'}", *(str(tmp_path / flag) if flag in ("missing", "empty") else flag
                                            for flag in flags)],
        cwd=Path(__file__).resolve().parent.parent, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, remedy in done.stderr) == (2, True), done.stderr


def test_the_server_s_token_reaches_tabpy_and_nobody_else(guarded: Running, paths: list[str]) -> None:
    """The functions call with the first line; both lines open the server, no other does."""
    def status(header: str) -> int:
        return requests.post(f"{guarded.server}/query/image_label", json={"data": {"paths": paths}},
                             headers={"Authorization": header}, timeout=30).status_code

    new, old = TOKENS.split()
    assert [status(f"Bearer {token}") for token in (new, old, "other")] == [200, 200, 401]
    assert json.loads(ask(guarded, "/evaluate", script(paths), ANN).text)
