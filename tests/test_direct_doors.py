"""The direct connection's doors: who comes in, how a password comes, what a body may be, and that nothing is run."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from stack import Running, started

from models import digits

OLD, NEW, WRONG = "old-token-0123456789", "new-token-0123456789", "wrong-token-0123456789"
PAGES = [("GET", "/info"), ("GET", "/endpoints"), ("GET", "/endpoints/image_label"), ("GET", "/fields"),
         ("POST", "/evaluate"), ("POST", "/query/image_label")]
ASK = {"script": "return tabpy.query('image_label', _arg1)['response']", "data": {"_arg1": ["a.png"], "_arg2": ["x"]}}
BODIES: dict[str, Any] = {"/evaluate": ASK, "/query/image_label": {"data": {"paths": ["a.png"]}}}
BODY_MB = 2


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The server alone, with two tokens, at its most talkative."""
    target = tmp_path_factory.mktemp("direct")
    for part in ("pictures", "state"):
        (target / part).mkdir()
    (target / "pictures" / "a.png").write_bytes(digits.held_out()[0][1])
    (target / "token").write_text(f"{NEW}\n{OLD}\n")
    with started(target / "state", images=(target / "pictures",), token_file=target / "token", max_body_mb=BODY_MB,
                 no_tabpy=True, verbose=True) as stack:
        yield stack


def asked(running: Running, method: str, page: str, **more: Any) -> requests.Response:
    """A page with the body that belongs to it."""
    more.setdefault("json", BODIES.get(page))
    return requests.request(method, running.server + page, timeout=60, **more)


def basic(text: str) -> dict[str, str]:
    """The header of Basic authentication for these very letters."""
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


@pytest.mark.parametrize(("method", "page"), PAGES)
@pytest.mark.parametrize("user", ["tableau", "", "日本"])
def test_the_token_is_the_password(running: Running, method: str, page: str, user: str) -> None:
    """Of whatever user; an old token and a new one."""
    given = [basic(f"{user}:{token}") for token in (NEW, OLD)]
    assert [asked(running, method, page, headers=headers).status_code for headers in given] == [200, 200]


@pytest.mark.parametrize(("method", "page"), PAGES)
@pytest.mark.parametrize("headers", [
    {}, basic(f"tableau:{WRONG}"), basic(f"{NEW}:tableau"), basic(NEW), basic(f"tableau:{NEW} "), basic("tableau:"),
    basic(f"tableau:x:{NEW}"), {"Authorization": f"Basic {NEW}"}, {"Authorization": "Basic ====="},
    {"Authorization": "Basic"}, {"Authorization": f"Digest {NEW}"}], ids=str)
def test_anything_else_is_refused(running: Running, method: str, page: str, headers: dict[str, str]) -> None:
    """401 in the form that Tableau shows, and browsers ask for the password."""
    answer = asked(running, method, page, headers=headers)
    assert (answer.status_code, answer.json()["message"]) == (401, "this server needs a token")
    assert "the token as the password" in answer.json()["info"]
    assert answer.headers["WWW-Authenticate"].startswith('Basic realm="Pixfield"')


@pytest.mark.parametrize("page", ["/v1/functions", "/v1/models", "/metrics", "/readyz", "/openapi.json",
                                  f"/v1/images/{'0' * 32}/thumbnail.png", "/infos", "/fields/"])
def test_other_pages_take_no_password(running: Running, page: str) -> None:
    """A browser that knows it would send it with what another site's page shows of ours."""
    answer = asked(running, "GET", page, headers=basic(f"tableau:{NEW}"))
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(("method", "page"), PAGES)
@pytest.mark.parametrize(("header", "status"), [({"Host": "evil.example"}, 421),
                                                ({"Origin": "https://evil.example"}, 403)])
def test_web_pages_are_refused(running: Running, method: str, page: str, header: dict[str, str], status: int) -> None:
    """By name and by origin, whatever password a browser sends with it."""
    answer = asked(running, method, page, headers=basic(f"tableau:{NEW}") | header)
    assert answer.status_code == status
    assert answer.json()["message"]


def test_info_says_that_a_password_is_needed(running: Running) -> None:
    """So Tableau asks for it."""
    features = asked(running, "GET", "/info", headers=basic(f"tableau:{NEW}")).json()["versions"]["v1"]["features"]
    assert features["authentication"] == {"required": True, "methods": {"basic-auth": {}}}


