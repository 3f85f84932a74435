"""The server's doors at the socket: limits, slow callers, odd methods and headers; and TabPy's against web pages."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from stack import Running, started

from models import digits

TOKEN = "token-of-these-tests-0123456789"  # noqa: S105 - of the tests
BODY_MB = 2
TOO_SLOW_S = 30.0  # above the 20 s the server allows, and its look every 2 s


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def code(self) -> str:
        """The code of the error, in the server's form."""
        return str(json.loads(self.body)["error"]["code"])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Both, with a small body limit and a token."""
    target = tmp_path_factory.mktemp("doors")
    for part in ("pictures", "state"):
        (target / part).mkdir()
    name, data, _ = digits.held_out()[0]
    (target / "pictures" / name).write_bytes(data)
    (target / "token").write_text(TOKEN)
    with started(target / "state", images=(target / "pictures",), token_file=target / "token", max_body_mb=BODY_MB,
                 public_host=("pixfield.example",)) as stack:
        yield stack


def connected(running: Running, *, tabpy: bool = False) -> socket.socket:
    """A connection that waits ten seconds at most."""
    port = running.settings.tabpy_port if tabpy else running.settings.port
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def head(line: str, *headers: str, host: str = "localhost", token: str | None = TOKEN) -> bytes:
    """A request's head."""
    own = [f"Host: {host}"] if host else []
    own += [f"Authorization: Bearer {token}"] if token else []
    return "\r\n".join([line, *own, *headers, "", ""]).encode("latin-1")


def read_reply(sock: socket.socket, method: str = "GET") -> Reply:
    """The next answer on a connection."""
    response = http.client.HTTPResponse(sock, method=method)
    response.begin()
    return Reply(response.status, response.headers, response.read())


def raw(running: Running, data: bytes, method: str = "GET", *, tabpy: bool = False) -> Reply:
    """The answer to these very bytes."""
    with closing(connected(running, tabpy=tabpy)) as sock:
        sock.sendall(data)
        return read_reply(sock, method)


def memory_mb(running: Running) -> float:
    """What the server's process holds."""
    return float(psutil.Process(running.supervisor.child("server").pid).memory_info().rss) / 1e6


CLASSIFY = "POST /v1/classify HTTP/1.1"
JSON = "Content-Type: application/json"


# ---- bodies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expect", [(), ("Expect: 100-continue",)])
@pytest.mark.parametrize("length", [str(10 * 10**9), str(BODY_MB * 10**6 + 1)])
def test_a_body_too_large_is_refused_before_it_is_read(running: Running, length: str, expect: tuple[str, ...]) -> None:
    """By its announcement alone, and at once."""
    began = time.monotonic()
    reply = raw(running, head(CLASSIFY, JSON, f"Content-Length: {length}", *expect))
    assert (reply.status, reply.code, reply.headers["Connection"]) == (413, "request_entity_too_large", "close")
    assert time.monotonic() - began < 2


def test_what_is_refused_unread_is_counted(running: Running) -> None:
    """By its status, under an endpoint of its own."""
    wanted = 'pixfield_requests_total{endpoint="unread",status="413"}'

    def counted() -> float:
        lines = raw(running, head("GET /metrics HTTP/1.1")).body.decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(wanted))

    before = counted()
    raw(running, head(CLASSIFY, JSON, "Content-Length: 1000000000"))
    assert counted() == before + 1


def test_the_largest_body_is_read(running: Running) -> None:
    """To the byte."""
    body = b'{"paths": ["a"]}'.ljust(BODY_MB * 10**6)
    reply = raw(running, head(CLASSIFY, JSON, f"Content-Length: {len(body)}") + body)
    assert (reply.status, json.loads(reply.body)["count"]) == (200, 1)


@pytest.mark.parametrize("token", [TOKEN, "wrong"])
@pytest.mark.parametrize("piece", [b"10000\r\n" + b" " * 65536 + b"\r\n", b"1" * 65536, b"1\r\n \r\n" * 10_000],
                         ids=["chunks", "a chunk size without end", "tiny chunks"])
def test_an_endless_body_is_cut_off(running: Running, token: str, piece: bytes) -> None:
    """When it passes the limit, whoever sends it; memory stays flat and others are answered meanwhile."""
    before = memory_mb(running)
    sent = 0
    with closing(connected(running)) as sock:
        sock.sendall(head(CLASSIFY, JSON, "Transfer-Encoding: chunked", token=token))
        with contextlib.suppress(ConnectionError):
            while sent < 100 * 10**6:
                sent += sock.send(piece)
    assert sent < 50 * 10**6  # the limit, and what the system's buffers took
    assert raw(running, head("GET /healthz HTTP/1.1")).status == 200
    assert memory_mb(running) - before < 25


