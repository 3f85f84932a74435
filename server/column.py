"""What is known of the rows of a column, and of one text in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from server.found_url import Found, FoundUrl
from server.paths import FoundFile
from server.store import StoredSource


class Known(NamedTuple):
    """A remembered text: the file or URL (None for an error), its digest, or the error."""

    found: Found | None
    digest: str | None
    error: str | None

    @classmethod
    def of(cls, stored: StoredSource) -> Self:
        """A stored source as it is remembered: an absolute path shares its text."""
        found = stored.found
        if isinstance(found, FoundUrl) or found.path != stored.text:
            return cls(found, stored.digest, None)
        return cls(FoundFile(stored.text, found.signature), stored.digest, None)


@dataclass(slots=True)
class Column:
    """What is known of a column's rows: `digests` and `errors` by row (one of them or neither), `to_read` by text."""

    digests: list[str | None]
    errors: dict[int, str] = field(default_factory=dict)
    to_read: dict[str, Found] = field(default_factory=dict)

    def note(self, text: str, rows: Sequence[int], result: Known) -> None:
        """Write what was found of `text` into all its rows."""
        if result.digest is None and result.found is not None:
            self.to_read[text] = result.found
        for row in rows:
            self.digests[row] = result.digest
            if result.error is not None:
                self.errors[row] = result.error
