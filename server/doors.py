"""Who may come in: Host, Origin and Authorization of a request, checked before its body is kept.

Headers enter, a RequestError or nothing leaves. A page in a browser on this machine reaches loopback, too: under a
name of its own that it lets point here (DNS rebinding), or across origins. The Host check stops the first, the Origin
check the second.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import logging
import re
import socket
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from server.errors import (
    BadRequestError,
    ForbiddenError,
    MisdirectedError,
    RequestError,
    SettingsError,
    UnauthorisedError,
    UnknownError,
)
from server.key_file import signature_of_file
from server.picture_address import AddressKey, PictureAddress
from server.settings import Settings, is_loopback

log = logging.getLogger(__name__)

OPEN = frozenset({"/healthz"})
"""Pages without a token; signed addresses of pictures are the others."""

_TABLEAUS = re.compile(r"/(?:info|evaluate|endpoints(?:/[^/]*)?|query/[^/]*|fields)")
_FOR_TABLEAU = "send Authorization: Bearer <token>; in Tableau enter any user name, and the token as the password"

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?", re.IGNORECASE | re.ASCII)


class Tokens:
    """The tokens in a file, read again when it changes, so that they are exchanged without a restart.

    A file that cannot be read any more changes nothing: the tokens that were in it go on holding, and the log says so.

    Raises:
        SettingsError: at the start, when the file has no usable token.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen = signature_of_file(path)
        self._tokens = tuple(token.encode() for token in read_tokens(path))

    def __bool__(self) -> bool:
        return self._path is not None

    def has(self, given: bytes) -> bool:
        """Whether `given` is one of them; takes equally long for each."""
        return any([hmac.compare_digest(given, token) for token in self._current()])  # noqa: C419 - all of them

    def _current(self) -> tuple[bytes, ...]:
        with self._lock:
            signature = signature_of_file(self._path)
            if signature != self._seen:
                self._seen = signature
                self._read_again()
            return self._tokens

    def _read_again(self) -> None:
        try:
            self._tokens = tuple(token.encode() for token in read_tokens(self._path))
        except SettingsError as exc:
            log.warning("the tokens of before go on holding: %s", exc)
        else:
            log.info("the token file was read again: %d tokens hold", len(self._tokens))


def read_tokens(path: Path | None) -> tuple[str, ...]:
    """The tokens in a file, one a line, so that an old and a new one hold while they are exchanged.

    ASCII only: an HTTP header carries nothing else for sure, and a byte order mark would become part of the token.
    """
    if path is None:
        return ()
    try:
        tokens = tuple(line.strip() for line in path.read_text(encoding="ascii").splitlines() if line.strip())
    except UnicodeDecodeError as exc:  # its own text would show the bytes
        raise SettingsError(f"--token-file {path} cannot be read (byte {exc.start} is not ASCII).") from None
    except OSError as exc:
        raise SettingsError(f"--token-file {path} cannot be read ({exc}).") from exc
    if not tokens:
        raise SettingsError(f"--token-file {path} is empty: put a long random text in it.")
    return tokens


