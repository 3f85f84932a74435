"""Time is measured by clocks that never go back."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = {"paths.py": "compares file times, which are the wall clock's", "store_file.py": "names a file by the day",
           "store.py": "notes the day of an answer", "listening.py": "waitress notes the last use by it",
           "logs.py": "a log says when", "http_fetch.py": "a URL's expiry outlives the process",
           "storage_fetch.py": "an object's expiry outlives the process", "url_fetch.py": "the clock of both",
           "picture_cache.py": "notes the day of a picture's last use"}
"""File -> what it needs the wall clock for."""


def test_only_file_times_ask_the_wall_clock() -> None:
    """A clock that is set back or forward changes no deadline, window or back-off."""
    found = set()
    for path in (ROOT / "server").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
                    and (node.value.id, node.attr) in {("time", "time"), ("time", "time_ns"), ("time", "strftime"),
                                                       ("datetime", "now")}):
                found.add(path.name)
    assert found == set(ALLOWED)
