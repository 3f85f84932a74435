"""The sockets TabPy listens on: loopback in both families, because `localhost` may mean either."""

import errno
import socket

from tabpy_functions.errors import LaunchError

_LOOPBACK = ("127.0.0.1", "::1")
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def bound_sockets(port: int, host: str | None, *, is_guarded: bool) -> list[socket.socket]:
    """Bound and listening, IPv4 loopback first; `host` is added, and refused unless a password guards TabPy."""
    if host is not None and host not in (*_LOOPBACK, "localhost") and not is_guarded:
        raise LaunchError(f"TabPy runs any script it is sent: listening on {host} needs --password-file.")
    sockets: list[socket.socket] = []
    try:
        for address in _addresses(host):
            sockets += _bound(address, sockets[0].getsockname()[1] if sockets else port)
    except OSError as exc:
        for sock in sockets:
            sock.close()
        raise LaunchError(_refusal(port, host, exc)) from exc
    return sockets


def _addresses(host: str | None) -> list[str]:
    if host is None or host in (*_LOOPBACK, "localhost"):
        return list(_LOOPBACK)
    return {"0.0.0.0": ["0.0.0.0", "::1"], "::": ["0.0.0.0", "::"]}.get(host, [*_LOOPBACK, host])  # noqa: S104


def _bound(address: str, port: int) -> list[socket.socket]:
    from tornado.netutil import bind_sockets

    try:
        bound: list[socket.socket] = bind_sockets(port, address)
    except OSError as exc:
        if address == "::1" and exc.errno in _NO_SUCH_ADDRESS:
            return []  # a machine without IPv6
        raise
    return bound


def _refusal(port: int, host: str | None, exc: OSError) -> str:
    if exc.errno == errno.EADDRINUSE:
        return f"Port {port} is taken by another program: stop it, or give TabPy another port."
    return f"TabPy cannot listen on {host or 'loopback'}, port {port} ({exc.strerror}): give another address or port."
