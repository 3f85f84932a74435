"""Pictures behind http and https URLs.

Every hop (the URL and each redirect) is parsed, compared with the prefixes, looked up once, and connected to at the
address that was checked. Nothing of the environment is asked: no proxies, no credentials, no cookies.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urljoin

from server.found_url import Fetched, FoundUrl, lifetime_s, validator
from server.path_error import PathError, TooManyBytesError
from server.url_address import Lookup, checked_addresses, look_up
from server.url_connection import Connect, connect, encrypt, get, seconds_left
from server.url_prefix import Url
from server.url_scheme import AnyUrl

MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_PICTURE = re.compile(r"image/[a-z0-9][a-z0-9.+-]*|application/octet-stream")
_CONNECT_S = 4.0  # for one address: the next one may answer
_KEPT_S = 30.0  # a host that did not answer is not asked again for so long: a column has it in every row
_CHUNK = 1 << 16


class HttpFetcher:
    """Fetches http and https URLs; safe for many threads.

    Args:
        allow: the URL that a text means, if it is allowed; raises PathError.
        timeout_s: seconds for one picture, redirects included.
        lookup, connect_to, tls, now: the network and the clock (time.time), for tests.
    """

    def __init__(self, allow: Callable[[str], AnyUrl], *, timeout_s: float, lookup: Lookup = look_up,
                 connect_to: Connect = connect, tls: Callable[[], ssl.SSLContext] | None = ssl.create_default_context,
                 now: Callable[[], float] = time.time) -> None:
        self._allow, self._timeout_s = allow, timeout_s
        self._lookup, self._connect, self._now = lookup, connect_to, now
        self._tls = tls() if tls is not None else None
        self._lock = threading.Lock()
        self._silent: dict[tuple[str, int], tuple[float, str]] = {}

    def fetch(self, found: FoundUrl, *, max_bytes: int) -> Fetched:
        """As `Fetcher` has it."""
        deadline = time.monotonic() + self._timeout_s
        url = self._allowed(found.url)
        try:
            for hop in range(MAX_REDIRECTS + 1):
                with self._ask(url, found if hop == 0 else FoundUrl(found.url), deadline) as answer:
                    if answer.status not in _REDIRECTS:
                        return self._taken(answer, found, max_bytes, is_redirected=hop > 0)
                    url = self._redirected(url, answer.getheader("Location"))
        except TimeoutError as exc:
            raise PathError(f"the URL took longer than {self._timeout_s:g} s (--url-timeout-s)") from exc
        except (OSError, http.client.HTTPException, ValueError) as exc:
            if isinstance(exc, PathError):
                raise
            raise PathError("the URL's server broke off or does not speak HTTP") from exc
        raise PathError(f"the URL is redirected more than {MAX_REDIRECTS} times")

    # ---- one hop -----------------------------------------------------------------------------------------------

    def _allowed(self, text: str) -> Url:
        url = self._allow(text)
        if not isinstance(url, Url):
            raise PathError("outside the allowed URLs (--allow-url)")  # a redirect into a storage
        return url

    def _redirected(self, url: Url, location: str | None) -> Url:
        if not location:
            raise PathError("the URL is redirected to nowhere")
        try:
            return self._allowed(location if "\\" in location else urljoin(str(url), location))
        except ValueError as exc:
            raise PathError(f"the URL is redirected, and there: {exc}") from exc

    @contextlib.contextmanager
    def _ask(self, url: Url, found: FoundUrl, deadline: float) -> Iterator[http.client.HTTPResponse]:
        headers = {"If-None-Match": found.etag, "If-Modified-Since": found.last_modified}
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(self._connected(url, deadline))
            if url.scheme == "https" and self._tls is not None:
                try:
                    sock = stack.enter_context(encrypt(sock, url.host, deadline, self._tls))
                except ssl.SSLError as exc:
                    reason = getattr(exc, "verify_message", "") or "no secure connection"
                    raise PathError(f"the URL's server cannot be trusted: {reason}") from exc
            yield get(sock, url, {name: value for name, value in headers.items() if value}, deadline)

    def _connected(self, url: Url, deadline: float) -> socket.socket:
        """A connection to a checked address of the URL's host; one that did not answer is left alone for a while."""
        key = (url.host, url.port)
        with self._lock:
            until, reason = self._silent.get(key, (0.0, ""))
        if time.monotonic() < until:
            raise PathError(reason)
        reason = "the URL's host does not answer"
        try:
            for address in checked_addresses(url.host, self._lookup(url.host, url.port)):
                with contextlib.suppress(OSError):
                    return self._connect(address, url.port, min(_CONNECT_S, seconds_left(deadline)))
        except PathError:
            raise
        except (OSError, ValueError):
            reason = "the URL's host is not known"
        with self._lock:
            self._silent[key] = (time.monotonic() + _KEPT_S, reason)
        raise PathError(reason)

    # ---- the answer --------------------------------------------------------------------------------------------

    def _taken(self, answer: http.client.HTTPResponse, found: FoundUrl, max_bytes: int, *, is_redirected: bool
               ) -> Fetched:
        expires_at = self._now() + lifetime_s(answer.getheader("Cache-Control"))
        if answer.status == 304 and (found.etag or found.last_modified) and not is_redirected:
            return Fetched(None, found._replace(expires_at=expires_at))
        if answer.status != 200:
            raise PathError(f"the URL's server answered {answer.status} {http.client.responses.get(answer.status, '')}")
        if (answer.getheader("Content-Encoding") or "identity").lower() != "identity":
            raise PathError("the URL's answer is compressed, which was not asked for")
        kind = (answer.getheader("Content-Type") or "application/octet-stream").partition(";")[0].strip().lower()
        if not _PICTURE.fullmatch(kind):
            raise PathError(f"the URL's answer is no image but {kind[:80]!a}")
        data = _body(answer, max_bytes)
        if is_redirected:  # its validators are another URL's: what is redirected elsewhere tomorrow may have the same
            return Fetched(data, FoundUrl(found.url, expires_at=expires_at))
        return Fetched(data, FoundUrl(found.url, validator(answer.getheader("ETag")),
                                      validator(answer.getheader("Last-Modified")), expires_at))


def _body(answer: http.client.HTTPResponse, max_bytes: int) -> bytes:
    """The bytes of an answer; raises PathError where they are too many, none, or fewer than announced."""
    announced = answer.length
    if announced is not None and announced > max_bytes:
        raise TooManyBytesError(announced, max_bytes)
    chunks: list[bytes] = []
    size = 0
    while chunk := answer.read(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            raise TooManyBytesError(size, max_bytes)
    if announced is not None and size < announced:
        raise PathError("the URL's answer was cut off: ask again")
    if size == 0:
        raise PathError("the URL's answer is empty")
    return b"".join(chunks)
