"""TLS by a reverse proxy: the nginx configuration of docs/security.md, as it stands there but for ports and files."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from stack import Running, free_ports, started
from tabpy.tabpy_server.handlers.util import hash_password

from models import digits

ANN = ("tableau", "correct horse")
TOKEN = "token-of-these-tests-0123456789"  # noqa: S105 - of the tests
NAME = "pixfield.example"
SECURITY = Path(__file__).resolve().parent.parent / "docs" / "security.md"
NGINX, OPENSSL = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin"), shutil.which("openssl")

pytestmark = pytest.mark.skipif(NGINX is None or OPENSSL is None, reason="nginx or openssl is not installed")


@dataclass(frozen=True, slots=True)
class Proxied:
    """The stack behind nginx, and a session that finds its name on this machine."""

    running: Running
    session: requests.Session
    server: str
    tabpy: str


class _ToLoopback(HTTPAdapter):
    """Sends to 127.0.0.1 what is meant for NAME, whose certificate is still compared."""

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """As if the name were in the system's hosts file."""
        request.headers.setdefault("Host", NAME)
        request.url = (request.url or "").replace(NAME, "127.0.0.1")
        return super().send(request, *args, **options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Ask for, and compare with, the name."""
        super().init_poolmanager(*args, assert_hostname=NAME, server_hostname=NAME, **options)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """Server, TabPy and nginx as an administrator would start them."""
    folder = tmp_path_factory.mktemp("proxy")
    for part in ("pictures", "state"):
        (folder / part).mkdir()
    for name, data, _ in digits.held_out()[:3]:
        (folder / "pictures" / name).write_bytes(data)
    (folder / "token").write_text(TOKEN)
    (folder / "passwords").write_text(f"{ANN[0]} {hash_password(*ANN)}\n")
    with started(folder / "state", images=(folder / "pictures",), token_file=folder / "token", public_host=(NAME,),
                 tabpy_password_file=folder / "passwords") as running:
        ports = free_ports()
        _certify(folder)
        process = _start_nginx(folder, running, ports)
        try:
            with requests.Session() as session:
                session.mount("https://", _ToLoopback())
                session.verify, session.trust_env = str(folder / "pixfield.pem"), False
                yield Proxied(running, session, *(f"https://{NAME}:{port}" for port in ports))
        finally:
            process.terminate()
            process.wait(10)


def _certify(folder: Path) -> None:
    """A certificate of its own making."""
    subprocess.run([str(OPENSSL), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
                    "-addext", "keyUsage=critical,digitalSignature,keyCertSign",
                    "-keyout", str(folder / "pixfield.key"), "-out", str(folder / "pixfield.pem")],
                   check=True, capture_output=True)


def _start_nginx(folder: Path, running: Running, ports: tuple[int, int]) -> subprocess.Popen[bytes]:
    """nginx with the page's configuration; returns when it accepts connections."""
    found = re.search(r"```nginx\n(.*?)```", SECURITY.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    text = found[1]
    for old, new in (("listen 443", f"listen 127.0.0.1:{ports[0]}"), ("listen 9443", f"listen 127.0.0.1:{ports[1]}"),
                     ("127.0.0.1:9005", f"127.0.0.1:{running.settings.port}"), ("/etc/ssl", str(folder)),
                     ("127.0.0.1:9004", f"127.0.0.1:{running.settings.tabpy_port}")):
        assert old in text
        text = text.replace(old, new)
    places = " ".join(f"{kind}_temp_path {folder / kind};" for kind in
                      ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(f"{user} daemon off; pid {folder / 'nginx.pid'}; error_log stderr; events {{}}\n"
                                       f"http {{ access_log off; {places}\n{text}}}\n")
    process = subprocess.Popen([str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"])
    until = time.monotonic() + 10
    while time.monotonic() < until and process.poll() is None:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", ports[1])) == 0:
                return process
        time.sleep(0.02)
    process.kill()
    raise AssertionError(f"nginx did not start: {process.wait()}")


def script(paths: list[str]) -> dict[str, Any]:
    """The body of a SCRIPT_STR field."""
    return {"data": {"_arg1": paths}, "script": "return tabpy.query('image_label', _arg1)['response']"}


def test_tableau_asks_through_tls(proxied: Proxied) -> None:
    """With the password an answer, without it none."""
    paths = sorted(path.name for path in proxied.running.settings.images[0].iterdir())
    column = proxied.session.post(f"{proxied.tabpy}/evaluate", json=script(paths), auth=ANN, timeout=60).json()
    named = proxied.session.post(f"{proxied.tabpy}/query/image_label", json={"data": {"paths": paths}}, auth=ANN,
                                 timeout=60).json()["response"]
    without = proxied.session.post(f"{proxied.tabpy}/evaluate", json=script(paths), timeout=60).status_code
    assert (len(column), None in column, named, without) == (3, False, column, 401)


def test_programs_ask_the_server_through_tls(proxied: Proxied) -> None:
    """With the token an answer, whose security headers survive; without it none."""
    url, body = f"{proxied.server}/v1/classify", {"paths": ["a.png"] * 20_000}
    answer = proxied.session.post(url, json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
    assert (answer.status_code, answer.json()["count"], answer.headers["Cache-Control"]) == (200, 20_000, "no-store")
    assert proxied.session.post(url, json=body, timeout=60).status_code == 401


@pytest.mark.parametrize("path", ["server", "tabpy"])
def test_other_names_stay_outside(proxied: Proxied, path: str) -> None:
    """nginx hands a foreign name on; the doors behind it refuse it."""
    answer = proxied.session.get(f"{getattr(proxied, path)}/info", headers={"Host": "evil.example"}, timeout=30)
    assert answer.status_code == 421
