"""A picture behind a URL, as it was last read: what says whether it has changed, and until when nobody asks."""

from __future__ import annotations

import re
from typing import NamedTuple

from server.paths import FoundFile

_LEAST_S, _MOST_S = 300.0, 86_400.0  # a column is asked again and again; a day bounds what servers claim by mistake
_MAX_AGE = re.compile(r"(?:^|,)\s*max-age\s*=\s*\"?([0-9]{1,10})\"?\s*(?:,|$)", re.IGNORECASE)
_VALIDATOR = re.compile(r"[\x20-\x7e]{1,200}")


class FoundUrl(NamedTuple):
    """A URL in canonical form; with `digest`, the content it had, the validators of that content, and its expiry."""

    url: str
    etag: str = ""
    last_modified: str = ""
    expires_at: float = 0.0
    digest: str = ""

    def is_fresh(self, now: float) -> bool:
        """Whether nobody needs to ask at `now` (time.time()); an expiry beyond a day is a clock that was set back."""
        return now < self.expires_at <= now + _MOST_S + 1


Found = FoundFile | FoundUrl


class Fetched(NamedTuple):
    """What a URL answered: the bytes, or None where they are as they were; and the URL with its new expiry."""

    data: bytes | None
    found: FoundUrl


def lifetime_s(cache_control: str | None) -> float:
    """Seconds an answer holds by its Cache-Control header: its max-age, at least 300 s, at most a day."""
    match = _MAX_AGE.search(cache_control or "")
    return min(_MOST_S, max(_LEAST_S, float(match.group(1)))) if match else _LEAST_S


def validator(header: str | None) -> str:
    """An ETag or Last-Modified header if it can be sent back as it came, else nothing."""
    return header if header is not None and _VALIDATOR.fullmatch(header) else ""
