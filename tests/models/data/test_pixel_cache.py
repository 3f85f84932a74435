"""The cache: the same pixels, found again only while nothing changed, and never half a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from training_pictures import class_folders, noise, write

from models.data.loading import load
from models.errors import DataError


class _Count:
    """How many pictures were decoded."""

    def __init__(self) -> None:
        self.done = 0

    def __call__(self, done: int, _total: int) -> None:
        self.done = done


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes of four, one broken file, one conflict."""
    root = class_folders(tmp_path / "pictures", "a", "b")
    (root / "a" / "broken.png").write_bytes(b"no")
    write(root / "a" / "same.png", 50)
    write(root / "b" / "same.png", 50)
    return root


def test_the_second_time_nothing_is_decoded(tmp_path: Path, pictures: Path) -> None:
    """Pixels, rows, digests and problems are those of the first time, and of a load without cache."""
    plain, counts = load(str(pictures)), [_Count(), _Count()]
    for count in counts:
        cached = load(str(pictures), cache=tmp_path / "cache", progress=count)
        np.testing.assert_array_equal(cached.pixels, plain.pixels)
        assert (cached.names, cached.digests, cached.problems, cached.digest) == (
            plain.names, plain.digests, plain.problems, plain.digest)
    assert [count.done for count in counts] == [11, 0]


@pytest.mark.parametrize("change", ["picture", "label", "size", "resize", "new", "gone", "time"])
def test_a_change_is_noticed(tmp_path: Path, pictures: Path, change: str) -> None:
    """Of a file's content or time, of a class, of how pictures are prepared."""
    load(str(pictures), cache=tmp_path / "cache")
    changes: dict[str, Callable[[], object]] = {
        "picture": lambda: write(pictures / "a" / "0.png", 999, width=33, height=32),
        "label": lambda: (pictures / "b").rename(pictures / "c"),
        "new": lambda: write(pictures / "a" / "new.png", 998),
        "gone": (pictures / "a" / "0.png").unlink,
        "time": lambda: os.utime(pictures / "a" / "0.png", (1, 1)),
    }
    changes.get(change, lambda: None)()
    wishes = {"size": {"size": 48}, "resize": {"resize": "crop-bilinear-v1"}}.get(change, {})
    count = _Count()
    data = load(str(pictures), cache=tmp_path / "cache", progress=count, **wishes)  # type: ignore[arg-type]
    assert count.done > 0
    np.testing.assert_array_equal(data.pixels, load(str(pictures), **wishes).pixels)  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", ["json", "npy", "no json", "short"])
def test_half_a_cache_is_made_again(tmp_path: Path, pictures: Path, damage: str) -> None:
    """A run that was killed, or a file that was cut, costs the time only."""
    cache = tmp_path / "cache"
    expected = load(str(pictures), cache=cache).pixels.copy()
    said, = cache.glob("*.json")
    pixels, = cache.glob("*.npy")
    damages: dict[str, Callable[[], object]] = {
        "json": lambda: said.write_text("{"), "no json": said.unlink, "npy": lambda: pixels.write_bytes(b"no"),
        "short": lambda: pixels.write_bytes(pixels.read_bytes()[:-5000])}
    damages[damage]()
    count = _Count()
    np.testing.assert_array_equal(load(str(pictures), cache=cache, progress=count).pixels, expected)
    assert count.done == 11


def test_rows_of_arrays_that_are_resized_are_cached_by_content(tmp_path: Path) -> None:
    """An `.npz` has no time of each picture: another array is another cache."""
    for seed in (0, 1):
        x = np.stack([noise(10 * seed + i, width=28, height=28)[..., 0] for i in range(4)])
        np.savez(tmp_path / "a.npz", x=x, y=np.array([0, 1, 0, 1]))
        data = load(str(tmp_path / "a.npz"), size=16, cache=tmp_path / "cache")
        np.testing.assert_array_equal(data.pixels, load(str(tmp_path / "a.npz"), size=16).pixels)


def test_a_cache_that_is_no_folder_is_one_sentence(tmp_path: Path, pictures: Path) -> None:
    """Not a traceback."""
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match="cache: cannot hold the prepared pictures"):
        load(str(pictures), cache=tmp_path / "cache")
