"""How long a request wants to wait: a number or text from a body or a header enters, seconds leave."""

from __future__ import annotations

import math
import re
from typing import cast

from server.errors import UnprocessableError

DEADLINE_HEADER = "X-Pixfield-Deadline"
MOST_S = 600.0
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")


def deadline_s(value: object, default: float) -> float:
    """Seconds the request may wait: its own wish, else the default; raises UnprocessableError for no such wish."""
    if value is None:
        return default
    is_text = isinstance(value, str) and _NUMBER.fullmatch(value) is not None
    if not is_text and (not isinstance(value, int | float) or isinstance(value, bool)):
        raise UnprocessableError("bad_deadline", f"deadline_s is {shown(value)}; expected seconds")
    try:
        seconds = float(cast("str | float", value))
    except OverflowError:
        seconds = math.inf
    if not 0 <= seconds <= MOST_S:
        raise UnprocessableError("bad_deadline", f"deadline_s is {seconds}; expected 0 to {MOST_S:.0f}")
    return seconds


def shown(value: object) -> str:
    """A value in a message, not longer than a line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
