"""URLs as they are compared: parsed into scheme, host, port and whole path segments, never as text.

A text enters, a `Url` leaves in one canonical form, which is also the only form that is ever sent. What browsers and
servers read in different ways (backslashes, user names, numbers for hosts, slashes or dots in disguise) is refused.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple, Self
from urllib.parse import quote, unquote_to_bytes

from server.errors import SettingsError
from server.path_error import PathError

IS_URL = re.compile(r"(?!file:)[A-Z][A-Z0-9+.-]+://", re.IGNORECASE)  # two letters at least: C:// is a drive
PORTS = {"http": 80, "https": 443}
_PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?", re.ASCII)
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}$)(?:{_LABEL}\.)*{_LABEL}", re.ASCII)
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)", re.ASCII)
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_TWICE = re.compile(r"%(?:2[EeFf]|5[Cc]|00)")
_MAX_LETTERS = 8000  # longer than what servers take
_IN_SEGMENT = "!$&'()*+,;=:@-._~"  # RFC 3986, section 3.3
_IN_QUERY = _IN_SEGMENT + "/?%"


class Url(NamedTuple):
    """A URL in canonical form: decoded path segments without dots, the query as written; a fragment is never kept."""

    scheme: str
    host: str
    port: int
    segments: tuple[str, ...]
    query: str | None

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS.get(self.scheme) else f"{host}:{self.port}"

    @property
    def place(self) -> str:
        """Where the path begins, as a mapping compares it."""
        return f"{self.scheme}://{self.authority}"

    @property
    def target(self) -> str:
        """Path and query as the request line has them."""
        encoded = (quote(segment, safe=_IN_SEGMENT, errors="surrogateescape") for segment in self.segments)
        query = "" if self.query is None else "?" + quote(self.query, safe=_IN_QUERY)
        return "/" + "/".join(encoded) + query


def parse_url(text: str) -> Url:
    """The canonical form of `text`.

    Raises:
        PathError: it is no URL, or one that two programs may read differently.
    """
    if len(text) > _MAX_LETTERS:
        raise PathError(f"the URL has {len(text):,} letters; the limit is {_MAX_LETTERS:,}")
    if "\\" in text or any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in text):
        raise PathError("the URL has a backslash or a control character")
    match = _PARTS.fullmatch(text)
    if match is None or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise PathError("this is no URL")
    scheme, authority, path, query = match.groups()
    host, port = _parse_authority(authority)
    if _BAD_PERCENT.search(path):
        raise PathError("the URL has a % that is followed by no code")
    return Url(scheme.lower(), host, _port_of(port, scheme.lower()), _segments_of(path), query)


def _parse_authority(authority: str) -> tuple[str, str | None]:
    if "@" in authority:
        raise PathError("the URL has a user name: URLs with one are not read")
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise PathError("the URL has no host that can be read")
    host, port = match.groups()
    return (_parse_ipv6(host[1:-1]) if host.startswith("[") else _parse_host(host)), port


def _port_of(written: str | None, scheme: str) -> int:
    port = int(written) if written is not None else PORTS.get(scheme, 0)
    if written is not None and not 0 < port <= 65535:
        raise PathError(f"the URL's port is {port}; expected 1 to 65535")
    return port


def _parse_ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError as exc:
        raise PathError("the URL has no host that can be read") from exc


def _parse_host(text: str) -> str:
    """The host in lower-case ASCII (IDNA) without the dot at its end; an IPv4 address only in its usual spelling."""
    try:
        host = text.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError as exc:
        raise PathError("the URL has no host that can be read") from exc
    if not _HOST.fullmatch(host):
        raise PathError("the URL has no host that can be read")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):  # the rule by which browsers take it for an IPv4 address
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError as exc:
            raise PathError("the URL's host is a number in disguise: write it as 192.0.2.1") from exc
    return host


def _segments_of(path: str) -> tuple[str, ...]:
    """The decoded segments after `.` and `..` are followed (RFC 3986, section 5.2.4), encoded or not."""
    segments: list[str] = []
    names = path.split("/")[1:] or [""]
    for number, name in enumerate(names):
        segment = _decoded(name)
        if segment == "..":
            del segments[-1:]
        elif segment != ".":
            segments.append(segment)
        if segment in (".", "..") and number == len(names) - 1:
            segments.append("")
    return tuple(segments)


def _decoded(name: str) -> str:
    segment = unquote_to_bytes(name).decode(errors="surrogateescape")
    if any(letter in "/\\" or ord(letter) < 0x20 or ord(letter) == 0x7F for letter in segment):
        raise PathError("the URL has an encoded slash or control character")
    if _TWICE.search(segment):
        raise PathError("the URL is percent-encoded twice")
    if segment.partition(";")[0] in (".", "..") and ";" in segment:  # some servers drop what follows, and climb
        raise PathError("the URL has dots before a semicolon")
    return segment


class UrlPrefix(NamedTuple):
    """What `--allow-url` allows: one scheme, one host, one port, and the paths below whole segments."""

    scheme: str
    host: str
    port: int
    segments: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Self:
        """The prefix that an administrator wrote; raises SettingsError where it cannot be one."""
        try:
            url = parse_url(text.strip())
        except PathError as exc:
            raise SettingsError(f"--allow-url {text}: {exc}; expected for example https://img.example/photos.") from exc
        if url.scheme not in PORTS or url.query is not None or "#" in text:
            raise SettingsError(f"--allow-url {text}: expected http or https, a host and a path, such as"
                                " https://img.example/photos.")
        return cls(url.scheme, url.host, url.port, url.segments[:-1] if url.segments[-1:] == ("",) else url.segments)

    def allows(self, url: object) -> bool:
        """Whether `url` is the prefix or lies below it."""
        return isinstance(url, Url) and url[:3] == self[:3] and url.segments[:len(self.segments)] == self.segments