class Doors:
    """The check that every request passes, whatever it asks for.

    Args:
        tokens: what opens the server; none where only this machine reaches it.
        hosts: the names under which callers may address it.
        machine: the machine's own name where other machines reach it, with or without a domain; else nothing.
        takes_any_address: whether an IP address is as good as a name; no name can be made to point at itself.
        pictures: what judges signed addresses of pictures.
    """

    def __init__(self, tokens: Tokens, *, hosts: Iterable[str], machine: str = "",
                 takes_any_address: bool = False, pictures: AddressKey | None = None) -> None:
        self._tokens, self._pictures = tokens, pictures
        self._hosts = frozenset(host.lower() for host in hosts)
        self._machine = machine.lower()
        self._takes_any_address = takes_any_address

    @classmethod
    def of(cls, settings: Settings, pictures: AddressKey | None = None) -> Doors:
        """The doors that the settings mean."""
        is_everywhere = settings.host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
        return cls(Tokens(settings.token_file), hosts=(*_LOOPBACK, settings.host, *settings.public_hosts),
                   machine="" if is_loopback(settings.host) else socket.gethostname(), takes_any_address=is_everywhere,
                   pictures=pictures)

    def check(self, path: str, headers: Mapping[str, str]) -> None:
        """Raise what refuses a request for `path` with these headers, named as in WSGI (`HTTP_HOST`)."""
        self._check_host(headers)
        self._check_origin(headers)
        address = PictureAddress.of(path)
        is_signed = address is not None and bool(address.signature)
        if address is not None and is_signed and self._pictures is not None and self._pictures.is_signed(address):
            return
        self._check_token(path, headers)
        if is_signed:  # said of every wrong signature, whether the content is known or not
            raise UnknownError("no_picture", "there is no such picture", "ask for the column of addresses again")

    def _check_token(self, path: str, headers: Mapping[str, str]) -> None:
        if not self._tokens or path in OPEN:
            return
        given = _token_in(headers.get("HTTP_AUTHORIZATION", ""), is_basic_taken=is_tableaus(path))
        if not self._tokens.has(given):
            raise UnauthorisedError("no_token", "this server needs a token", _FOR_TABLEAU if is_tableaus(path)
                                    else "send Authorization: Bearer <token>")

    def refusal(self, path: str, headers: Mapping[str, str]) -> RequestError | None:
        """What `check` raises, or nothing."""
        try:
            self.check(path, headers)
        except RequestError as exc:
            return exc
        return None

    def keeps_body(self, path: str, headers: Mapping[str, str]) -> bool:
        """Whether a body may be of use: not of a request that is refused, nor where a token is not what opens."""
        return path not in OPEN and PictureAddress.of(path) is None and self.refusal(path, headers) is None

    def _check_host(self, headers: Mapping[str, str]) -> None:
        host = headers.get("HTTP_HOST")
        if host is None and headers.get("SERVER_PROTOCOL") == "HTTP/1.0":
            return  # a load balancer's health check; no browser leaves it out
        name = name_of(host or "")
        if name is None:
            raise BadRequestError("bad_host", "the Host header is missing or no host name", "send Host: localhost")
        if not self._has(name):
            raise MisdirectedError("unknown_host", f"this server is not called {name}",
                                   "address it as localhost, or name it with --public-host")

    def _check_origin(self, headers: Mapping[str, str]) -> None:
        origin = headers.get("HTTP_ORIGIN")
        if origin is None:
            return
        name = name_of(_netloc(origin))
        if name is None or not self._has(name):
            raise ForbiddenError("foreign_origin", "a page of another site may not ask this server",
                                 "name that site's host with --public-host if it is yours")

    def _has(self, name: str) -> bool:
        is_machine = self._machine and (name == self._machine or name.startswith(f"{self._machine}."))
        return name in self._hosts or bool(is_machine) or (self._takes_any_address and _is_address(name))


def is_tableaus(path: str) -> bool:
    """Whether Tableau itself asks for this page: there the token may come as the password of Basic authentication.

    On no other page: a browser that knows a password sends it unasked, with whatever another site's page shows of ours.
    """
    return bool(_TABLEAUS.fullmatch(path))


def _token_in(authorization: str, *, is_basic_taken: bool) -> bytes:
    """The token in the header, or nothing; the user name of Basic authentication is not looked at."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return given.strip().encode()
    if scheme.lower() != "basic" or not is_basic_taken:
        return b""
    try:
        return base64.b64decode(given.strip().encode(), validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def name_of(host: str) -> str | None:
    """The name or address in a Host header, without port, brackets and final dot; None where there is none."""
    match = _HOST.fullmatch(host)
    return (match[1] or match[2].removesuffix(".")).lower() or None if match else None


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
