"""One HTTP exchange with an address that was checked, within one deadline.

`http.client` looks names up itself and bounds each read, not all of them; here it is given a connected socket whose
every read and write ends at the deadline, so that a server that sends a letter a second ends too.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from server.url_prefix import Url

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Connect = Callable[[str, int, float], socket.socket]


def connect(address: str, port: int, timeout_s: float) -> socket.socket:
    """A TCP connection to an address, not a name."""
    return socket.create_connection((address, port), timeout=timeout_s)


class DeadlineSocket:
    """What `http.client` needs of a socket, each call bounded by one deadline; its owner closes the socket itself."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def sendall(self, data: bytes) -> None:
        """Send everything."""
        self._sock.settimeout(seconds_left(self._deadline))
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """A file of what comes."""
        return io.BufferedReader(_Reader(self._sock, self._deadline))

    def close(self) -> None:
        """Nothing: http.client closes as soon as the headers are read."""


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._sock.settimeout(seconds_left(self._deadline))
        return self._sock.recv_into(buffer)


def seconds_left(deadline: float) -> float:
    """Seconds until `deadline` (time.monotonic()); raises TimeoutError when it is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def encrypt(sock: socket.socket, host: str, deadline: float, context: ssl.SSLContext) -> ssl.SSLSocket:
    """TLS over `sock`, the certificate checked against `host`; raises OSError."""
    sock.settimeout(seconds_left(deadline))
    return context.wrap_socket(sock, server_hostname=host)


def get(sock: socket.socket, url: Url, headers: Mapping[str, str], deadline: float) -> http.client.HTTPResponse:
    """Ask for `url` over `sock`; raises OSError or http.client.HTTPException."""
    connection = http.client.HTTPConnection(url.host, url.port)
    connection.sock = cast("socket.socket", DeadlineSocket(sock, deadline))
    connection.putrequest("GET", url.target, skip_host=True, skip_accept_encoding=True)
    fixed = {"Host": url.authority, "User-Agent": "Pixfield", "Accept": "image/*, application/octet-stream;q=0.5",
             "Accept-Encoding": "identity", "Connection": "close"}
    for name, value in (fixed | dict(headers)).items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse()
