"""A source as the store has it: which content a path text had when it was last read, as a row of SQLite."""

from __future__ import annotations

from typing import Any, NamedTuple

from server.found_url import Found, FoundUrl
from server.paths import FoundFile, Signature

_URL = -1  # the device of sources that are URLs; no file has it


class StoredSource(NamedTuple):
    """Which content a path text had when it was last read."""

    text: str
    found: Found
    digest: str


def source_of(row: tuple[Any, ...]) -> StoredSource:
    """A row of `sources` without its roots."""
    text, path, device, inode, size, mtime_ns, digest = row
    if device == _URL:
        url, etag, last_modified = path.split("\n")
        return StoredSource(text, FoundUrl(url, etag, last_modified, mtime_ns / 1e9, digest), digest)
    return StoredSource(text, FoundFile(path, Signature(int(device), int(inode), int(size), int(mtime_ns))), digest)


def cells_of(found: Found) -> tuple[str, int, int, int, int]:
    """Path and signature; of a URL the lines URL, ETag, Last-Modified, and when it expires instead of when it changed.

    The same columns, so that older stores need no change; no header or canonical URL has a line break.
    """
    if isinstance(found, FoundUrl):
        return f"{found.url}\n{found.etag}\n{found.last_modified}", _URL, 0, 0, int(found.expires_at * 1e9)
    return (found.path, *found.signature)


def is_storable(text: str) -> bool:
    """Whether SQLite can hold it: Linux allows names that are no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
