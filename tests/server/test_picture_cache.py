"""Drawn pictures on the disk: bounded, sealed, and never in the way."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from server import picture_cache
from server.picture_cache import PictureCache, prune_drawn


def names(path: Path) -> list[str]:
    """What is kept, in the order it came."""
    with closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM pictures ORDER BY rowid")]


def test_a_picture_outlives_the_process(tmp_path: Path) -> None:
    """The same bytes; nothing under another name."""
    with closing(PictureCache(tmp_path / "p.sqlite", limit_bytes=1000)) as cache:
        cache.put("a", b"A")
    with closing(PictureCache(tmp_path / "p.sqlite", limit_bytes=1000)) as cache:
        assert (cache.get("a"), cache.get("b")) == (b"A", None)


def test_the_limit_holds(tmp_path: Path) -> None:
    """What came first goes first, what is used today stays; after a start, too."""
    path = tmp_path / "p.sqlite"
    with closing(PictureCache(path, limit_bytes=1000)) as cache:
        for number in range(10):
            cache.put(f"{number}", bytes(100))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE pictures SET used_day = 1")
    with closing(PictureCache(path, limit_bytes=1000)) as cache:
        cache.get("0")
        cache.put("new", bytes(100))
    assert names(path) == ["0", "3", "4", "5", "6", "7", "8", "9", "new"]


def test_a_damaged_picture_is_none(tmp_path: Path) -> None:
    """It is drawn again instead of sent."""
    path = tmp_path / "p.sqlite"
    with closing(PictureCache(path, limit_bytes=1000)) as cache:
        cache.put("a", b"AAAA")
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE pictures SET png = X'4141414200000000'")
        assert cache.get("a") is None


@pytest.mark.parametrize("content", [b"no database at all" * 1000, b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_file_is_replaced(tmp_path: Path, content: bytes) -> None:
    """And everything drawn again."""
    path = tmp_path / "p.sqlite"
    path.write_bytes(content)
    with closing(PictureCache(path, limit_bytes=1000)) as cache:
        cache.put("a", b"A")
        assert cache.get("a") == b"A"


def test_without_a_file_nothing_stops(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, and each picture is drawn when it is asked for."""
    (tmp_path / "p.sqlite").mkdir()
    with closing(PictureCache(tmp_path / "p.sqlite", limit_bytes=1000)) as cache:
        cache.put("a", b"A")
        assert cache.get("a") is None
    assert caplog.text.count("drawn pictures are not kept") == 1


def test_a_full_disk_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What does not fit is not kept; what fits afterwards is."""
    with closing(PictureCache(tmp_path / "p.sqlite", limit_bytes=10**7)) as cache:
        assert cache._file is not None
        with cache._file.connection() as connection:
            connection.execute("PRAGMA max_page_count = 20")
        for _ in range(3):
            cache.put("large", bytes(500_000))
        cache.put("small", b"S")
        assert (cache.get("large"), cache.get("small")) == (None, b"S")
    assert caplog.text.count("drawn pictures are not kept") == 1


def test_prune_keeps_what_has_an_address(tmp_path: Path) -> None:
    """By the content, the last word of the name."""
    path = tmp_path / "p.sqlite"
    with closing(PictureCache(path, limit_bytes=1000)) as cache:
        cache.put("thumbnail.png policy-1 aa", b"A")
        cache.put("thumbnail.png policy-1 bb", b"B")
    prune_drawn(path, frozenset({"bb"}))
    prune_drawn(tmp_path / "none.sqlite", frozenset())
    assert (names(path), (tmp_path / "none.sqlite").exists()) == (["thumbnail.png policy-1 bb"], False)
    assert picture_cache.FILE == "pictures.sqlite"
