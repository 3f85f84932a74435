"""What a model, a version and an alias may be called: any script, but nothing a file system could misread."""

from __future__ import annotations

import re
import unicodedata

_FORBIDDEN = frozenset('/\\:*?"<>|@%')
"""Path separators, what Windows refuses, `@` (name@version), and `%` (breaks ini files that hold such names)."""

_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(1, 10))})
"""Names that Windows takes for devices, whatever their suffix."""

_MAX_CHARACTERS = 100  # three bytes each in most scripts: stays below the 255 bytes a file name may have


def name_fault(text: str) -> str | None:
    """Why `text` cannot name a model, a version or an alias; None when it can."""
    if not text or len(text) > _MAX_CHARACTERS:
        return f"has {len(text)} characters; expected 1 to {_MAX_CHARACTERS}"
    if text[0] in ".- " or text[-1] in ". ":
        return "begins or ends with a dot, a dash or a space"
    wrong = sorted({character for character in text if character in _FORBIDDEN or not _is_visible(character)})
    if wrong:
        return f"contains {', '.join(map(repr, wrong))}"
    if text.split(".", maxsplit=1)[0].strip().lower() in _DEVICES:
        return "is a device name on Windows"
    return None


def normal(text: str) -> str:
    """`text` in Unicode's composed form (NFC): macOS folders and keyboards disagree about accents."""
    return unicodedata.normalize("NFC", text)


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts versions as people count: "2" before "10", "v9" before "v10", words before numbers."""
    parts = re.findall(r"\d+|\D+", version)
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts)


def _is_visible(character: str) -> bool:
    return character.isprintable() or character in "\u200c\u200d"  # the joiners that Persian and Indic spelling needs