def test_the_connection_test_needs_the_password(running: Running) -> None:
    """As Tableau sends it."""
    body = {"script": "return int(1)", "data": {"_arg1": [4]}}
    answers = [asked(running, "POST", "/evaluate", json=body, headers=basic(f"tableau:{token}"))
               for token in (NEW, WRONG)]
    assert (answers[0].text, [answer.status_code for answer in answers]) == ("1", [200, 401])


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """Half a megabyte that unpacks to a hundred."""
    return gzip.compress(bytes(100_000_000), 1)


@pytest.mark.parametrize("page", ["/evaluate", "/query/image_label", "/v1/classify"])
def test_a_bomb_is_refused(running: Running, page: str, bomb: bytes) -> None:
    """And what unpacks to less than the limit is taken."""
    headers = {"Authorization": f"Bearer {NEW}", "Content-Encoding": "gzip"}
    answer = requests.post(running.server + page, bomb, headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_many_bytes")
    good = gzip.compress(json.dumps(BODIES.get(page, {"paths": ["a.png"]})).encode() + b" " * 1_900_000)
    assert requests.post(running.server + page, good, headers=headers, timeout=60).status_code == 200


@pytest.mark.parametrize(("encoding", "status"), [("gzip", 400), ("deflate", 400), ("br", 400), ("gzip, gzip", 400),
                                                  ("identity", 200)])
def test_other_encodings_are_refused(running: Running, encoding: str, status: int) -> None:
    """And a body that is not what it says."""
    headers = {"Authorization": f"Bearer {NEW}", "Content-Encoding": encoding}
    assert asked(running, "POST", "/evaluate", headers=headers).status_code == status


def test_a_body_that_is_too_large_is_refused_before_it_is_read(running: Running) -> None:
    """In Tableau's form, too."""
    answer = requests.post(f"{running.server}/evaluate", bytes(BODY_MB * 1_000_000 + 1), timeout=60,
                           headers={"Authorization": f"Bearer {NEW}"})
    assert (answer.status_code, bool(answer.json()["message"])) == (413, True)


@pytest.mark.parametrize("script", [
    "open('{marker}', 'w')\nreturn 1", "return open('{marker}', 'w').write('x')",
    "return tabpy.query('image_label', open('{marker}', 'w'))['response']",
    "return tabpy.query('image_label', _arg1)[open('{marker}', 'w')]",
    "return tabpy.query(open('{marker}', 'w'), _arg1)['response']",
    "return tabpy.query('image_label', f\"{{open('{marker}', 'w')}}\")['response']",
    "return (lambda: open('{marker}', 'w'))()", "return int(1) if open('{marker}', 'w') else 1",
    "return [open('{marker}', 'w') for x in _arg1]", "import pathlib; pathlib.Path('{marker}').touch()",
    "return __import__('pathlib').Path('{marker}').touch()", "@open('{marker}', 'w')\ndef f(): pass\nreturn 1"])
def test_nothing_is_run(running: Running, tmp_path: Path, script: str) -> None:
    """What would leave a file does not."""
    marker = tmp_path / "run"
    body = {"script": script.format(marker=marker), "data": {"_arg1": ["a.png"]}}
    answer = asked(running, "POST", "/evaluate", json=body, headers=basic(f"tableau:{NEW}"))
    assert (answer.status_code, marker.exists()) == (422, False)
    assert "runs no Python" in answer.json()["info"]


def test_the_page_of_fields_is_one_file_without_scripts(running: Running) -> None:
    """Its policy lets nothing else in, and its style is the one that the policy names."""
    answer = asked(running, "GET", "/fields", headers=basic(f"tableau:{NEW}"))
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert re.findall(r"<script|<link|<img|src=|href=|@import|url\(|\son\w+=", answer.text) == []


def test_logs_have_no_secret(running: Running) -> None:
    """No token, password, script or path of all that was sent above."""
    asked(running, "POST", "/evaluate", headers=basic(f"secret-user:{NEW}"),
          json={"script": r"return tabpy.query('image_status', 'C:\secret-path', 'secret-model')['response']"})
    asked(running, "POST", "/evaluate", headers=basic(f"secret-user:{NEW}"), json={"script": "return secret_script"})
    asked(running, "POST", "/query/secret-name", headers=basic(f"secret-user:{WRONG}"), json={})
    log = "".join(path.read_text(encoding="utf-8") for path in running.settings.state.glob("*.log"))
    assert "/evaluate 200" in log
    assert [text for text in (OLD, NEW, WRONG, "secret", base64.b64encode(b"tableau:").decode()[:9], "tabpy.query")
            if text in log] == []
