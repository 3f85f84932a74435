"""Secrets of a real run at `--verbose`: exchanged without a restart, and in no log."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import requests
from stack import Running, started
from tabpy.tabpy_server.handlers.util import hash_password

from models import digits

OLD, NEW, WRONG = "old-token-0123456789", "new-token-0123456789", "wrong-token-0123456789"
ANN = ("ann", "correct-horse-battery")
SECRET_NAME = "personnel-file-4711"  # noqa: S105 - a path text, to be looked for in the logs


def statuses(running: Running, paths: list[str]) -> requests.Response:
    """A SCRIPT_STR field through TabPy."""
    script = "return tabpy.query('image_status', _arg1)['response']"
    return requests.post(f"{running.tabpy}/evaluate", json={"data": {"_arg1": paths}, "script": script}, auth=ANN,
                         timeout=60)


def direct(running: Running, token: str, body: object = None) -> requests.Response:
    """The same column of the server itself."""
    return requests.post(f"{running.server}/v1/classify", json=body or {"paths": [f"{SECRET_NAME}.png"]},
                         headers={"Authorization": f"Bearer {token}"}, timeout=60)


def test_a_token_is_exchanged_while_everything_runs(tmp_path: Path) -> None:
    """Server and TabPy read the file again; no log has a token, a password, a path or a column."""
    pictures, state, tokens = tmp_path / "pictures", tmp_path / "state", tmp_path / "tokens"
    pictures.mkdir()
    state.mkdir()
    (pictures / f"{SECRET_NAME}.png").write_bytes(digits.held_out()[0][1])
    (pictures / f"{SECRET_NAME}-broken.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    tokens.write_text(OLD)
    (tmp_path / "passwords").write_text(f"{ANN[0]} {hash_password(*ANN)}\n")
    paths = [f"{SECRET_NAME}.png", f"{SECRET_NAME}-broken.png", f"{SECRET_NAME}-missing.png"]
    with started(state, images=(pictures,), token_file=tokens, tabpy_password_file=tmp_path / "passwords",
                 verbose=True) as running:
        held = []
        for content in (OLD, f"{NEW}\n{OLD}\n", f"{NEW}\n"):
            tokens.write_text(content)
            held.append((direct(running, OLD).status_code, direct(running, NEW).status_code,
                         statuses(running, paths).json()[0]))
        _misuse(running, paths)
    assert held == [(200, 401, "ok"), (200, 200, "ok"), (401, 200, "ok")]
    logs = {path.name: path.read_text(errors="replace") for path in state.rglob("*.log")}
    assert logs.keys() == {"server.log", "tabpy.log"}
    assert "the token file was read again: 2 tokens hold" in logs["server.log"]
    found = {(name, secret) for name, text in logs.items() for secret in (OLD, NEW, WRONG, ANN[1], SECRET_NAME)
             if secret in text}
    assert found == set()
    assert max(len(line) for text in logs.values() for line in text.splitlines()) < 1000


def _misuse(running: Running, paths: list[str]) -> None:
    """Everything that could make somebody log what was sent."""
    column = paths * 5000
    direct(running, WRONG)
    direct(running, NEW, {"paths": column, "fields": [SECRET_NAME], "model": SECRET_NAME})
    direct(running, NEW, {"paths": column, "arguments": {"rank": paths}})
    direct(running, NEW, {"paths": {"no": column}})
    for body in (json.dumps({"paths": column})[:-3], f'"{SECRET_NAME}', "\x00" + SECRET_NAME):
        requests.post(f"{running.server}/v1/classify", body, headers={"Authorization": f"Bearer {NEW}"}, timeout=60)
    requests.get(f"{running.server}/v1/models/{SECRET_NAME}?token={NEW}", timeout=60,
                 headers={"Authorization": f"Bearer {NEW}"})
    requests.post(f"{running.tabpy}/query/image_label", json={"data": {"paths": column}}, auth=ANN, timeout=60)
    requests.post(f"{running.tabpy}/query/image_label", json={"data": {"no": column}}, auth=ANN, timeout=60)
    requests.post(f"{running.tabpy}/evaluate", json={"data": {}, "script": "return 1"}, auth=("ann", ANN[1] + "x"),
                  timeout=60)
    requests.post(f"{running.server}/evaluate", auth=("ann", NEW), timeout=60, json={
        "script": f"return tabpy.query('image_label', _arg1, '{SECRET_NAME}')['response']", "data": {"_arg1": column}})
    requests.post(f"{running.server}/evaluate", json={"script": SECRET_NAME}, auth=("ann", NEW), timeout=60)
    requests.get(f"{running.server}/info", auth=("ann", WRONG), timeout=60)
    with contextlib.suppress(requests.RequestException):
        requests.get(f"{running.server}/healthz", headers={"X": NEW * 5000}, timeout=60)
