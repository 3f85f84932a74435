r"""From the text in a row to the text the server is asked for: a relative path becomes one below a folder.

URLs, absolute paths, Windows drives (`P:\a.png`) and shares (`\\nas\a.png`) go to the server as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_IS_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]*:[/\\]")


def listed_texts(texts: Sequence[str | None], base: Path | None) -> list[str | None]:
    """The same for names that a folder's listing has: blanks in front and colons belong to them."""
    return list(texts) if base is None else [None if text is None else _below(base, text) for text in texts]


def asked_texts(texts: Sequence[str | None], base: Path | None) -> list[str | None]:
    """What the server is asked for each row; None for `base` leaves every text as it is."""
    if base is None:
        return list(texts)
    return [text if text is None or not text.strip() or _IS_ABSOLUTE.match(text.strip()) else
            _below(base, text.strip()) for text in texts]


def _below(base: Path, text: str) -> str:
    return str(base).rstrip("/\\") + "/" + text
