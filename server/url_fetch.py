"""The one door to pictures behind URLs: only what `--allow-url` allows, by whatever fetches its scheme.

A text enters, a `FoundUrl` in canonical form leaves; with it, later, the bytes. A web server and an object storage are
two fetchers behind the same door: what is remembered, when it is asked for again, the threads and the limits are one.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from server.found_url import Fetched, FoundUrl
from server.http_fetch import HttpFetcher
from server.path_error import PathError
from server.storage_fetch import StorageFetcher
from server.stores import STORES
from server.url_address import Lookup, look_up
from server.url_connection import Connect, connect
from server.url_prefix import PORTS
from server.url_scheme import AnyUrl, Prefix, parse_picture


class Fetcher(Protocol):
    """What fetches the URLs of a scheme."""

    def fetch(self, found: FoundUrl, *, max_bytes: int) -> Fetched:
        """The picture behind `found`; asked for only if it has changed where `found` has validators.

        Raises:
            PathError: refused, unreachable, too slow, too large or no picture: said in one line.
        """


class UrlFetcher:
    """Fetches what lies below `prefixes`; safe for many threads.

    Args:
        prefixes: what is allowed; none refuses every URL.
        timeout_s: seconds for one picture, redirects included.
        lookup, connect_to, tls, now: the network and the clock (time.time), for tests.
    """

    def __init__(self, prefixes: Sequence[Prefix] = (), *, timeout_s: float = 10.0, lookup: Lookup = look_up,
                 connect_to: Connect = connect, tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
                 now: Callable[[], float] = time.time) -> None:
        self.prefixes, self.now = tuple(prefixes), now
        schemes = {prefix.scheme for prefix in self.prefixes}
        web = HttpFetcher(self._allowed, timeout_s=timeout_s, lookup=lookup, connect_to=connect_to, now=now,
                          tls=tls if "https" in schemes else None)
        self._fetchers: dict[str, Fetcher] = dict.fromkeys(PORTS, web)
        for scheme in schemes & STORES.keys():
            self._fetchers[scheme] = StorageFetcher(self._allowed, STORES[scheme], timeout_s=timeout_s, now=now)

    def admit(self, text: str) -> FoundUrl:
        """The URL that `text` means, allowed but not yet asked for; raises PathError."""
        if not self.prefixes:
            raise PathError("URLs are not read: start the server with --allow-url PREFIX")
        return FoundUrl(str(self._allowed(text)))

    def fetch(self, found: FoundUrl, *, max_bytes: int) -> Fetched:
        """As the fetcher of its scheme has it; raises PathError."""
        return self._fetchers[self._allowed(found.url).scheme].fetch(found, max_bytes=max_bytes)

    def _allowed(self, text: str) -> AnyUrl:
        """The URL in canonical form, below one of the prefixes: asked before every step, redirects included."""
        url = parse_picture(text)
        if not any(prefix.allows(url) for prefix in self.prefixes):
            raise PathError("outside the allowed URLs (--allow-url)")
        return url