def test_bodies_without_a_token_are_not_kept(running: Running) -> None:
    """Forty of them at once, each just within the limit, and each gets its 401."""
    size = BODY_MB * 10**6
    before = memory_mb(running)
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(closing(connected(running))) for _ in range(40)]
        for sock in socks:
            sock.sendall(head(CLASSIFY, JSON, f"Content-Length: {size}", token="wrong") + b" " * (size - 1))  # noqa: S106
        held = memory_mb(running) - before
        for sock in socks:
            sock.sendall(b" ")
        replies = [read_reply(sock, "POST") for sock in socks]
    assert ([(reply.status, reply.code) for reply in replies], held < 40) == ([(401, "no_token")] * 40, True)


@pytest.mark.parametrize("line", ["POST /healthz HTTP/1.1", f"POST /v1/images/{'0' * 32}.{'0' * 32}/a.png HTTP/1.1"])
def test_bodies_of_pages_without_a_token_are_not_kept(running: Running, line: str) -> None:
    """Health and signed addresses are open to everybody, so they take none."""
    size = BODY_MB * 10**6
    before = memory_mb(running)
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(closing(connected(running))) for _ in range(40)]
        for sock in socks:
            sock.sendall(head(line, JSON, f"Content-Length: {size}") + b" " * (size - 1))
        held = memory_mb(running) - before
        for sock in socks:
            sock.sendall(b" ")
        replies = {read_reply(sock, "POST").status for sock in socks}
    assert (len(replies), replies < {404, 405}, held < 40) == (1, True, True)


def test_a_refused_body_leaves_the_connection_usable(running: Running) -> None:
    """What was thrown away is exactly the body: the next request on the connection is read as one."""
    body = json.dumps({"paths": ["a"]}).encode()
    with closing(connected(running)) as sock:
        statuses = []
        for token in ("wrong", TOKEN, "wrong", TOKEN):
            sock.sendall(head(CLASSIFY, JSON, f"Content-Length: {len(body)}", token=token) + body)
            statuses.append(read_reply(sock, "POST").status)
    assert statuses == [401, 200, 401, 200]


def test_who_asks_before_sending_is_told_no(running: Running) -> None:
    """Expect: 100-continue saves the body."""
    reply = raw(running, head(CLASSIFY, JSON, "Content-Length: 1000", "Expect: 100-continue", token=None))
    assert (reply.status, reply.headers["WWW-Authenticate"], reply.headers["Connection"]) == (401, "Bearer", "close")


# ---- heads -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("headers", "status"), [
    ([f"X-{number}: 1" for number in range(200)], 400),
    ([f"X-Long: {'x' * 70_000}"], 431),
    ([f"X-Long: {'x' * 60_000}"], 200),
    (["Content-Length: 12x"], 400), (["Content-Length: -1"], 400), ([f"Content-Length: {'9' * 5000}"], 400),
    (["Transfer-Encoding: gzip"], 501), (["no colon"], 400), (["X: a\rb"], 400)])
def test_heads_have_limits(running: Running, headers: list[str], status: int) -> None:
    """Each refusal is an answer in the server's form."""
    reply = raw(running, head("GET /healthz HTTP/1.1", *headers))
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/json"
    assert len(reply.headers["X-Request-Id"]) == 8


@pytest.mark.parametrize("line", ["GET http://[ HTTP/1.1", "GET", "GET /", "\x16\x03\x01 x HTTP/1.1", "GET  / HTTP/1.1",
                                  "GET /\xff%ff%00 HTTP/1.1", "GET /healthz HTTP/9.9", "/ GET HTTP/1.1",
                                  "GET //evil.example/%2f..%2f HTTP/1.1", "CONNECT a:1 HTTP/1.1", "OPTIONS * HTTP/1.1",
                                  "PRI * HTTP/2.0", "GET /" + "a" * 60_000 + " HTTP/1.1"])
def test_odd_request_lines_are_answered(running: Running, line: str) -> None:
    """Never with a fault, never with a redirect."""
    reply = raw(running, head(line))
    assert reply.status in (200, 400, 404, 405, 431)


@pytest.mark.parametrize("value", ["", "Bearer", "Basic YTpi", TOKEN, "Bearer schl\xfcssel", "Bearer " + "x" * 60_000,
                                   f"Bearer {TOKEN}, Bearer {TOKEN}", "Negotiate " + "A" * 1000])
def test_malformed_authorization_is_401(running: Running, value: str) -> None:
    """Whatever stands in it."""
    reply = raw(running, head("GET /v1/models HTTP/1.1", f"Authorization: {value}", token=None))
    assert (reply.status, reply.code) == (401, "no_token")


def test_two_authorizations_are_none(running: Running) -> None:
    """Which one would count?"""
    assert raw(running, head("GET /v1/models HTTP/1.1", f"Authorization: Bearer {TOKEN}")).status == 401


def test_pages_that_are_not_there_need_the_token_too(running: Running) -> None:
    """Nobody learns the pages without it."""
    statuses = [raw(running, head("GET /none HTTP/1.1", token=token)).status for token in (None, TOKEN)]
    assert statuses == [401, 404]


@pytest.mark.parametrize(("host", "status"), [
    ("localhost", 200), ("127.0.0.1:1", 200), ("[::1]", 200), ("pixfield.example", 200), ("evil.example", 421),
    ("", 400), ("a b", 400)])
