"""The listening thread over real sockets: with kept registrations, and with waitress's own loop, as without epoll."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from waitress import wasyncore
from waitress.channel import HTTPChannel

from server import listening
from server.doors import Doors, Tokens
from server.kept_poll import KeptPoll

pytest_plugins = ("server_fixtures",)

WaitUntil = Callable[[Callable[[], object]], None]
LONG = b"x" * 3_000_000  # more than a socket and waitress's high-water mark take
GET = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass
class Site:
    """A listening server whose page /wait waits for the gate."""

    port: int = 0
    sockets: dict[int, Any] = field(default_factory=dict)
    gate: threading.Event = field(default_factory=threading.Event)
    waiting: list[str] = field(default_factory=list)

    def app(self, environ: Mapping[str, Any], start: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
        """/long is long, /wait waits, all others say what they were sent."""
        path = environ["PATH_INFO"]
        if path == "/wait":
            self.waiting.append(path)
            self.gate.wait(30)
        body = LONG if path == "/long" else path.encode() + environ["wsgi.input"].read()
        start("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    @contextlib.contextmanager
    def caller(self) -> Iterator[socket.socket]:
        """A connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            yield connection


def _bodies(connection: socket.socket, count: int) -> list[bytes]:
    """The next answers of a connection."""
    file, bodies = connection.makefile("rb"), []
    for _ in range(count):
        length = 0
        while (line := file.readline()) not in (b"\r\n", b""):
            length = int(line.split()[1]) if line.lower().startswith(b"content-length") else length
        bodies.append(file.read(length))
    return bodies


@pytest.fixture(params=["kept", "asking"])
def site(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """One with either loop; kept registrations where the system has them."""
    if request.param == "asking":
        monkeypatch.delattr(select, "epoll", raising=False)
    site = Site()
    server = listening.bound(site.app, Doors(Tokens(None), hosts=("localhost",)), count=lambda _: None,
                             shortcut=lambda _: None,
                             sockets=site.sockets, host="127.0.0.1", port=0, threads=4)
    site.port = server.effective_port
    thread = threading.Thread(target=server.run)
    thread.start()
    yield site
    site.gate.set()
    server.close()
    thread.join(30)
    server.task_dispatcher.shutdown()
    assert not thread.is_alive()


def test_requests_sent_at_once_are_answered_in_order(site: Site) -> None:
    """The second one comes while the first waits, and is read when it is answered."""
    with site.caller() as connection:
        connection.sendall(GET % b"wait" + GET % b"a")
        connection.sendall(GET % b"b")
        site.gate.set()
        assert _bodies(connection, 3) == [b"/wait", b"/a", b"/b"]


def test_a_body_is_asked_for(site: Site) -> None:
    """Expect: 100-continue gets its line before the body comes."""
    with site.caller() as connection:
        connection.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                           b"Content-Length: 40000\r\n\r\n")
        assert connection.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"y" * 40_000)
        assert _bodies(connection, 1) == [b"/v1/classify" + b"y" * 40_000]


def test_an_old_caller_sees_the_end(site: Site) -> None:
    """HTTP/1.0: the connection is closed after the whole answer, however slowly it is read."""
    with site.caller() as connection:
        connection.sendall(b"GET /long HTTP/1.0\r\nHost: localhost\r\n\r\n")
        received = connection.recv(1000)
        with site.caller() as other:
            other.sendall(GET % b"a")
            assert _bodies(other, 1) == [b"/a"]
        received += b"".join(iter(lambda: connection.recv(65_536), b""))
        assert received.endswith(b"\r\n\r\n" + LONG)


def test_a_connection_goes_on_after_a_long_answer(site: Site) -> None:
    """Twice more than the socket takes, then a short one."""
    with site.caller() as connection:
        connection.sendall(GET % b"long")
        assert _bodies(connection, 1) == [LONG]
        connection.sendall(GET % b"long")
        assert _bodies(connection, 1) == [LONG]
        connection.sendall(GET % b"a")
        assert _bodies(connection, 1) == [b"/a"]


def test_who_goes_away_in_mid_answer_is_forgotten(site: Site, wait_until: WaitUntil) -> None:
    """With a reset, which the system reports whatever is registered: the thread goes on, and nothing stays behind."""
    with site.caller() as other:
        other.sendall(GET % b"a")
        _bodies(other, 1)
        before = len(site.sockets)
        connection = socket.create_connection(("127.0.0.1", site.port), timeout=30)
        connection.sendall(GET % b"long")
        connection.recv(1000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        wait_until(lambda: len(site.sockets) == before)
        other.sendall(GET % b"b")
        assert _bodies(other, 1) == [b"/b"]


def test_who_goes_away_while_served_costs_no_rounds(site: Site, wait_until: WaitUntil,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """The reset is left alone until the answer is there; a loop that went round for it would never rest."""
    before = len(site.sockets)
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=30)
    connection.sendall(GET % b"wait")
    wait_until(lambda: site.waiting)
    asked: list[object] = []

    def readable(channel: listening.BoundedChannel) -> bool:
        asked.append(channel)
        return bool(HTTPChannel.readable(channel))

    monkeypatch.setattr(listening.BoundedChannel, "readable", readable)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    with site.caller() as other:
        other.sendall((GET % b"a") * 20)
        assert _bodies(other, 20) == [b"/a"] * 20
    site.gate.set()
    wait_until(lambda: len(site.sockets) == before)
    assert len(asked) < 500


def test_a_socket_closed_by_another_thread_is_no_error() -> None:
    """What stops the server closes all sockets while the listening thread looks at them."""
    if not hasattr(select, "epoll"):
        pytest.skip("kept registrations are Linux's")
    sockets: dict[int, Any] = {}
    one = wasyncore.dispatcher(socket.socket(), map=sockets)
    poll = KeptPoll(sockets)
    one.socket.close()
    poll.look(one)
    assert poll._registered == {}
