r"""From the text in a row to the text the server is asked for: a relative path becomes one below a folder.

URLs, absolute paths, Windows drives (`P:\a.png`) and shares (`\\nas\a.png`) go to the server as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_IS_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]*:[/\\]")


def asked_texts(texts: Sequence[str | None], base: Path | None) -> list[str | None]:
    """What the server is asked for each row; None for `base` leaves every text as it is."""
    if base is None:
        return list(texts)
    folder = str(base).rstrip("/\\")
    return [text if text is None or not text.strip() or _IS_ABSOLUTE.match(text.strip()) else
            f"{folder}/{text.strip()}" for text in texts]