def test_only_its_own_names_reach_it(running: Running, host: str, status: int) -> None:
    """A web page whose name points here gets nothing, health included."""
    assert raw(running, head("GET /healthz HTTP/1.1", host=host)).status == status


def test_other_sites_get_nothing(running: Running) -> None:
    """No CORS header on any answer, and no answer to a page of another site."""
    preflight = raw(running, head("OPTIONS /v1/classify HTTP/1.1", "Origin: https://evil.example",
                                  "Access-Control-Request-Method: POST", token=None))
    own = raw(running, head("GET /v1/models HTTP/1.1", "Origin: https://pixfield.example"))
    assert (preflight.status, own.status) == (403, 200)
    assert [name for reply in (preflight, own) for name in reply.headers if name.lower().startswith("access-")] == []


# ---- methods and answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("line", "status", "allow"), [
    ("HEAD /healthz HTTP/1.1", 200, None), ("HEAD /v1/classify HTTP/1.1", 405, {"OPTIONS", "POST"}),
    ("OPTIONS /v1/classify HTTP/1.1", 200, {"OPTIONS", "POST"}), ("TRACE /healthz HTTP/1.1", 405, {"GET", "HEAD"}),
    ("GET /v1/classify HTTP/1.1", 405, {"POST"}), ("DELETE /v1/models HTTP/1.1", 405, {"GET"}),
    ("BREW /healthz HTTP/1.1", 405, {"GET"})])
def test_methods(running: Running, line: str, status: int, allow: set[str] | None) -> None:
    """A wrong one is told which are right; TRACE gives nothing back."""
    reply = raw(running, head(line, "X-Secret: 42"), method=line.partition(" ")[0])
    assert (reply.status, b"42" in reply.body) == (status, False)
    assert allow is None or allow <= set(reply.headers["Allow"].split(", "))


@pytest.mark.parametrize(("line", "token"), [("GET /healthz HTTP/1.1", None), ("GET /v1/models HTTP/1.1", TOKEN),
                                             ("GET /v1/models HTTP/1.1", "wrong"), ("GET /none HTTP/1.1", TOKEN),
                                             ("nonsense", None), (CLASSIFY, TOKEN)])
def test_every_answer_carries_the_security_headers(running: Running, line: str, token: str | None) -> None:
    """Good ones, refused ones, and those given before Flask sees the request."""
    headers = raw(running, head(line, token=token)).headers
    assert {name: headers[name] for name in ("X-Content-Type-Options", "Cache-Control", "Content-Security-Policy",
                                             "Cross-Origin-Resource-Policy")} == {
        "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Cross-Origin-Resource-Policy": "same-origin"}


# ---- slow callers ------------------------------------------------------------------------------------------------


def test_slow_callers_starve_nobody(running: Running) -> None:
    """More half requests than there are places: others are answered at once, and the half ones are dropped."""
    def slowest() -> float:
        took = []
        for _ in range(20):
            began = time.monotonic()
            assert raw(running, head("GET /healthz HTTP/1.1")).status == 200
            took.append(time.monotonic() - began)
        return max(took)

    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(closing(connected(running))) for _ in range(700)]
        for number, sock in enumerate(socks):
            with contextlib.suppress(ConnectionError):  # the first are dropped when the last come
                sock.sendall(head(CLASSIFY, JSON, "Content-Length: 9") + b"{" if number % 2 else b"GET / HTTP/1.1\r\nX")
        assert slowest() < 2
        assert _seconds_until_closed(socks[-1]) < TOO_SLOW_S
        assert slowest() < 2


def _seconds_until_closed(sock: socket.socket) -> float:
    """Send a byte every half second until the server has had enough."""
    began = time.monotonic()
    sock.settimeout(0.5)
    while time.monotonic() - began < TOO_SLOW_S:
        try:
            sock.send(b" ")
            if not sock.recv(1):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    return time.monotonic() - began


# ---- TabPy against web pages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("host", "extra", "status"), [
    ("localhost:9004", [], 200), ("127.0.0.1", [], 200), ("pixfield.example", [], 421),
    ("localhost", ["Origin: http://localhost:9004"], 200), ("evil.example", [], 421), ("", [], 400),
    ("localhost", ["Origin: https://evil.example"], 403), ("localhost", ["Origin: null"], 403)])
def test_no_web_page_runs_a_script(running: Running, tmp_path: Path, host: str, extra: list[str], status: int) -> None:
    """Browsers may send text/plain anywhere, and TabPy would run it; without passwords no proxy reaches it either."""
    mark = tmp_path / "ran"
    body = json.dumps({"data": {}, "script": f"open({str(mark)!r}, 'w').close()\nreturn 1"}).encode()
    request = head("POST /evaluate HTTP/1.1", "Content-Type: text/plain", f"Content-Length: {len(body)}", *extra,
                   host=host, token=None)
    assert (raw(running, request + body, "POST", tabpy=True).status, mark.exists()) == (status, status == 200)
